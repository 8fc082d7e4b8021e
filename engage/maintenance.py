"""Maintenance, each hour: make partitions ahead, and delete data past its retention.

Raw events are kept for a number of windows. An older window is dropped if its campaign is complete, or if it has
neither a campaign nor a customer's event. Every other window stays, however old, and is reported. With an archive, a
window also stays until the archive has all of it. The results of campaigns always stay.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from engage.archive import record
from engage.campaigns import campaign
from engage.statuses import CampaignStatus, SendTestStatus, TextClass
from engage.storage import event_ids, partitions, schema
from engage.storage.schema import FILE_KEY, LOG_TIMES, alert, event_id, inbound_sms, intake_batch, test_send
from engage.window import ANCHOR, LENGTH, Window

if TYPE_CHECKING:
    from engage.archive.place import Place

log = logging.getLogger(__name__)

KEEP_KEYS = timedelta(days=7)
"""Idempotency keys expire after this. A client that repeats a batch later adds its events a second time."""
KEEP_TEXTS = timedelta(days=90)
"""Retention of inbound texts. A start is kept for ever: repeated after a deletion, it would end a later stop."""
KEEP_ALERTS = timedelta(days=90)
"""Retention of alerts after their mail. An alert that was never mailed has expired long before."""
KEEP_TEST_SENDS = timedelta(days=90)
"""Retention of test messages."""
WAITING_TEST_SENDS = timedelta(hours=1)
"""How long the number and the text of a test message may wait to be sent. It has expired long before."""
BATCH = 10_000
"""Rows deleted in one transaction, so that no lock is held for long."""


@dataclass(frozen=True)
class MaintenanceSummary:
    """Counts of deleted rows, and starts of windows. ``kept`` are old windows without a complete campaign.

    ``unarchived`` are old windows that the archive does not have, or not all of.
    """

    idempotency_keys: int
    event_ids: int
    inbound_texts: int
    alerts: int
    dropped: list[str]
    late_events: int
    kept: list[str]
    test_messages: int = 0
    unarchived: list[str] = field(default_factory=list)


def maintain(
    engine: sa.Engine, keep_windows: int, *, as_of: datetime, archive: Place | None = None
) -> MaintenanceSummary:
    """Make partitions ahead and delete data past its retention. Idempotent.

    The ``keep_windows`` complete windows before the current one keep their events in any case. With an ``archive``,
    other windows keep theirs until it has all of them.
    """
    partitions.ensure(engine, as_of)
    oldest = Window(Window.containing(as_of).start - keep_windows * LENGTH)
    of_file = intake_batch.c.idempotency_key.startswith(FILE_KEY)
    keys = _delete(engine, intake_batch, sa.and_(intake_batch.c.accepted_at < as_of - KEEP_KEYS, ~of_file))
    ids = _delete(engine, event_id, event_id.c.accepted_at < as_of - event_ids.KEEP)
    old_texts = sa.and_(inbound_sms.c.received_at < as_of - KEEP_TEXTS, inbound_sms.c.text_class != TextClass.START)
    texts = _delete(engine, inbound_sms, old_texts)
    alerts = _delete(engine, alert, sa.func.coalesce(alert.c.mailed_at, alert.c.raised_at) < as_of - KEEP_ALERTS)
    tests = _delete(engine, test_send, _over(as_of))
    with engine.connect() as conn:
        old = {window for table in LOG_TIMES for window in partitions.windows_of(conn, table) if window < oldest}
    dropped, unarchived = _drop_old(engine, sorted(old), archive, as_of)
    late = sum(_delete(engine, rows, _late(rows, time, oldest)) for rows, time in _defaults())
    kept = (old - dropped - unarchived) | _in_default(engine, oldest)
    _warn(kept)
    return MaintenanceSummary(
        keys, ids, texts, alerts, _starts(dropped), late, _starts(kept), tests, _starts(unarchived)
    )


def _over(as_of: datetime) -> sa.ColumnElement[bool]:
    """Whether a test message is past its retention, or waits without a process that takes it."""
    waits = test_send.c.status == SendTestStatus.WAITING
    unsent = sa.and_(waits, test_send.c.requested_at < as_of - WAITING_TEST_SENDS)
    return sa.or_(test_send.c.requested_at < as_of - KEEP_TEST_SENDS, unsent)


def _delete(engine: sa.Engine, table: sa.Table, old: sa.ColumnElement[bool]) -> int:
    """Delete the old rows in batches, each in a transaction of its own; returns their number."""
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


def _drop_old(
    engine: sa.Engine, old: Iterable[Window], archive: Place | None, as_of: datetime
) -> tuple[set[Window], set[Window]]:
    """Drop the windows that may be dropped; returns them, and those that only wait for the archive."""
    dropped, unarchived = set(), set()
    for window in old:
        with engine.connect() as conn:
            if not _may_drop(conn, window, LOG_TIMES):
                continue
        with _as_archived(engine, archive, window, as_of) as lack:
            if lack:
                log.warning("The events of %s are past their retention, but stay. %s", window, lack)
                unarchived.add(window)
            elif _drop(engine, window, as_of):
                dropped.add(window)
    return dropped, unarchived


def _as_archived(
    engine: sa.Engine, archive: Place | None, window: Window, as_of: datetime
) -> AbstractContextManager[str | None]:
    """Keep the archive as it is, and give what it lacks of the window, in a sentence; without an archive None."""
    if archive is None:
        return nullcontext()
    from engage.archive import retention  # noqa: PLC0415 - it loads pyarrow, which an installation may do without

    return retention.unchanged(engine, archive, window, as_of=as_of)


def _drop(engine: sa.Engine, window: Window, as_of: datetime) -> bool:
    """Drop the window's partitions of all logs; returns whether it did.

    It takes one log at a time: the service writes into several, and holds one while it waits for the next.
    """
    return all(_drop_log(engine, table, window, as_of) for table in LOG_TIMES)


@partitions.retry_lock
def _drop_log(engine: sa.Engine, table: sa.Table, window: Window, as_of: datetime) -> bool:
    """Drop the window's partition of one log, unless a campaign or a customer's event arrived in between.

    The same transaction closes the campaign. Otherwise a campaign that sent no messages could be computed anew, and
    without the dropped events all customers would look inactive.
    """
    with engine.begin() as conn:
        partitions.set_lock_timeout(conn)
        partitions.lock_seeding(conn)
        campaign.find(conn, window, lock=True)
        partitions.lock_log(conn, table)
        if not _may_drop(conn, window, [table]):
            return False
        partitions.drop_events(conn, table, window)
        record.mark(conn, table, window, dropped_at=as_of)
        campaign.close(conn, window, as_of)
        return True


def _may_drop(conn: sa.Connection, window: Window, logs: Iterable[sa.Table]) -> bool:
    """Whether no campaign will need the window's events in ``logs``."""
    if window.start < ANCHOR:  # campaigns begin at the anchor
        return True
    if found := campaign.find(conn, window):
        return found.status == CampaignStatus.COMPLETE
    return not any(_holds_customers(conn, table, window) for table in logs)


