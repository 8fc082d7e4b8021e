"""Step 3: each customer's sessions, purchases and spend over the window."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from engage.campaigns import campaign, valid_events
from engage.storage import partitions
from engage.storage.schema import customer, customer_activity
from engage.window import WEEKS, Window


@dataclass(frozen=True)
class AggregateSummary:
    """Customers in the window's activity; events of customers that the campaign cannot count, by reason."""

    customers: int
    rejected: dict[str, int]
    frozen: bool = False


def aggregate(engine: sa.Engine, window: Window) -> AggregateSummary:
    """Replace the window's rows of ``customer_activity``.

    Raises:
        NotReady: ``extract`` has not opened the campaign.
    """
    with campaign.step(engine, window, "aggregate") as step:
        found = step.campaign
        if found.frozen:
            return AggregateSummary(found.customers or 0, found.rejected, frozen=True)
        everybody = partitions.build(step.conn, customer_activity, window, activity(window))
        customers, valid, uncounted = _separate(step.conn, everybody, window)
        partitions.swap_in(step.conn, customer_activity, window)
        rejected = found.rejected | uncounted
        if valid != found.events:  # the log has grown since extract: what it rejects may have, too
            rejected |= valid_events.count_window(step.conn, window)[1]
        step.save(status="aggregated", customers=customers, events=valid, rejected=rejected, buckets=None)
        return AggregateSummary(customers, rejected)


def activity(window: Window) -> sa.Select[tuple[object, ...]]:
    """The definition of the aggregate: one row per customer, zeros included, and per other id in the window's log.

    The columns are those of ``customer_activity``. ``avg_weekly_sessions`` is sessions / 8. ``window_start`` tells
    who counts: it is the window's for customers registered before its end, the next window's for those registered
    later, and null for ids that ``customer`` does not know and for events without a customer.
    """
    sessions = valid_events.sessions_by_customer(window)
    purchases = valid_events.purchases_by_customer(window)
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


def _separate(conn: sa.Connection, everybody: sa.Table, window: Window) -> tuple[int, dict[str, int], dict[str, int]]:
    """Keep the customers who count; returns how many, all valid events by kind, and the uncounted ones by reason."""
    sessions, purchases = everybody.c.sessions, everybody.c.purchases
    query = (
        sa.select(everybody.c.window_start, sa.func.count(), sa.func.sum(sessions), sa.func.sum(purchases))
        .where(everybody.c.customer_id.is_not(None))
        .group_by(everybody.c.window_start)
    )
    totals = {start: (count, int(opened), int(bought)) for start, count, opened, bought in conn.execute(query)}
    conn.execute(sa.delete(everybody).where(everybody.c.window_start.is_distinct_from(window.start)))
    nobody = (0, 0, 0)
    valid = {
        "sessions": sum(opened for _, opened, _ in totals.values()),
        "purchases": sum(bought for _, _, bought in totals.values()),
    }
    uncounted = {
        "unknown_customer": sum(totals.get(None, nobody)[1:]),
        "registered_later": sum(totals.get(window.end, nobody)[1:]),
    }
    return totals.get(window.start, nobody)[0], valid, uncounted
