"""The aggregate of the version before segments: counts and spend, without times, app events and the window before.

It is the reference for what the other numbers cost. It counts, checks and swaps in a table as the step does.
"""

from __future__ import annotations

import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.valid_events import MAX_AMOUNT_CENTS
from engage.storage import partitions
from engage.storage.schema import app_session, customer, customer_activity, purchase
from engage.window import WEEKS, Window

COLUMNS = ("window_start", "customer_id", "sessions", "purchases", "total_spend_cents", "avg_weekly_sessions")

earlier_activity = sa.Table(
    "earlier_activity",
    sa.MetaData(),
    *(sa.Column(name, customer_activity.c[name].type, nullable=False) for name in COLUMNS),
    sa.PrimaryKeyConstraint("customer_id", "window_start"),
    postgresql_partition_by="LIST (window_start)",
)


def earlier_aggregate(engine: sa.Engine, window: Window) -> None:
    """Replace the window's rows of ``earlier_activity``. The database needs the table."""
    with campaign.step(engine, window, "aggregate") as step:
        every_id = partitions.build(step.conn, earlier_activity, window, _activity(window))
        totals = (sa.func.count(), sa.func.sum(every_id.c.sessions), sa.func.sum(every_id.c.purchases))
        query = sa.select(every_id.c.window_start, *totals).where(every_id.c.customer_id.is_not(None))
        step.conn.execute(query.group_by(every_id.c.window_start)).all()
        step.conn.execute(sa.delete(every_id).where(every_id.c.window_start.is_distinct_from(window.start)))
        partitions.swap_in(step.conn, earlier_activity, window)


def _activity(window: Window) -> sa.Select[tuple[object, ...]]:
    opened, bought = partitions.of(app_session, window), partitions.of(purchase, window)
    sessions = (
        sa.select(opened.c.customer_id, sa.func.count().label("sessions"))
        .group_by(opened.c.customer_id)
        .subquery("sessions")
    )
    spend = sa.cast(sa.func.sum(bought.c.amount_cents), sa.BigInteger).label("total_spend_cents")
    purchases = (
        sa.select(bought.c.customer_id, sa.func.count().label("purchases"), spend)
        .where(bought.c.amount_cents.between(0, MAX_AMOUNT_CENTS))
        .group_by(bought.c.customer_id)
        .subquery("purchases")
    )
    count = sa.func.coalesce(sessions.c.sessions, 0)
    window_start = sa.case(
        (customer.c.registered_at < window.end, window.start),
        (customer.c.registered_at >= window.end, window.end),
    )
    either = sa.func.coalesce(customer.c.customer_id, sessions.c.customer_id)
    return (
        sa.select(
            sa.cast(window_start, sa.DateTime(timezone=True)).label("window_start"),
            sa.func.coalesce(either, purchases.c.customer_id).label("customer_id"),
            count.label("sessions"),
            sa.func.coalesce(purchases.c.purchases, 0).label("purchases"),
            sa.func.coalesce(purchases.c.total_spend_cents, 0).label("total_spend_cents"),
            (sa.cast(count, sa.Double) / WEEKS).label("avg_weekly_sessions"),
        )
        .outerjoin_from(customer, sessions, sessions.c.customer_id == customer.c.customer_id, full=True)
        .outerjoin(purchases, purchases.c.customer_id == either, full=True)
    )