def _holds_customers(conn: sa.Connection, table: sa.Table, window: Window) -> bool:
    time = LOG_TIMES[table]
    query = sa.select(time).where(time >= window.start, time < window.end, table.c.customer_id.is_not(None)).limit(1)
    return conn.execute(query).first() is not None


def _defaults() -> Iterator[tuple[sa.Table, sa.Column[object]]]:
    """The DEFAULT partition of each log, and the column that holds the event's time."""
    for table, time in LOG_TIMES.items():
        rows = partitions.default_of(table)
        yield rows, rows.c[time.name]


def _late(rows: sa.Table, time: sa.Column[object], oldest: Window) -> sa.ColumnElement[bool]:
    """Rows in DEFAULT that may be deleted by the rules of ``_may_drop``, such as rows of a dropped window."""
    begun = sa.exists().where(schema.campaign.c.window_start <= time, time < schema.campaign.c.window_end)
    complete = begun.where(schema.campaign.c.status == CampaignStatus.COMPLETE)
    unread = sa.and_(~begun, rows.c.customer_id.is_(None))
    return sa.and_(time < oldest.start, sa.or_(time < ANCHOR, complete, unread))


def _in_default(engine: sa.Engine, oldest: Window) -> set[Window]:
    """Old windows with rows in DEFAULT that may not be deleted."""
    found: set[Window] = set()
    with engine.connect() as conn:
        for rows, time in _defaults():
            query = sa.select(sa.func.date_bin(LENGTH, time, ANCHOR)).distinct()
            stays = sa.and_(time >= ANCHOR, time < oldest.start, ~_late(rows, time, oldest))
            found |= {Window(start) for start in conn.execute(query.where(stays)).scalars()}
    return found


def _warn(kept: Iterable[Window]) -> None:
    for window in sorted(kept):
        log.warning(
            "The events of %s are past their retention, but stay, as the window has no complete campaign. To have "
            "them deleted, run the window's campaign to its end. A backfill does this without sending messages.",
            window,
        )


def _starts(windows: Iterable[Window]) -> list[str]:
    return [f"{window.start:%Y-%m-%d}" for window in sorted(windows)]
