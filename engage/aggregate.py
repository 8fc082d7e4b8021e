"""Step 3: each customer's sessions, purchases and spend over the window."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from engage import campaign, events, partitions
from engage.schema import customer, customer_activity
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
        customers = partitions.replace(step.conn, customer_activity, window, activity(window))
        valid, rejected = found.events, found.rejected
        later = events.of_customers_registered_later(step.conn, window)
        counted = later + _events_counted(step.conn, window)
        if counted > sum(valid.values()):  # more have arrived since extract; the log only grows, so count it again
            valid, in_window = events.count_window(step.conn, window)
            rejected = rejected | in_window
        rejected = rejected | {"registered_later": later, "unknown_customer": sum(valid.values()) - counted}
        step.save(status="aggregated", customers=customers, events=valid, rejected=rejected, buckets=None)
        return AggregateSummary(customers, rejected)


def activity(window: Window) -> sa.Select[tuple[object, ...]]:
    """The definition of the aggregate: one row per customer registered before the window's end, zeros included.

    The columns are those of ``customer_activity``. ``avg_weekly_sessions`` is sessions / 8.
    """
    sessions = events.sessions_by_customer(window)
    purchases = events.purchases_by_customer(window)
    count = sa.func.coalesce(sessions.c.sessions, 0)
    return (
        sa.select(
            sa.cast(window.start, sa.DateTime(timezone=True)).label("window_start"),
            customer.c.customer_id,
            count.label("sessions"),
            sa.func.coalesce(purchases.c.purchases, 0).label("purchases"),
            sa.func.coalesce(purchases.c.total_spend_cents, 0).label("total_spend_cents"),
            (sa.cast(count, sa.Double) / WEEKS).label("avg_weekly_sessions"),
        )
        .outerjoin_from(customer, sessions, sessions.c.customer_id == customer.c.customer_id)
        .outerjoin(purchases, purchases.c.customer_id == customer.c.customer_id)
        .where(customer.c.registered_at < window.end)
    )


def _events_counted(conn: sa.Connection, window: Window) -> int:
    rows = partitions.of(customer_activity, window)
    counted = sa.func.coalesce(sa.func.sum(rows.c.sessions + rows.c.purchases), 0)
    return int(conn.execute(sa.select(counted)).scalar_one())
