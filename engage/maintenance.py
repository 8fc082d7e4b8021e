"""What is done every day beside the campaigns: partitions are made ahead, and what is kept long enough is deleted.

Raw events are kept for a number of windows, and go only if nobody will ask for them: a window's campaign is complete,
or there is none and the window holds no event of a customer. Any other window stays, however old, and is named.
What campaigns computed from the events stays in any case.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from engage.campaigns import campaign
from engage.storage import partitions, schema
from engage.storage.schema import LOG_TIMES, inbound_sms, intake_batch
from engage.window import ANCHOR, LENGTH, Window

log = logging.getLogger(__name__)

KEEP_KEYS = timedelta(days=7)
"""Whoever sends a batch again later than this after it was accepted adds its events a second time."""
KEEP_TEXTS = timedelta(days=90)
"""All but those that say start, few as they are: one that came again unknown would end a stop that has come since."""
BATCH = 10_000
"""Rows deleted in one transaction, so that no lock is held for long."""


@dataclass(frozen=True)
class MaintainSummary:
    """What went; ``kept`` are the windows that are old enough to go and no campaign has finished, by their start."""

    idempotency_keys: int
    inbound_texts: int
    dropped: list[str]
    late_events: int
    kept: list[str]


def maintain(engine: sa.Engine, keep_windows: int, *, as_of: datetime) -> MaintainSummary:
    """Make partitions ahead and delete what is old. Again: there is nothing left to do.

    ``keep_windows`` complete windows before the current one keep their events whatever became of their campaigns.
    """
    partitions.ensure(engine, as_of)
    oldest = Window(Window.containing(as_of).start - keep_windows * LENGTH)
    keys = _delete(engine, intake_batch, intake_batch.c.accepted_at < as_of - KEEP_KEYS)
    old_texts = sa.and_(inbound_sms.c.received_at < as_of - KEEP_TEXTS, inbound_sms.c.text_class != "start")
    texts = _delete(engine, inbound_sms, old_texts)
    with engine.connect() as conn:
        old = {window for table in LOG_TIMES for window in partitions.windows_of(conn, table) if window < oldest}
    dropped = {window for window in sorted(old) if _drop(engine, window, as_of)}
    late = sum(_delete(engine, rows, _late(rows, time, oldest)) for rows, time in _defaults())
    kept = (old - dropped) | _in_default(engine, oldest)
    _tell(kept)
    return MaintainSummary(keys, texts, _starts(dropped), late, _starts(kept))


def _delete(engine: sa.Engine, table: sa.Table, old: sa.ColumnElement[bool]) -> int:
    """Delete the old rows in batches, each in a transaction of its own; returns how many there were."""
    place: sa.ColumnClause[object] = sa.column("ctid")
    some = sa.select(place).select_from(table).where(old).limit(BATCH).correlate(None)
    statement = sa.delete(table).where(place == sa.any_(sa.func.array(some.scalar_subquery())))
    total = 0
    while True:
        with engine.begin() as conn:
            deleted = conn.execute(statement).rowcount
        total += deleted
        if deleted < BATCH:
            return total


def _drop(engine: sa.Engine, window: Window, as_of: datetime) -> bool:
    """Drop the window's partitions of all logs, if they may go.

    One log after the other: who writes into several, as the service does, holds one while it waits for the next.
    """
    with engine.connect() as conn:
        if not _may_go(conn, window, LOG_TIMES):
            return False
    return all(_drop_log(engine, table, window, as_of) for table in LOG_TIMES)


@partitions.retry_lock
def _drop_log(engine: sa.Engine, table: sa.Table, window: Window, as_of: datetime) -> bool:
    """Drop the window's partition of one log, unless a campaign or a customer's event has come in between.

    A campaign that nobody was texted by could be computed anew, and late events, which are all that a later run would
    find, would make everybody look inactive. So it is closed in the same transaction.
    """
    with engine.begin() as conn:
        partitions.set_lock_timeout(conn)
        partitions.lock_seeding(conn)
        campaign.find(conn, window, lock=True)
        partitions.lock_log(conn, table)
        if not _may_go(conn, window, [table]):
            return False
        partitions.drop_events(conn, table, window)
        campaign.close(conn, window, as_of)
        return True


def _may_go(conn: sa.Connection, window: Window, logs: Iterable[sa.Table]) -> bool:
    """Whether nobody will ask for the window's events in ``logs``."""
    if window.start < ANCHOR:  # no campaign is about such a time
        return True
    if found := campaign.find(conn, window):
        return found.status == "complete"
    return not any(_holds_customers(conn, table, window) for table in logs)


def _holds_customers(conn: sa.Connection, table: sa.Table, window: Window) -> bool:
    time = LOG_TIMES[table]
    query = sa.select(time).where(time >= window.start, time < window.end, table.c.customer_id.is_not(None)).limit(1)
    return conn.execute(query).first() is not None


def _defaults() -> Iterator[tuple[sa.Table, sa.Column[object]]]:
    """The DEFAULT partition of each log, and its column that says when the event happened."""
    for table, time in LOG_TIMES.items():
        rows = partitions.default_of(table)
        yield rows, rows.c[time.name]


def _late(rows: sa.Table, time: sa.Column[object], oldest: Window) -> sa.ColumnElement[bool]:
    """Rows in DEFAULT, such as come in after their window was dropped, which may go for the reasons in ``_may_go``."""
    begun = sa.exists().where(schema.campaign.c.window_start <= time, time < schema.campaign.c.window_end)
    complete = begun.where(schema.campaign.c.status == "complete")
    unread = sa.and_(~begun, rows.c.customer_id.is_(None))
    return sa.and_(time < oldest.start, sa.or_(time < ANCHOR, complete, unread))


def _in_default(engine: sa.Engine, oldest: Window) -> set[Window]:
    """Old windows that have rows in DEFAULT which may not go."""
    found: set[Window] = set()
    with engine.connect() as conn:
        for rows, time in _defaults():
            query = sa.select(sa.func.date_bin(LENGTH, time, ANCHOR)).distinct()
            stays = sa.and_(time >= ANCHOR, time < oldest.start, ~_late(rows, time, oldest))
            found |= {Window(start) for start in conn.execute(query.where(stays)).scalars()}
    return found


def _tell(kept: Iterable[Window]) -> None:
    for window in sorted(kept):
        log.warning(
            "The events of %s are old enough to go, but no campaign of that window is complete, so they stay. To let "
            "them go, run the window's campaign to its end; a backfill does, and texts nobody.",
            window,
        )


def _starts(windows: Iterable[Window]) -> list[str]:
    return [f"{window.start:%Y-%m-%d}" for window in sorted(windows)]
