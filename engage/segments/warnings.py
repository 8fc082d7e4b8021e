"""Warns of rules that are allowed and still odd: a segment that no customer can be in, or an unknown name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from engage.segments.fields import FIELDS, Unit
from engage.segments.rules import AnyOf, Condition, Node, Not, Operator, Rules, Segment

_LEAST = {"spend_change": Fraction(-100)}
"""The smallest value of a field that can be below 0."""


def warnings(rules: Rules) -> list[str]:
    """Sentences about the rules, which have numbers in place of thresholds. A share may have no number yet."""
    found, taken = [], None
    for segment in rules.segments:
        if taken:
            found.append(f"Segment {segment.name} is always empty: {taken} before it has all customers.")
        elif _never(segment.when):
            found.append(f"Segment {segment.name} is always empty: its conditions exclude each other.")
        if taken is None and all(_always(node) for node in segment.when):
            taken = segment.name
        found += _unknown_segments(segment, rules)
    return found


def _unknown_segments(segment: Segment, rules: Rules) -> Iterator[str]:
    for one in segment.conditions():
        if FIELDS[one.field].unit is Unit.SEGMENT and one.value not in rules.names:
            yield f"Segment {segment.name} asks for {one.line}, and these rules have no segment {one.value}."


def _never(nodes: Iterable[Node]) -> bool:
    """Whether conditions that must all hold cannot, as far as their numbers alone say."""
    ranges: dict[str, list[Condition]] = {}
    for node in nodes:
        if isinstance(node, Condition):
            ranges.setdefault(node.field, []).append(node)
        elif isinstance(node, AnyOf):
            if all(_never([each]) for each in node.conditions):
                return True
        elif all(map(_always, node.conditions)):
            return True
    return any(_empty(field, conditions) for field, conditions in ranges.items())


def _empty(field: str, conditions: list[Condition]) -> bool:
    """Whether no value of a field meets the conditions."""
    if FIELDS[field].unit is Unit.SEGMENT:
        wanted = {one.value for one in conditions if one.operator is Operator.EQUAL}
        refused = {one.value for one in conditions if one.operator is Operator.UNEQUAL}
        return len(wanted) > 1 or bool(wanted & refused)
    low, low_open, high, high_open = _least(field), False, None, False
    for one in conditions:
        if one.number is None or one.asked:  # a share depends on the customers
            continue
        if one.operator in {Operator.ABOVE, Operator.AT_LEAST, Operator.EQUAL}:
            open_ = one.operator is Operator.ABOVE
            low, low_open = max((low, low_open), (one.number, open_))
        if one.operator in {Operator.BELOW, Operator.AT_MOST, Operator.EQUAL}:
            open_ = one.operator is Operator.BELOW
            if high is None or (one.number, not open_) < (high, not high_open):
                high, high_open = one.number, open_
    return high is not None and (low > high or (low == high and (low_open or high_open)))


def _always(node: Node) -> bool:
    """Whether a condition holds for each customer, as far as its numbers alone say."""
    if isinstance(node, AnyOf):
        return any(map(_always, node.conditions))
    if isinstance(node, Not):
        return _never(node.conditions)
    field = FIELDS[node.field]
    if node.number is None or node.asked or field.missing:
        return False
    least = _least(node.field)
    return (node.operator is Operator.AT_LEAST and node.number <= least) or (
        node.operator is Operator.ABOVE and node.number < least
    )


def _least(field: str) -> Fraction:
    return _LEAST.get(field, Fraction(0))
