"""Compiles rules to SQLAlchemy, with every number and name as a bound parameter.

Each comparison is of a column with a constant, so that a million customers are decided in one cheap scan: a bound in
days becomes a moment, an amount becomes cents, and a fraction becomes the next whole number. ``matching`` decides the
same in Python.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import sqlalchemy as sa

from engage.segments.fields import FIELDS, Field, Unit
from engage.segments.matching import COMPARE
from engage.segments.rules import AnyOf, Condition, Node, Operator, Rules
from engage.window import WEEKS

_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LARGEST = 2**63 - 1
"""The largest bigint of Postgres."""
_LONGER = {Operator.AT_LEAST, Operator.ABOVE}
"""The operators that hold for what is longer ago."""


def segment(rules: Rules, rows: sa.FromClause, window_end: datetime) -> sa.ColumnElement[str]:
    """The segment of each row of ``customer_activity``. The rules have numbers in place of thresholds."""
    cases = [
        (sa.and_(*(_holds(node, rows, window_end) for node in one.when)), sa.literal(one.name, sa.Text))
        for one in rules.segments
    ]
    return sa.case(*cases, else_=sa.literal(rules.otherwise, sa.Text))


def _holds(node: Node, rows: sa.FromClause, window_end: datetime) -> sa.ColumnElement[bool]:
    """A condition that is true or false for each row, but not null."""
    if isinstance(node, Condition):
        return _compared(node, rows, window_end)
    held = [_holds(each, rows, window_end) for each in node.conditions]
    return sa.or_(*held) if isinstance(node, AnyOf) else sa.not_(sa.and_(*held))


def _compared(node: Condition, rows: sa.FromClause, window_end: datetime) -> sa.ColumnElement[bool]:
    field, compare = FIELDS[node.field], COMPARE[node.operator]
    if field.unit is Unit.SEGMENT:
        return _known(compare(rows.c[field.column], sa.literal(node.value, sa.Text)))
    assert node.number is not None
    if field.unit is Unit.DAYS:
        held = _days_ago(rows.c[field.column], node.operator, node.number, window_end)
        return sa.and_(rows.c[field.column].is_not(None), held) if node.asked else held
    if not field.column:
        return _quotient(node, rows)
    if field.real:
        return _known(compare(rows.c[field.column], sa.literal(float(node.number), sa.Double)))
    held = _whole(rows.c[field.column], node.operator, node.number * per_unit(field))
    return _known(held) if field.missing else held


def per_unit(field: Field) -> int:
    """What the column holds for a field's number of 1, such as 100 cents."""
    return WEEKS if field.name == "avg_weekly_sessions" else 100 if field.unit is Unit.AMOUNT else 1


def _known(held: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """A comparison that does not hold if a value is missing."""
    return sa.func.coalesce(held, sa.false())


def _whole(column: sa.ColumnElement[int], sign: Operator, bound: Fraction) -> sa.ColumnElement[bool]:
    """A bigint compared with a number, which is rounded so that the outcome stays the same."""
    whole = floor(bound) if sign in {Operator.AT_MOST, Operator.ABOVE} else ceil(bound)
    if bound != whole and sign in {Operator.EQUAL, Operator.UNEQUAL}:
        return sa.and_(column.is_not(None), sa.literal(sign is Operator.UNEQUAL))
    assert abs(whole) <= _LARGEST
    held: sa.ColumnElement[bool] = COMPARE[sign](column, sa.literal(whole, sa.BigInteger))
    return held


def _days_ago(
    column: sa.ColumnElement[datetime], sign: Operator, days: Fraction, window_end: datetime
) -> sa.ColumnElement[bool]:
    """Whole days from a time to the window's end, compared. A missing time is longer ago than any number."""
    if sign in {Operator.EQUAL, Operator.UNEQUAL}:
        if days != floor(days):
            return sa.literal(sign is Operator.UNEQUAL)
        later = _days_ago(column, Operator.AT_LEAST, days, window_end)
        both = sa.and_(later, _days_ago(column, Operator.AT_MOST, days, window_end))
        return both if sign is Operator.EQUAL else sa.not_(both)
    first = {  # the first whole number of days at which it holds, or no longer does
        Operator.BELOW: ceil(days),
        Operator.AT_LEAST: ceil(days),
        Operator.AT_MOST: floor(days) + 1,
        Operator.ABOVE: floor(days) + 1,
    }[sign]
    if first <= 0:
        return sa.literal(sign in _LONGER)
    if first > (window_end - _EARLIEST).days:  # before all times, but for never
        return column.is_(None) if sign in _LONGER else column.is_not(None)
    moment = sa.literal(window_end - timedelta(days=first), sa.DateTime(timezone=True))
    if sign in _LONGER:
        return sa.func.coalesce(column <= moment, sa.true())
    return sa.func.coalesce(column > moment, sa.false())


def _quotient(node: Condition, rows: sa.FromClause) -> sa.ColumnElement[bool]:
    """A quotient compared without dividing: a / b < c if a < c × b, for a b above 0. Missing if b is 0 or missing."""
    above: sa.ColumnElement[Decimal] = sa.cast(rows.c.total_spend_cents, sa.Numeric)
    below: sa.ColumnElement[int] = rows.c.purchases
    hundred = sa.literal(Decimal(100), sa.Numeric)
    if node.field == "average_purchase":  # cents / 100 / purchases
        bound = below * hundred
    else:  # 100 × the difference / the spend before
        below = rows.c.previous_total_spend_cents
        above, bound = (above - below) * hundred, sa.cast(below, sa.Numeric)
    value = node.value
    if isinstance(value, Fraction):  # a decimal that never ends
        above, value = above * sa.literal(Decimal(value.denominator), sa.Numeric), Decimal(value.numerator)
    return _known(sa.and_(below > 0, COMPARE[node.operator](above, bound * sa.literal(value, sa.Numeric))))
