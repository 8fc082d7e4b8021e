"""Compute the live window: the queries of ``aggregate`` and ``bucket`` on what is there so far, into its own tables.

It takes no lock of a campaign. Two computations take turns, and a reader sees the numbers of one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
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
        counted = _Counted(conn, window, settings, as_of, rows, customers, events)
        so_far = counted.resolved(rows)
        placed = partitions.build(conn, live_bucket, window, assignment(rows, window, so_far))
        projected = counted.projection()
        found = LiveWindow(
            window=window,
            as_of=as_of,
            settings=so_far,
            events=events,
            customers=customers,
            total_spend_cents=counted.total_spend_cents,
            buckets=counted.by_segment(placed.c.bucket),
            guard=counted.guard(projected),
            projection=projected,
            scored=model is not None,
            seconds=round(perf_counter() - started, 3),
        )
        _swap_in(conn, window)
        live_window.keep(conn, found)
    return found


@dataclass(frozen=True)
class _Counted:
    """The customers of the window so far in a fresh table, and what is counted of them."""

    conn: sa.Connection
    window: Window
    settings: Settings
    as_of: datetime
    rows: sa.Table
    customers: int
    events: dict[str, int]

    @cached_property
    def total_spend_cents(self) -> int:
        """The spend of all customers so far."""
        query = sa.select(sa.func.coalesce(sa.func.sum(self.rows.c.total_spend_cents), 0))
        return int(self.conn.execute(query).scalar_one())

    def resolved(self, rows: sa.Table) -> Settings:
        """The settings with the numbers that shares of the customers are among ``rows``."""
        numbers = shares.resolve(self.conn, rows, self.window, self.settings, customers=self.customers)
        return self.settings.with_resolved(numbers)

    def by_segment(self, segment: sa.ColumnElement[str]) -> dict[str, int]:
        """The customers of each segment, empty ones too. ``segment``: that of each row of a table."""
        placed = sa.select(segment.label("segment")).subquery("placed")
        query = sa.select(placed.c.segment, sa.func.count()).group_by(placed.c.segment)
        return dict.fromkeys(self.settings.segments.names, 0) | {row[0]: row[1] for row in self.conn.execute(query)}

    def projection(self) -> Projection | None:
        """What the window will have at its end; None while too little of it is over."""
        elapsed = self.as_of - self.window.start
        if elapsed < PROJECTED_FROM or not any(self.events.values()):
            return None
        wanted = projection.rows(self.rows, self.window, self.as_of)
        projected = partitions.build(self.conn, projection.PROJECTED, self.window, wanted)
        partitions.analyze(self.conn, projected)
        then = self.resolved(projected)
        found = Projection(
            events={kind: at_this_pace(count, elapsed) for kind, count in self.events.items()},
            total_spend_cents=at_this_pace(self.total_spend_cents, elapsed),
            buckets=self.by_segment(sql.segment(then.rules, projected, self.window.end)),
            recipients=recipients(self.conn, self.window, then, self.as_of, rows=projected).by_segment,
        )
        partitions.discard(self.conn, projection.PROJECTED, self.window)
        return found

    def guard(self, projected: Projection | None) -> Guard:
        """What the guard finds so far. Volume and shares of segments are those of the projection."""
        about = (self.conn, self.window, self.settings)
        expected = dict(projected.events) if projected else None
        found = guard.of_events_so_far(*about, expected, self.as_of)
        found += odd_days.findings_so_far(*about, self.events, as_of=self.as_of)
        if projected is None:
            return Guard(found)
        shifts = guard.of_buckets(*about, dict(projected.buckets))
        return Guard(found).with_buckets(guard.told(shifts), guard.uncompared(*about))


def _swap_in(conn: sa.Connection, window: Window) -> None:
    """Show the fresh tables, and drop those of windows that are over."""
    for table in LIVE:
        partitions.swap_in(conn, table, window)
        for other in partitions.windows_of(conn, table) - {window}:
            partitions.clear(conn, table, other)
