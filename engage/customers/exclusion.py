"""Exclusion: an operator takes a customer out of the texts of every campaign, such as a bot or a test account.

The customer still counts in segments and charts. An exclusion says nothing about consent, and ends when an operator
includes the customer again, or with the customer's erasure.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from engage.customers.profile import no_such_customer
from engage.storage.schema import customer, customer_exclusion


@dataclass(frozen=True)
class Exclusion:
    """Who excluded a customer, when, and why."""

    customer_id: int
    reason: str
    excluded_by: str
    excluded_at: datetime


def exclude(conn: sa.Connection, customer_id: int, *, reason: str, by: str, as_of: datetime) -> bool:
    """Exclude the customer. Returns False if the customer was excluded before: the first exclusion stays.

    Raises:
        NoSuchCustomer: no customer has this id.
    """
    theirs = sa.select(customer.c.customer_id).where(customer.c.customer_id == customer_id)
    if conn.execute(theirs.with_for_update(read=True)).first() is None:  # the lock keeps an erasure out
        raise no_such_customer(customer_id)
    values = {"customer_id": customer_id, "reason": reason, "excluded_by": by, "excluded_at": as_of}
    add = insert(customer_exclusion).values(values).on_conflict_do_nothing()
    return conn.execute(add.returning(customer_exclusion.c.customer_id)).first() is not None


def include(conn: sa.Connection, customer_id: int) -> bool:
    """End the customer's exclusion. Returns False if there is none."""
    theirs = customer_exclusion.c.customer_id == customer_id
    return conn.execute(sa.delete(customer_exclusion).where(theirs)).rowcount > 0


def of(conn: sa.Connection, customers: Collection[int]) -> dict[int, Exclusion]:
    """The exclusions of these customers, by id."""
    ids = sa.literal(list(customers), ARRAY(sa.BigInteger))
    query = sa.select(customer_exclusion).where(customer_exclusion.c.customer_id == sa.any_(ids))
    return {row.customer_id: Exclusion(**row._asdict()) for row in conn.execute(query)}


def listed(conn: sa.Connection) -> list[Exclusion]:
    """All exclusions, the latest first."""
    query = sa.select(customer_exclusion).order_by(
        customer_exclusion.c.excluded_at.desc(), customer_exclusion.c.customer_id
    )
    return [Exclusion(**row._asdict()) for row in conn.execute(query)]
