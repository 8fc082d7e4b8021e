"""Quiet hours and their opposite: the local hours in which a customer may be texted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from engage.texts.local_time import daily

_AHEAD = 7
"""Days to search for an opening."""


@dataclass(frozen=True)
class SendingHours:
    """Local time from ``start`` up to ``end``; an ``end`` of None is midnight. All other hours are quiet hours."""

    start: time
    end: time | None

    @classmethod
    def parse(cls, text: str) -> SendingHours:
        """Read ``8:00-21:00``.

        Raises:
            ValueError: not of that form, or not a span within one day.
        """
        match = re.fullmatch(r"\s*(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)\s*", text, re.ASCII)
        if match is None:
            raise ValueError("not two times of day with a dash between them")
        start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
        end = None if (end_hour, end_minute) == (24, 0) else time(end_hour, end_minute)
        hours = cls(time(start_hour, start_minute), end)
        if end is not None and end <= hours.start:
            raise ValueError("the end must come after the start")
        return hours

    def open(self, zones: Sequence[ZoneInfo], now: datetime) -> bool:
        """Whether ``now`` is within the hours in all ``zones``."""
        return all(self._open(now.astimezone(zone).time()) for zone in zones)

    def opens_at(self, zones: Sequence[ZoneInfo], now: datetime) -> datetime | None:
        """The first moment from ``now`` on that is within the hours in all ``zones``; None if there is none."""
        if self.open(zones, now):
            return now
        starts = (moment for zone in zones for moment in daily(zone, self.start, now, _AHEAD))
        return min((moment for moment in starts if moment > now and self.open(zones, moment)), default=None)

    def closes_at(self, zones: Sequence[ZoneInfo], now: datetime) -> datetime | None:
        """The first moment after ``now`` at which the hours end in one of ``zones``; None if they never end."""
        if self.end is None and self.start == time.min:
            return None
        ends = (moment for zone in zones for moment in daily(zone, self.end or time.min, now, _AHEAD))
        return min(moment for moment in ends if moment > now)

    def _open(self, local: time) -> bool:
        return self.start <= local and (self.end is None or local < self.end)
