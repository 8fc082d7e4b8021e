"""How many valid events each day had, kept by ``extract`` beyond the life of the raw logs.

To find the day of every event would take several times as long as to count them all. So of a large window, the days are
counted in a part of the log's hash pieces, which hold customers by chance, and scaled up to the window's exact count.
The same pieces are counted each time. A day that is odd by them is counted again, in all pieces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import takewhile

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.campaigns import rhythm, valid_events
from engage.campaigns.valid_events import DAY
from engage.statuses import DaySource
from engage.storage import partitions
from engage.storage.partitions import HASH_MODULUS
from engage.storage.schema import app_session, daily_volume, purchase
from engage.window import LENGTH, Window

COUNTED = 500_000
"""About how many events of a window are put in days, at least."""
DAYS = LENGTH // DAY
TABLES = {DaySource.SESSIONS: app_session, DaySource.PURCHASES: purchase}


@dataclass(frozen=True)
class DayCounts:
    """The events of consecutive days up to a window's end, oldest first, by kind.

    ``scaled``: the kinds and days that were counted in a part of the pieces.
    """

    days: tuple[date, ...]
    events: Mapping[DaySource, tuple[int, ...]]
    scaled: frozenset[tuple[DaySource, date]]

    @property
    def history(self) -> int:
        """How many of the days lie before the window."""
        return len(self.days) - DAYS


def keep(conn: sa.Connection, window: Window, events: Mapping[str, int]) -> None:
    """Replace the window's days; ``events`` are its valid events by kind.

    Windows just before it that no run has counted yet are counted as well, so that the first run has a history.
    """
    for earlier in _uncounted(conn, window):
        counts, _ = valid_events.count_window(conn, earlier)
        if any(counts.values()):
            _write(conn, earlier, counts)
    _write(conn, window, events)


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


def _write(conn: sa.Connection, window: Window, events: Mapping[str, int]) -> None:
    """Write every day of the window in order, so that two runs that write the same days do not deadlock."""
    days = [(window.start + n * DAY).date() for n in range(DAYS)]
    found = {source: _counted(conn, window, source, events.get(source, 0)) for source in DaySource}
    rows = [
        {"day": day, "source": source, "events": counts.get(day, 0), "pieces": pieces}
        for day in days
        for source, (counts, pieces) in found.items()
    ]
    statement = insert(daily_volume).values(rows)
    new = {name: statement.excluded[name] for name in ("events", "pieces")}
    conn.execute(statement.on_conflict_do_update(index_elements=daily_volume.primary_key.columns, set_=new))


def _counted(conn: sa.Connection, window: Window, source: DaySource, total: int) -> tuple[dict[date, int], int]:
    """The events by day, and in how many pieces they were counted."""
    table = TABLES[source]
    pieces = HASH_MODULUS if total <= COUNTED else -(-COUNTED * HASH_MODULUS // total)
    if pieces < HASH_MODULUS:
        last = range(HASH_MODULUS - pieces, HASH_MODULUS)
        if counts := dict(_days(conn, valid_events.by_day(table, window, pieces=last))):
            part = sum(counts.values())
            return {day: round(number * total / part) for day, number in counts.items()}, pieces
    return dict(_days(conn, valid_events.by_day(table, window))), HASH_MODULUS


def _days(conn: sa.Connection, query: sa.Select[tuple[datetime, int]]) -> Iterator[tuple[date, int]]:
    return ((row.day.astimezone(UTC).date(), row.events) for row in conn.execute(query))


def count_again(conn: sa.Connection, window: Window, source: DaySource, days: Collection[date]) -> None:
    """Count these days of the window in all pieces, and keep the exact numbers."""
    starts = [datetime.combine(day, time(), UTC) for day in sorted(days)]
    counts = dict(_days(conn, valid_events.by_day(TABLES[source], window, days=starts)))
    for day in sorted(days):
        one = sa.and_(daily_volume.c.day == day, daily_volume.c.source == source)
        exact = {"events": counts.get(day, 0), "pieces": HASH_MODULUS}
        conn.execute(sa.update(daily_volume).where(one).values(**exact))


def of(conn: sa.Connection, window: Window) -> DayCounts | None:
    """The counts of the window's days, and of those before it without a gap; None if the window's are not known."""
    first, last = (window.start - rhythm.LOOKBACK * DAY).date(), (window.end - DAY).date()
    query = sa.select(daily_volume).where(daily_volume.c.day.between(first, last))
    rows = {(DaySource(row.source), row.day): row for row in conn.execute(query)}
    known = {day for _, day in rows}
    days = tuple(takewhile(known.__contains__, (last - n * DAY for n in range((last - first).days + 1))))[::-1]
    if len(days) < DAYS:
        return None
    return DayCounts(
        days,
        {source: tuple(rows[source, day].events for day in days) for source in DaySource},
        frozenset(place for place, row in rows.items() if row.pieces < HASH_MODULUS),
    )
