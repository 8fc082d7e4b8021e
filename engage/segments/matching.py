"""Decides a customer's segment in Python, exactly as ``sql`` decides it in the database."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from engage.segments.fields import FIELDS, NEVER, Field, Unit, value
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
        found = value(field, row, window_end)
        never = field.unit is Unit.DAYS and found == NEVER
        if found is None or (never and node.asked):
            return False
        return bool(COMPARE[node.operator](found, node.value if node.number is None else _bound(field, node.number)))
    held = (matches(each, row, window_end) for each in node.conditions)
    return any(held) if isinstance(node, AnyOf) else not all(held)


def _bound(field: Field, number: Fraction) -> Fraction:
    """A number as it is compared with the field."""
    return Fraction(float(number)) if field.real else number
