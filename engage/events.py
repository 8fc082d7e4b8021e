"""What counts: which rows of the raw log are valid events of a window, said once for every step.

Valid: customer present, timestamp within the window, amount (of a purchase) from 0 to ``MAX_AMOUNT_CENTS``. A row
that is not valid is counted under the first reason that fits it, in this order: no timestamp, in the future, no
customer, invalid amount. The first two are counted over the whole log, as such rows lie in no completed window.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from engage.schema import EVENT_TIMES, app_session, customer, purchase
from engage.window import Window

MAX_AMOUNT_CENTS = 10**12
"""No meal costs more, and no sum of such amounts leaves the range of a bigint."""

REASONS = (
    "missing_timestamp",
    "future_dated",
    "missing_customer",
    "invalid_amount",
    "unknown_customer",
    "registered_later",
)


def within(table: sa.Table, window: Window) -> sa.ColumnElement[bool]:
    """Rows of ``table`` with a timestamp in the window."""
    return sa.and_(EVENT_TIMES[table] >= window.start, EVENT_TIMES[table] < window.end)


def valid(table: sa.Table, window: Window) -> sa.ColumnElement[bool]:
    """Rows of ``table`` that count for the window, whoever the customer is."""
    condition = sa.and_(within(table, window), table.c.customer_id.is_not(None))
    return sa.and_(condition, _amount_is_valid()) if table is purchase else condition


def _amount_is_valid() -> sa.ColumnElement[bool]:
    return purchase.c.amount_cents.between(0, MAX_AMOUNT_CENTS)


def sessions_by_customer(window: Window) -> sa.Subquery:
    """``customer_id, sessions`` for every customer id with a valid session."""
    return (
        sa.select(app_session.c.customer_id, sa.func.count().label("sessions"))
        .where(valid(app_session, window))
        .group_by(app_session.c.customer_id)
        .subquery("sessions")
    )


def purchases_by_customer(window: Window) -> sa.Subquery:
    """``customer_id, purchases, total_spend_cents`` for every customer id with a valid purchase."""
    spend = sa.cast(sa.func.sum(purchase.c.amount_cents), sa.BigInteger)
    return (
        sa.select(purchase.c.customer_id, sa.func.count().label("purchases"), spend.label("total_spend_cents"))
        .where(valid(purchase, window))
        .group_by(purchase.c.customer_id)
        .subquery("purchases")
    )


def count_window(conn: sa.Connection, window: Window) -> tuple[dict[str, int], dict[str, int]]:
    """The window's valid events by kind, and its rejected ones by reason, in one pass."""
    opened = conn.execute(
        sa.select(sa.func.count(), sa.func.count(app_session.c.customer_id)).where(within(app_session, window))
    ).one()
    has_customer = purchase.c.customer_id.is_not(None)
    bought = conn.execute(
        sa.select(
            sa.func.count(),
            sa.func.count(purchase.c.customer_id),
            sa.func.count().filter(has_customer, _amount_is_valid()),
        ).where(within(purchase, window))
    ).one()
    rejected = {
        "missing_customer": opened[0] - opened[1] + bought[0] - bought[1],
        "invalid_amount": bought[1] - bought[2],
    }
    return {"sessions": opened[1], "purchases": bought[2]}, rejected


def count_outside_windows(conn: sa.Connection, as_of: datetime) -> dict[str, int]:
    """Rejected events of the whole log that lie in no completed window, by reason."""
    return {
        "missing_timestamp": sum(_count(conn, table, time.is_(None)) for table, time in EVENT_TIMES.items()),
        "future_dated": sum(_count(conn, table, time > as_of) for table, time in EVENT_TIMES.items()),
    }


def of_customers_registered_later(conn: sa.Connection, window: Window) -> int:
    """Valid events whose customer registered at or after the window's end."""
    later = sa.select(customer.c.customer_id).where(customer.c.registered_at >= window.end)
    if not conn.execute(sa.select(later.exists())).scalar_one():
        return 0  # spares a scan of the window
    return sum(_count(conn, table, valid(table, window), table.c.customer_id.in_(later)) for table in EVENT_TIMES)


def of_unknown_customers(conn: sa.Connection, window: Window) -> bool:
    """Whether the window holds any event of an id that ``customer`` does not know."""
    for table in EVENT_TIMES:
        known = sa.exists().where(customer.c.customer_id == table.c.customer_id)
        stray = sa.select(sa.literal(1)).where(within(table, window), table.c.customer_id.is_not(None), ~known)
        if conn.execute(sa.select(stray.exists())).scalar_one():
            return True
    return False


def _count(conn: sa.Connection, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
    return conn.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one()
