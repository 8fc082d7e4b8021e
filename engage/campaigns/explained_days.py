"""Days for which a reason is known, such as a holiday: the guard does not tell of them, nor compares days with them.

Reasons belong to days, not to a campaign, so they hold for frozen campaigns too. A finding of the guard that is about
such days only no longer stands: see ``guard.Guard``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.campaigns.valid_events import DAY
from engage.errors import InputError
from engage.statuses import ExplainedSource
from engage.storage.schema import explained_day
from engage.window import LENGTH, Window

MOST = LENGTH // DAY
"""Days that are explained at once, at most."""


@dataclass(frozen=True)
class ExplainedDay:
    """A day, the kind of events that the reason is about, the reason, and who gave it when."""

    day: date
    source: ExplainedSource
    reason: str
    by: str
    at: datetime

    def covers(self, source: str) -> bool:
        """Whether the reason is about these events."""
        return self.source in (ExplainedSource.ALL, source)


def explain(
    conn: sa.Connection,
    first: date,
    last: date,
    *,
    source: ExplainedSource = ExplainedSource.ALL,
    reason: str,
    by: str,
    as_of: datetime,
) -> int:
    """Mark the days from ``first`` to ``last`` as explained, and return how many. Another reason replaces the first.

    Raises:
        InputError: the last day comes first, lies in the future, or they are more than ``MOST``.
    """
    days = _days(first, last)
    if last > as_of.date():
        raise InputError(f"{last:%Y-%m-%d} lies in the future, and only days until {as_of:%Y-%m-%d} can be explained.")
    rows = [{"day": day, "source": source, "reason": reason, "explained_by": by, "explained_at": as_of} for day in days]
    statement = insert(explained_day).values(rows)
    new = {name: statement.excluded[name] for name in ("reason", "explained_by", "explained_at")}
    conn.execute(statement.on_conflict_do_update(index_elements=explained_day.primary_key.columns, set_=new))
    return len(rows)


def unexplain(conn: sa.Connection, first: date, last: date, *, source: ExplainedSource = ExplainedSource.ALL) -> int:
    """Take the reasons of these days back, and return how many there were.

    Raises:
        InputError: as ``explain``.
    """
    days = _days(first, last)
    own = sa.and_(explained_day.c.day.in_(days), explained_day.c.source == source)
    return conn.execute(sa.delete(explained_day).where(own)).rowcount


def between(conn: sa.Connection, first: date | None = None, last: date | None = None) -> list[ExplainedDay]:
    """The explained days from ``first`` to ``last``, by default all, oldest first."""
    query = sa.select(explained_day).order_by(explained_day.c.day, explained_day.c.source)
    if first is not None:
        query = query.where(explained_day.c.day >= first)
    if last is not None:
        query = query.where(explained_day.c.day <= last)
    return [
        ExplainedDay(row.day, ExplainedSource(row.source), row.reason, row.explained_by, row.explained_at)
        for row in conn.execute(query)
    ]


def of_window(conn: sa.Connection, window: Window) -> tuple[ExplainedDay, ...]:
    """The explained days of a window."""
    return tuple(between(conn, window.start.date(), (window.end - DAY).date()))


def _days(first: date, last: date) -> Sequence[date]:
    days = (last - first).days + 1
    if days < 1:
        raise InputError(f"The last day, {last:%Y-%m-%d}, comes before the first one, {first:%Y-%m-%d}.")
    if days > MOST:
        raise InputError(
            f"{first:%Y-%m-%d} to {last:%Y-%m-%d} are {days} days, and {MOST} at most are explained at once."
        )
    return [first + n * DAY for n in range(days)]
