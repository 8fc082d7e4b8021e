"""Decides a customer's segment in Python, exactly as ``sql`` decides it in the database."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engage.segments.fields import FIELDS, Field, value
from engage.segments.rules import AnyOf, Condition, Node, Operator, Rules

COMPARE: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.BELOW: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.ABOVE: operator.gt,
    Operator.AT_LEAST: operator.ge,
    Operator.EQUAL: operator.eq,
    Operator.UNEQUAL: operator.ne,
}


def segment_of(rules: Rules, row: Mapping[str, Any], window_end: datetime) -> str:
    """The segment of one row of ``customer_activity``. The rules have numbers in place of thresholds."""
    for segment in rules.segments:
        if all(matches(node, row, window_end) for node in segment.when):
            return segment.name
    return rules.otherwise


def matches(node: Node, row: Mapping[str, Any], window_end: datetime) -> bool:
    """Whether a condition holds for the row."""
    if isinstance(node, Condition):
        field = FIELDS[node.field]
        found, wanted = value(field, row, window_end), _number(field, node.value)
        return found is not None and bool(COMPARE[node.operator](found, wanted))
    held = (matches(each, row, window_end) for each in node.conditions)
    return any(held) if isinstance(node, AnyOf) else not all(held)


def _number(field: Field, bound: Decimal | str) -> Fraction | str:
    """A bound as it is compared with the field."""
    if isinstance(bound, str):
        return bound
    return Fraction(float(bound) if field.real else bound)
