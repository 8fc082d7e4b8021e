"""The order of customers by a field, as SQL: a key to sort by, and the exact value that a key stands for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

import sqlalchemy as sa

from engage.segments.fields import FIELDS, Unit
from engage.segments.sql import per_unit

Key = int | float
"""A value of a sort key."""


@dataclass(frozen=True)
class Order:
    """How rows of ``customer_activity`` are in order by a field.

    ``key``: what to sort by, null for a row without a value. ``ratio``: the two whole numbers whose quotient the key
    rounds, if it does; the second is above 0. A value is the key, or the exact quotient, times ``scale`` plus
    ``offset``. ``step``: a small distance of two values.
    """

    key: sa.ColumnElement[Key]
    step: Fraction
    scale: Fraction
    offset: Fraction = Fraction(0)
    ratio: tuple[sa.ColumnElement[int], sa.ColumnElement[int]] | None = None

    def value(self, key: Key | Fraction) -> Fraction:
        """The field's value for a key, or for an exact quotient."""
        return Fraction(str(key)) * self.scale + self.offset


def order(field_name: str, rows: sa.FromClause, window_end: datetime) -> Order:
    """The order of the rows by a field that has one."""
    field = FIELDS[field_name]
    if field.unit is Unit.DAYS:
        age = sa.literal(window_end, sa.DateTime(timezone=True)) - rows.c[field.column]
        return _plain(sa.cast(sa.func.date_part("day", age), sa.BigInteger), Fraction(1))
    if field_name == "average_purchase":  # cents / purchases
        cent = Fraction(1, 100)
        return _quotient(rows.c.total_spend_cents, rows.c.purchases, step=cent, scale=cent)
    if field_name == "spend_change":  # 100 × spend / spend before − 100
        before = rows.c.previous_total_spend_cents
        return _quotient(rows.c.total_spend_cents, before, step=Fraction(1), scale=Fraction(100), offset=Fraction(-100))
    return _plain(rows.c[field.column], Fraction(1, per_unit(field)))


def _plain(key: sa.ColumnElement[Key], scale: Fraction) -> Order:
    return Order(key, step=scale, scale=scale)


def _quotient(above: sa.ColumnElement[int], below: sa.ColumnElement[int], **numbers: Fraction) -> Order:
    key = sa.case((below > 0, sa.cast(above, sa.Double) / sa.cast(below, sa.Double)))
    return Order(key, ratio=(above, below), **numbers)
