"""How many valid events each day had, kept by ``extract`` beyond the life of the raw logs.

To find the day of every event would take several times as long as to count them all. So the days of a large window are
those of a part of the customers, scaled up to the window's exact count. It is the same part each time. A day that is
odd by it is counted again, of all customers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from itertools import takewhile

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.campaigns import rhythm, valid_events
from engage.campaigns.valid_events import DAY
from engage.statuses import DaySource
from engage.storage import partitions
from engage.storage.schema import app_session, daily_volume, purchase
from engage.window import LENGTH, Window

COUNTED = 200_000
"""The fewest events of a window that are put in days, if it has more; at most twice as many are."""
DAYS = LENGTH // DAY
TABLES = {DaySource.SESSIONS: app_session, DaySource.PURCHASES: purchase}


@dataclass(frozen=True)
class DayCounts:
    """The events of consecutive days up to a window's end, oldest first, by kind.

    ``scaled``: the kinds and days that were counted of a part of the customers. ``own``: the days of the window, which
    are fewer while it is running.
    """

    days: tuple[date, ...]
    events: Mapping[DaySource, tuple[int, ...]]
    scaled: frozenset[tuple[DaySource, date]]
    own: int = DAYS

    @property
    def history(self) -> int:
        """How many of the days lie before the window."""
        return len(self.days) - self.own

    def corrected(self, source: DaySource, counts: Mapping[date, int]) -> DayCounts:
        """With the exact counts of some days."""
        days = tuple(counts.get(day, events) for day, events in zip(self.days, self.events[source], strict=True))
        scaled = self.scaled - {(source, day) for day in counts}
        return replace(self, events={**self.events, source: days}, scaled=scaled)


def keep(
    conn: sa.Connection,
    window: Window,
    events: Mapping[str, int],
    *,
    days: Mapping[DaySource, Mapping[date, int]] | None = None,
) -> None:
    """Replace the window's days; ``events`` are its valid events by kind. ``days`` are known if Postgres has no events.

    Windows just before it that no run has counted yet are counted as well, so that the first run has a history.
    """
    for earlier in _uncounted(conn, window):
        counts, _ = valid_events.count_window(conn, earlier)
        if any(counts.values()):
            _write(conn, earlier, counts)
    _write(conn, window, events, days)


def _uncounted(conn: sa.Connection, window: Window) -> list[Window]:
    """The windows of the history without counts whose logs are there, oldest first; none before a gap."""
    oldest = window.start - rhythm.LOOKBACK * DAY
    query = sa.select(daily_volume.c.day).where(daily_volume.c.day.between(oldest.date(), window.start.date()))
    counted = set(conn.execute(query.distinct()).scalars())
    found: list[Window] = []
    earlier = window.previous()
    while earlier.start >= oldest:
        if earlier.start.date() not in counted:
            if not all(partitions.find(conn, table, earlier) is not None for table in TABLES.values()):
                break
            found.insert(0, earlier)
        earlier = earlier.previous()
    return found


def _write(
    conn: sa.Connection,
    window: Window,
    events: Mapping[str, int],
    known: Mapping[DaySource, Mapping[date, int]] | None = None,
) -> None:
    """Write every day of the window in order, so that two runs that write the same days do not deadlock."""
    days = [(window.start + n * DAY).date() for n in range(DAYS)]
    found: dict[DaySource, tuple[Mapping[date, int], int]] = (
        {source: _counted(conn, window, source, events.get(source, 0)) for source in DaySource}
        if known is None
        else {source: (counts, 1) for source, counts in known.items()}
    )
    rows = [
        {"day": day, "source": source, "events": counts.get(day, 0), "one_in": one_in}
        for day in days
        for source, (counts, one_in) in found.items()
    ]
    statement = insert(daily_volume).values(rows)
    new = {name: statement.excluded[name] for name in ("events", "one_in")}
    conn.execute(statement.on_conflict_do_update(index_elements=daily_volume.primary_key.columns, set_=new))


def _counted(
    conn: sa.Connection, window: Window, source: DaySource, total: int, until: datetime | None = None
) -> tuple[dict[date, int], int]:
    """The events by day, and of one in how many customers they were counted: a power of 2."""
    one_in = 2 ** max(0, (total // COUNTED).bit_length() - 1)
    counts = dict(_days(conn, valid_events.by_day(TABLES[source], window, one_in=one_in, until=until)))
    if one_in == 1:
        return counts, 1
    if not counts:
        return dict(_days(conn, valid_events.by_day(TABLES[source], window, until=until))), 1
    part = sum(counts.values())
    return {day: round(number * total / part) for day, number in counts.items()}, one_in


def _days(conn: sa.Connection, query: sa.Select[tuple[datetime, int]]) -> Iterator[tuple[date, int]]:
    return ((row.day.astimezone(UTC).date(), row.events) for row in conn.execute(query))


def count_again(conn: sa.Connection, window: Window, source: DaySource, days: Collection[date]) -> None:
    """Count these days of the window of all customers, and keep the exact numbers."""
    for day, events in exact(conn, window, source, days).items():
        one = sa.and_(daily_volume.c.day == day, daily_volume.c.source == source)
        conn.execute(sa.update(daily_volume).where(one).values(events=events, one_in=1))


def exact(conn: sa.Connection, window: Window, source: DaySource, days: Collection[date]) -> dict[date, int]:
    """The events of these days of the window, of all customers; the oldest day first."""
    starts = [datetime.combine(day, time(), UTC) for day in sorted(days)]
    counts = dict(_days(conn, valid_events.by_day(TABLES[source], window, days=starts)))
    return {day: counts.get(day, 0) for day in sorted(days)}


def of(conn: sa.Connection, window: Window) -> DayCounts | None:
    """The counts of the window's days, and of those before it without a gap; None if the window's are not known."""
    found = _kept(conn, window, (window.end - DAY).date())
    return found if len(found.days) >= DAYS else None


def so_far(conn: sa.Connection, window: Window, events: Mapping[str, int], *, as_of: datetime) -> DayCounts:
    """The counts of a running window's days that are over, and of those before it without a gap. It writes nothing.

    ``events``: the window's valid events until ``as_of``, by kind.
    """
    kept = _kept(conn, window, (window.start - DAY).date())
    own = tuple((window.start + n * DAY).date() for n in range((as_of - window.start) // DAY))
    found = {source: _counted(conn, window, source, events.get(source, 0), as_of) for source in DaySource}
    scaled = {(source, day) for source, (_, one_in) in found.items() if one_in > 1 for day in own}
    return DayCounts(
        (*kept.days, *own),
        {source: (*kept.events[source], *(counts.get(day, 0) for day in own)) for source, (counts, _) in found.items()},
        kept.scaled | scaled,
        own=len(own),
    )


def _kept(conn: sa.Connection, window: Window, last: date) -> DayCounts:
    """What is kept of the days up to ``last`` without a gap, as far back as the history of the window reaches."""
    first = (window.start - rhythm.LOOKBACK * DAY).date()
    query = sa.select(daily_volume).where(daily_volume.c.day.between(first, last))
    rows = {(DaySource(row.source), row.day): row for row in conn.execute(query)}
    known = {day for _, day in rows}
    days = tuple(takewhile(known.__contains__, (last - n * DAY for n in range((last - first).days + 1))))[::-1]
    return DayCounts(
        days,
        {source: tuple(rows[source, day].events for day in days) for source in DaySource},
        frozenset(place for place, row in rows.items() if row.one_in > 1),
    )
