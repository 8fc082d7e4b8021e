"""Valid events: which rows of the raw log count for a window, defined once for every step.

A row is valid if it has a customer, a timestamp within the window and, for a purchase, an amount from 0 to
``MAX_AMOUNT_CENTS``. Any other row is rejected for the first reason that fits, in the order of ``RejectReason``. Rows
without a timestamp or with one in the future lie in no completed window, so they are counted over the whole log.

Views, likes and baskets (``app_event``) count for a customer by the same rule. They are in no total of valid or
rejected events: to count them would cost ``extract`` one more scan, and the guard judges sessions and purchases.

The partition of a window holds exactly its rows, so these queries do not compare timestamps with its bounds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.statuses import AppEventKind, RejectReason
from engage.storage import partitions
from engage.storage.partitions import HASH_MODULUS
from engage.storage.schema import EVENT_TIMES, app_event, app_session, customer, purchase
from engage.window import Window

DAY = timedelta(days=1)
MAX_AMOUNT_CENTS = 10**12
"""Above the price of any order, and small enough that sums stay within a bigint."""


def sessions_by_customer(window: Window, until: datetime | None = None) -> sa.Subquery:
    """``customer_id, sessions, last_session_at`` for every customer id in the log; rows without an id form a group.

    ``until``: the window is still running, and later events do not count.
    """
    log = partitions.of(app_session, window)
    return (
        sa.select(
            log.c.customer_id,
            sa.func.count().label("sessions"),
            sa.func.max(log.c.started_at).label("last_session_at"),
        )
        .where(*_by(until, log.c.started_at))
        .group_by(log.c.customer_id)
        .subquery("sessions")
    )


def purchases_by_customer(window: Window, until: datetime | None = None) -> sa.Subquery:
    """``customer_id, purchases, total_spend_cents, first_purchase_at, last_purchase_at``, grouped in the same way.

    Only purchases with a valid amount count.
    """
    log = partitions.of(purchase, window)
    return (
        sa.select(
            log.c.customer_id,
            sa.func.count().label("purchases"),
            sa.cast(sa.func.sum(log.c.amount_cents), sa.BigInteger).label("total_spend_cents"),
            sa.func.min(log.c.purchased_at).label("first_purchase_at"),
            sa.func.max(log.c.purchased_at).label("last_purchase_at"),
        )
        .where(_amount_is_valid(log), *_by(until, log.c.purchased_at))
        .group_by(log.c.customer_id)
        .subquery("purchases")
    )


def largest_purchases(window: Window, *, above: int, customers: list[int] | None = None) -> sa.Subquery:
    """``customer_id, cents``: each customer's largest purchase of more than ``above`` cents; of ``customers`` only."""
    log = partitions.of(purchase, window)
    query = (
        sa.select(log.c.customer_id, sa.func.max(log.c.amount_cents).label("cents"))
        .where(_amount_is_valid(log), log.c.amount_cents > above)
        .group_by(log.c.customer_id)
    )
    if customers is not None:  # then Postgres reads only their pieces of the log
        query = query.where(log.c.customer_id == sa.any_(sa.literal(customers, ARRAY(sa.BigInteger))))
    return query.subquery("largest_purchases")


def app_events_by_customer(window: Window, until: datetime | None = None) -> sa.Subquery:
    """``customer_id, viewed, liked, added_to_basket``, grouped in the same way."""
    log = partitions.of(app_event, window)
    counts = (sa.func.count().filter(log.c.kind == kind).label(kind) for kind in AppEventKind)
    query = sa.select(log.c.customer_id, *counts).where(*_by(until, log.c.occurred_at))
    return query.group_by(log.c.customer_id).subquery("app_events")


def any_app_event(conn: sa.Connection, window: Window) -> bool:
    """Whether the window has any view, like or basket. It stops reading at the first one."""
    return conn.execute(sa.select(partitions.of(app_event, window).c.kind).limit(1)).first() is not None


