"""The order of customers by a field, as SQL: a key to sort by, and the exact value that a key stands for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

import sqlalchemy as sa

from engage.segments.fields import FIELDS, Unit
from engage.segments.relative import Side
from engage.segments.sql import per_unit

Key = int | float
"""A value of a sort key."""


@dataclass(frozen=True)
class Order:
    """How rows of ``customer_activity`` are in order by a field.

    ``key``: what to sort by, null for a row without a value. ``ratio``: the two whole numbers whose quotient the key
    rounds, if it does; the second is above 0. A value is the key, or the exact quotient, times ``scale`` plus
    ``offset``. ``step``: a small distance to a later value.
    """

    key: sa.ColumnElement[Key]
    step: Fraction
    scale: Fraction
    offset: Fraction = Fraction(0)
    ratio: tuple[sa.ColumnElement[int], sa.ColumnElement[int]] | None = None
    is_complete: bool = False
    """Whether each row has a value."""

    def value(self, key: Key | Fraction) -> Fraction:
        """The field's value for a key, or for an exact quotient."""
        return Fraction(str(key)) * self.scale + self.offset

    def reversed(self) -> Order:
        """The order with the highest value first."""
        ratio = self.ratio and (-self.ratio[0], self.ratio[1])
        return replace(self, key=-self.key, step=-self.step, scale=-self.scale, ratio=ratio)


def order(field: str, rows: sa.FromClause, window_end: datetime, side: Side) -> Order:
    """The order of the rows by a field that has one, counted from a side."""
    found = _order(field, rows, window_end)
    return found if side is Side.LOWEST else found.reversed()


def _order(name: str, rows: sa.FromClause, window_end: datetime) -> Order:
    field = FIELDS[name]
    if field.unit is Unit.DAYS:
        age = sa.literal(window_end, sa.DateTime(timezone=True)) - rows.c[field.column]
        return Order(sa.cast(sa.func.date_part("day", age), sa.BigInteger), step=Fraction(1), scale=Fraction(1))
    if name == "average_purchase":  # cents / purchases
        cent = Fraction(1, 100)
        return _quotient(rows.c.total_spend_cents, rows.c.purchases, step=cent, scale=cent)
    if name == "spend_change":  # 100 × spend / spend before − 100
        before = rows.c.previous_total_spend_cents
        return _quotient(rows.c.total_spend_cents, before, step=Fraction(1), scale=Fraction(100), offset=Fraction(-100))
    column, unit = rows.c[field.column], Fraction(1, per_unit(field))
    return Order(column, step=unit, scale=unit, is_complete=not column.nullable)


def _quotient(
    above: sa.ColumnElement[int],
    below: sa.ColumnElement[int],
    *,
    step: Fraction,
    scale: Fraction,
    offset: Fraction = Fraction(0),
) -> Order:
    key = sa.case((below > 0, sa.cast(above, sa.Double) / sa.cast(below, sa.Double)))
    return Order(key, step, scale, offset, ratio=(above, below))
