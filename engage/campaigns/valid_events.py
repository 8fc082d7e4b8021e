"""What counts: which rows of the raw log are valid events of a window, said once for every step.

Valid: customer present, timestamp within the window, amount (of a purchase) from 0 to ``MAX_AMOUNT_CENTS``. A row
that is not valid is counted under the first reason that fits it, in this order: no timestamp, in the future, no
customer, invalid amount. The first two are counted over the whole log, as such rows lie in no completed window.

A window's rows are those of its partition, no more and no fewer, so nothing here compares them with its bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from engage.storage import partitions
from engage.storage.schema import EVENT_TIMES, app_session, customer, purchase
from engage.window import Window

MAX_AMOUNT_CENTS = 10**12
"""No meal costs more, and no sum of such amounts leaves the range of a bigint."""


def sessions_by_customer(window: Window) -> sa.Subquery:
    """``customer_id, sessions`` for every customer id of the window's log; rows without one are a group too."""
    log = partitions.of(app_session, window)
    return (
        sa.select(log.c.customer_id, sa.func.count().label("sessions")).group_by(log.c.customer_id).subquery("sessions")
    )


def purchases_by_customer(window: Window) -> sa.Subquery:
    """``customer_id, purchases, total_spend_cents`` of purchases with a valid amount; as ``sessions_by_customer``."""
    log = partitions.of(purchase, window)
    spend = sa.cast(sa.func.sum(log.c.amount_cents), sa.BigInteger)
    return (
        sa.select(log.c.customer_id, sa.func.count().label("purchases"), spend.label("total_spend_cents"))
        .where(_amount_is_valid(log))
        .group_by(log.c.customer_id)
        .subquery("purchases")
    )


def _amount_is_valid(log: sa.FromClause) -> sa.ColumnElement[bool]:
    return log.c.amount_cents.between(0, MAX_AMOUNT_CENTS)


def count_window(conn: sa.Connection, window: Window) -> tuple[dict[str, int], dict[str, int]]:
    """The window's valid events by kind, and its rejected ones by reason, in one pass.

    Events without a customer all lie in one of the window's pieces, so looking there for them costs next to nothing,
    and the pass over all need not read the column.
    """
    sessions, purchases = partitions.of(app_session, window), partitions.of(purchase, window)
    [opened] = _counted(conn, sessions)
    [opened_by_nobody] = _counted(conn, sessions, of_nobody=True)
    bought, paid = _counted(conn, purchases, _amount_is_valid(purchases))
    bought_by_nobody, paid_by_nobody = _counted(conn, purchases, _amount_is_valid(purchases), of_nobody=True)
    valid = paid - paid_by_nobody
    rejected = {
        "missing_customer": opened_by_nobody + bought_by_nobody,
        "invalid_amount": bought - bought_by_nobody - valid,
    }
    return {"sessions": opened - opened_by_nobody, "purchases": valid}, rejected


def _counted(
    conn: sa.Connection, log: sa.FromClause, *conditions: sa.ColumnElement[bool], of_nobody: bool = False
) -> list[int]:
    """How many rows a log has, and how many meet each condition; of everybody, or of those without a customer."""
    counts = (sa.func.count(), *(sa.func.count().filter(condition) for condition in conditions))
    query = sa.select(*counts).select_from(log)
    return [*conn.execute(query.where(log.c.customer_id.is_(None)) if of_nobody else query).one()]


def count_outside_windows(conn: sa.Connection, as_of: datetime) -> dict[str, int]:
    """Rejected events of the whole log that lie in no completed window, by reason."""
    return {
        "missing_timestamp": sum(_count(conn, table, time.is_(None)) for table, time in EVENT_TIMES.items()),
        "future_dated": sum(_count(conn, table, time > as_of) for table, time in EVENT_TIMES.items()),
    }


def of_unknown_customers(conn: sa.Connection, window: Window) -> bool:
    """Whether the window holds any event of an id that ``customer`` does not know."""
    for table in EVENT_TIMES:
        log = partitions.of(table, window)
        known = sa.exists().where(customer.c.customer_id == log.c.customer_id)
        stray = sa.select(log.c.customer_id).where(log.c.customer_id.is_not(None), ~known).limit(1)
        if conn.execute(stray).first():
            return True
    return False


def any_since(conn: sa.Connection, window: Window, moment: datetime) -> bool:
    """Whether the window has a valid event of ``moment`` or later: it looks no further than the first one."""
    return any(
        conn.execute(sa.select(sa.literal(1)).where(time >= moment, valid).limit(1)).first()
        for time, valid in _valid(window)
    )


def newest(conn: sa.Connection, window: Window) -> datetime | None:
    """When the last valid event of the window was; it reads all of them."""
    found = [conn.execute(sa.select(sa.func.max(time)).where(valid)).scalar_one() for time, valid in _valid(window)]
    return max((time for time in found if time), default=None)


def _valid(window: Window) -> Iterator[tuple[sa.ColumnElement[datetime], sa.ColumnElement[bool]]]:
    """For each log of the window, when its events happened, and which of them are valid."""
    for table, time in EVENT_TIMES.items():
        log = partitions.of(table, window)
        valid = log.c.customer_id.is_not(None)
        yield log.c[time.name], sa.and_(valid, _amount_is_valid(log)) if table is purchase else valid


def _count(conn: sa.Connection, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
    return conn.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one()