def favourite_items(window: Window, *, as_page: bool = False, until: datetime | None = None) -> sa.Subquery:
    """``customer_id, favourite_item``: the item that a customer has viewed or liked most often.

    Of two items as often, it is the one with more likes, then the one with the smaller id. With ``as_page`` it reads
    the table itself, as a page has no right on its partitions.
    """
    within = sa.and_(app_event.c.occurred_at >= window.start, app_event.c.occurred_at < window.end)
    log = sa.select(app_event).where(within).subquery("log") if as_page else partitions.of(app_event, window)
    item_id = sa.collate(log.c.item_id, "C").label("item_id")  # the same order on every server
    liked = sa.func.count().filter(log.c.kind == AppEventKind.LIKED).label("liked")
    by_item = (
        sa.select(log.c.customer_id, item_id, sa.func.count().label("events"), liked)
        .where(log.c.kind.in_([AppEventKind.VIEWED, AppEventKind.LIKED]), log.c.item_id != "")
        .where(*_by(until, log.c.occurred_at))
        .group_by(log.c.customer_id, item_id)
        .subquery("by_item")
    )
    best_first = (by_item.c.events.desc(), by_item.c.liked.desc(), by_item.c.item_id)
    place = sa.func.row_number().over(partition_by=by_item.c.customer_id, order_by=best_first)
    placed = sa.select(by_item.c.customer_id, by_item.c.item_id, place.label("place")).subquery("placed")
    as_its_column = sa.collate(placed.c.item_id, "default")  # else the partition cannot be attached
    return (
        sa.select(placed.c.customer_id, as_its_column.label("favourite_item"))
        .where(placed.c.place == 1)
        .subquery("favourite_items")
    )


def _by(until: datetime | None, time: sa.ColumnElement[datetime]) -> tuple[sa.ColumnElement[bool], ...]:
    """The condition that an event is not after ``until``. Without one there is none: a whole window is read fastest."""
    return () if until is None else (time <= until,)


def _amount_is_valid(log: sa.FromClause) -> sa.ColumnElement[bool]:
    return log.c.amount_cents.between(0, MAX_AMOUNT_CENTS)


def count_window(conn: sa.Connection, window: Window) -> tuple[dict[str, int], dict[str, int]]:
    """The window's valid events by kind, and its rejected ones by reason.

    Events without a customer all lie in one hash partition, so a query of their own costs next to nothing, and the
    query over all events need not read the column.
    """
    sessions, purchases = partitions.of(app_session, window), partitions.of(purchase, window)
    [opened] = _counted(conn, sessions)
    [opened_without] = _counted(conn, sessions, without_customer=True)
    bought, paid = _counted(conn, purchases, _amount_is_valid(purchases))
    bought_without, paid_without = _counted(conn, purchases, _amount_is_valid(purchases), without_customer=True)
    valid = paid - paid_without
    rejected: dict[str, int] = {
        RejectReason.MISSING_CUSTOMER: opened_without + bought_without,
        RejectReason.INVALID_AMOUNT: bought - bought_without - valid,
    }
    return {"sessions": opened - opened_without, "purchases": valid}, rejected


def _counted(
    conn: sa.Connection, log: sa.FromClause, *conditions: sa.ColumnElement[bool], without_customer: bool = False
) -> list[int]:
    """How many rows a log has, and how many meet each condition; of all rows, or of those without a customer."""
    counts = (sa.func.count(), *(sa.func.count().filter(condition) for condition in conditions))
    query = sa.select(*counts).select_from(log)
    return [*conn.execute(query.where(log.c.customer_id.is_(None)) if without_customer else query).one()]


