"""Compute the live window: the queries of ``aggregate`` and ``bucket``, on what is there so far, into tables of its own.

It takes no lock of a campaign. Two computations take turns, and a reader sees the numbers of one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter

import sqlalchemy as sa

from engage.campaigns import guard, live_window, odd_days, refunds, shares
from engage.campaigns.guard import Guard
from engage.campaigns.live_window import PROJECTED_FROM, LiveWindow, Projection, at_this_pace
from engage.live import projection
from engage.reports.segment_recipients import recipients
from engage.segments import sql
from engage.settings import Settings
from engage.steps.aggregate import scored_activity, separate
from engage.steps.bucket import assignment
from engage.storage import connection, partitions
from engage.storage.schema import LIVE, customer, live_activity, live_bucket
from engage.window import Window

HOUR = 4
"""The hour of the day, in UTC, in which it is computed."""
OLD = timedelta(days=1)
_LOCK = 0x6C697665  # "live"


@dataclass(frozen=True)
class LiveSummary:
    """What was computed: customers by segment so far and projected. ``skipped``: why nothing was."""

    window: str = ""
    customers: int = 0
    buckets: dict[str, int] = field(default_factory=dict)
    projected: dict[str, int] = field(default_factory=dict)
    expected_messages: int = 0
    guard: str = ""
    skipped: str = ""


def compute_if_due(engine: sa.Engine, settings: Callable[[], Settings], *, as_of: datetime) -> LiveSummary:
    """Compute the live window once a day in the hour ``HOUR``, and at once if none of the running window is fresh.

    ``settings``: reads those of the moment, if they are needed.
    """
    with engine.connect() as conn:
        known = live_window.running(conn, as_of)
        if not conn.execute(sa.select(sa.select(customer.c.customer_id).exists())).scalar_one():
            return LiveSummary(skipped="There are no customers yet, so there is nothing to compute.")
    if known and as_of.hour != HOUR and as_of - known.as_of <= OLD:
        return LiveSummary(skipped=f"The running window is computed in the hour after {HOUR}:00 UTC.")
    found = compute(engine, settings(), as_of=as_of)
    projected = found.projection
    return LiveSummary(
        str(found.window),
        found.customers,
        dict(found.buckets),
        dict(projected.buckets) if projected else {},
        projected.messages if projected else 0,
        found.guard.note,
    )


def compute(engine: sa.Engine, settings: Settings, *, as_of: datetime) -> LiveWindow:
    """Replace the live window by that of ``as_of``. Events after ``as_of`` do not count."""
    window, started = Window.containing(as_of), perf_counter()
    partitions.ensure_windows(engine, [window])
    with engine.begin() as conn:
        connection.tune(conn)
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        wanted, model = scored_activity(conn, window, settings, until=as_of)
        rows = partitions.build(conn, live_activity, window, wanted)
        customers, events, _ = separate(conn, rows, window)
        partitions.analyze(conn, rows)
        if refunded := refunds.count_window(conn, window, as_of)[0]:
            events[refunds.KIND] = refunded
        so_far = settings.with_resolved(shares.resolve(conn, rows, window, settings, customers=customers))
        placed = partitions.build(conn, live_bucket, window, assignment(rows, window, so_far))
        projected = _projection(conn, rows, window, settings, customers, events, as_of)
        found = LiveWindow(
            window=window,
            as_of=as_of,
            settings=so_far,
            events=events,
            customers=customers,
            total_spend_cents=_total(conn, rows),
            buckets=_by_segment(conn, placed.c.bucket, so_far),
            guard=_guard(conn, window, settings, events, projected, as_of),
            projection=projected,
            scored=model is not None,
            seconds=round(perf_counter() - started, 3),
        )
        _swap_in(conn, window)
        live_window.keep(conn, found)
    return found


def _projection(
    conn: sa.Connection,
    rows: sa.Table,
    window: Window,
    settings: Settings,
    customers: int,
    events: dict[str, int],
    as_of: datetime,
) -> Projection | None:
    elapsed = as_of - window.start
    if elapsed < PROJECTED_FROM or not any(events.values()):
        return None
    projected = partitions.build(conn, projection.PROJECTED, window, projection.rows(rows, window, as_of))
    partitions.analyze(conn, projected)
    then = settings.with_resolved(shares.resolve(conn, projected, window, settings, customers=customers))
    found = Projection(
        events={kind: at_this_pace(count, elapsed) for kind, count in events.items()},
        total_spend_cents=at_this_pace(_total(conn, rows), elapsed),
        buckets=_by_segment(conn, sql.segment(then.rules, projected, window.end), then),
        recipients=recipients(conn, window, then, as_of, rows=projected).by_segment,
    )
    partitions.discard(conn, projection.PROJECTED, window)
    return found


def _total(conn: sa.Connection, rows: sa.Table) -> int:
    query = sa.select(sa.func.coalesce(sa.func.sum(rows.c.total_spend_cents), 0))
    return int(conn.execute(query).scalar_one())


def _by_segment(conn: sa.Connection, segment: sa.ColumnElement[str], settings: Settings) -> dict[str, int]:
    """The customers of each segment, empty ones too. ``segment``: of each row of a table."""
    placed = sa.select(segment.label("segment")).subquery("placed")
    query = sa.select(placed.c.segment, sa.func.count()).group_by(placed.c.segment)
    return dict.fromkeys(settings.segments.names, 0) | {name: count for name, count in conn.execute(query)}


def _guard(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    events: dict[str, int],
    projected: Projection | None,
    as_of: datetime,
) -> Guard:
    """What the guard finds so far. Volume and shares of segments are those of the projection."""
    expected = dict(projected.events) if projected else None
    found = guard.of_events_so_far(conn, window, settings, expected, as_of)
    found += odd_days.findings_so_far(conn, window, settings, events, as_of=as_of)
    if projected is None:
        return Guard(found)
    shifts = guard.of_buckets(conn, window, settings, dict(projected.buckets))
    return Guard(found).with_buckets(guard.told(shifts), guard.uncompared(conn, window, settings))


def _swap_in(conn: sa.Connection, window: Window) -> None:
    """Show the fresh tables, and drop those of windows that are over."""
    for table in LIVE:
        partitions.swap_in(conn, table, window)
        for other in partitions.windows_of(conn, table) - {window}:
            partitions.clear(conn, table, other)
