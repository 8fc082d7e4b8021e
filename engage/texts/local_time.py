"""A customer's clock: the time zones a customer may be in, and local times of day in them across daylight saving."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engage.texts import phone


def zones(number: str, time_zone: str | None) -> tuple[ZoneInfo, ...]:
    """The time zones that a customer may be in: ``time_zone`` if it exists, else all zones of the phone number.

    ``time_zone`` is an IANA name. The result is empty if neither is known.
    """
    if time_zone and (known := _zone(time_zone)):
        return (known,)
    found = [_zone(name) for name in phone.zone_names(number)]
    return tuple(zone for zone in found if zone) if all(found) else ()


def daily(zone: ZoneInfo, at: time, now: datetime, days_ahead: int) -> Iterator[datetime]:
    """The moments of local time ``at`` from yesterday to ``days_ahead`` days after ``now``, in UTC.

    Where daylight saving skips that time, it is the moment at which a clock that was not set forward shows it. Where
    daylight saving repeats it, it is the first of the two moments.
    """
    today = now.astimezone(zone).date()
    for number in range(-1, days_ahead + 1):
        yield datetime.combine(today + timedelta(days=number), at, zone).astimezone(UTC)


@lru_cache(maxsize=1000)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