def by_day(
    table: sa.Table,
    window: Window,
    *,
    one_in: int = 1,
    days: Collection[datetime] = (),
    until: datetime | None = None,
) -> sa.Select[tuple[datetime, int]]:
    """``day, events``: a table's valid events on each day of the window that has any.

    ``one_in``: of one in so many customers, a power of 2. ``days``: the starts of the only days to count. ``until``: as
    in ``sessions_by_customer``.
    """
    pieces = range(HASH_MODULUS - max(1, HASH_MODULUS // one_in), HASH_MODULUS) if one_in > 1 else ()
    logs = [partitions.piece_of(table, window, piece) for piece in pieces] or [partitions.of(table, window)]
    found = [_days(table, log, window, days, until, every=max(1, one_in // HASH_MODULUS)) for log in logs]
    # Postgres takes the days of one table for as many as its times, and of a union for few, so that it groups them in
    # parallel. So there is always a union.
    listed = sa.union_all(*found, found[0].where(sa.false())).subquery()
    return sa.select(listed.c.day, sa.func.count().label("events")).group_by(listed.c.day)


def _days(
    table: sa.Table,
    log: sa.Table,
    window: Window,
    days: Collection[datetime],
    until: datetime | None,
    *,
    every: int,
) -> sa.Select[tuple[datetime]]:
    """The day of each valid event of every so manieth customer.

    ``date_bin`` takes half the time of a cast to a date, which knows time zones.
    """
    time, valid = valid_in(table, log)
    query = sa.select(sa.func.date_bin(sa.literal(DAY, sa.Interval), time, window.start).label("day")).where(
        valid, *_by(until, time)
    )
    if every > 1:
        query = query.where(log.c.customer_id % every == 0)
    return query.where(sa.or_(*(sa.and_(time >= one, time < one + DAY) for one in days))) if days else query


def count_outside_windows(conn: sa.Connection, as_of: datetime) -> dict[str, int]:
    """Rejected events that lie in no completed window, by reason, over the whole log. ``as_of`` is the present time."""
    return {
        RejectReason.MISSING_TIMESTAMP: sum(_count(conn, table, time.is_(None)) for table, time in EVENT_TIMES.items()),
        RejectReason.FUTURE_DATED: sum(_count(conn, table, time > as_of) for table, time in EVENT_TIMES.items()),
    }


def of_unknown_customers(conn: sa.Connection, window: Window) -> bool:
    """Whether the window holds an event with a customer id that is not in the table ``customer``."""
    for table in EVENT_TIMES:
        log = partitions.of(table, window)
        known = sa.exists().where(customer.c.customer_id == log.c.customer_id)
        stray = sa.select(log.c.customer_id).where(log.c.customer_id.is_not(None), ~known).limit(1)
        if conn.execute(stray).first():
            return True
    return False


def any_since(conn: sa.Connection, window: Window, moment: datetime, until: datetime | None = None) -> bool:
    """Whether the window has a valid event at ``moment`` or later. It stops reading at the first one."""
    return any(
        conn.execute(sa.select(sa.literal(1)).where(time >= moment, valid, *_by(until, time)).limit(1)).first()
        for time, valid in _valid(window)
    )


def newest(conn: sa.Connection, window: Window, until: datetime | None = None) -> datetime | None:
    """The time of the window's last valid event. It reads all of them."""
    queries = (sa.select(sa.func.max(time)).where(valid, *_by(until, time)) for time, valid in _valid(window))
    found = [conn.execute(query).scalar_one() for query in queries]
    return max((time for time in found if time), default=None)


def _valid(window: Window) -> Iterator[tuple[sa.ColumnElement[datetime], sa.ColumnElement[bool]]]:
    """For each log of the window: the column of its times, and the condition that an event is valid."""
    return (valid_in(table, partitions.of(table, window)) for table in EVENT_TIMES)


def valid_in(table: sa.Table, log: sa.Table) -> tuple[sa.ColumnElement[datetime], sa.ColumnElement[bool]]:
    """The column of times in ``log``, a part of sessions or purchases, and the condition that an event is valid."""
    valid = log.c.customer_id.is_not(None)
    return log.c[EVENT_TIMES[table].name], sa.and_(valid, _amount_is_valid(log)) if table is purchase else valid


def _count(conn: sa.Connection, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
    return conn.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one()
