"""Refunds: which of them count for a window. They lower a customer's spend there, at most to zero.

A refund counts in the window in which it occurred, whenever its purchase was. It is valid if it has a customer, a
timestamp within the window, and an amount above 0 and up to ``MAX_AMOUNT_CENTS``. Any other is rejected for the first
reason that fits, in the order of ``RejectReason``. A valid refund of a customer whom the campaign does not have lowers
nothing, and is counted as well.

Refunds are few. So these queries read the table itself, which has the rows whatever partitions exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.campaigns.valid_events import MAX_AMOUNT_CENTS
from engage.statuses import RejectReason
from engage.storage.schema import customer, refund
from engage.window import Window

KIND = "refunds"
"""Names them among a campaign's counts of events, if there are any."""

_missing = refund.c.customer_id.is_(None)
_amount_is_valid = refund.c.amount_cents.between(1, MAX_AMOUNT_CENTS)
_valid = sa.and_(~_missing, _amount_is_valid)
_invalid_amount = sa.and_(~_missing, sa.or_(~_amount_is_valid, refund.c.amount_cents.is_(None)))

REJECTED = (
    RejectReason.REFUND_MISSING_CUSTOMER,
    RejectReason.REFUND_INVALID_AMOUNT,
    RejectReason.REFUND_UNKNOWN_CUSTOMER,
)
"""Why a refund of the window does not count. The last reason takes the customers to know."""


def any_in(conn: sa.Connection, window: Window) -> bool:
    """Whether the window has any refund. It stops reading at the first one."""
    return conn.execute(sa.select(sa.literal(1)).where(_within(window)).limit(1)).first() is not None


def by_customer(window: Window, until: datetime | None = None) -> sa.Subquery:
    """``customer_id, refunds, refunded_cents`` for every customer id with a valid refund; of none after ``until``."""
    return (
        sa.select(
            refund.c.customer_id,
            sa.func.count().label(KIND),
            sa.cast(sa.func.sum(refund.c.amount_cents), sa.BigInteger).label("refunded_cents"),
        )
        .where(_within(window, until), _amount_is_valid)
        .group_by(refund.c.customer_id)
        .subquery("refunds")
    )


def counts(window: Window) -> sa.Select[*tuple[Any, ...]]:
    """The query for the number of valid refunds, and of those rejected for the first two reasons of ``REJECTED``."""
    return sa.select(*_counts()).select_from(refund).where(_within(window))


def _counts() -> Iterator[sa.ColumnElement[int]]:
    return (sa.func.count().filter(condition) for condition in (_valid, _missing, _invalid_amount))


def count_window(conn: sa.Connection, window: Window, until: datetime | None = None) -> tuple[int, dict[str, int]]:
    """The number of the window's valid refunds, and the rejected ones by reason; of none after ``until``."""
    if not any_in(conn, window):
        return 0, dict.fromkeys(REJECTED, 0)
    counted = sa.and_(customer.c.customer_id == refund.c.customer_id, customer.c.registered_at < window.end)
    query = (
        sa.select(*_counts(), sa.func.count().filter(_valid, customer.c.customer_id.is_(None)))
        .select_from(refund.outerjoin(customer, counted))
        .where(_within(window, until))
    )
    found, *rejected = conn.execute(query).one()
    return found, dict(zip(REJECTED, rejected, strict=True))


def count_outside_windows(conn: sa.Connection, as_of: datetime) -> dict[str, int]:
    """Rejected refunds that lie in no completed window, by reason, over the whole log; ``as_of`` is the present."""
    conditions = {
        RejectReason.REFUND_MISSING_TIMESTAMP: refund.c.refunded_at.is_(None),
        RejectReason.REFUND_FUTURE_DATED: refund.c.refunded_at > as_of,
    }
    return {
        reason: conn.execute(sa.select(sa.func.count()).select_from(refund).where(condition)).scalar_one()
        for reason, condition in conditions.items()
    }


def _within(window: Window, until: datetime | None = None) -> sa.ColumnElement[bool]:
    bounds = [refund.c.refunded_at >= window.start, refund.c.refunded_at < window.end]
    return sa.and_(*bounds, *([] if until is None else [refund.c.refunded_at <= until]))
