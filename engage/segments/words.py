"""Says in words why a customer is in a segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engage.segments.fields import FIELDS, NEVER, Field, Unit, value
from engage.segments.matching import matches
from engage.segments.relative import Relative
from engage.segments.rules import AnyOf, Condition, Node, Operator, Rules, written

Writer = Callable[[Decimal], str]
_THAN = {
    Operator.BELOW: ("below", "not below"),
    Operator.AT_MOST: ("at most", "more than"),
    Operator.ABOVE: ("more than", "not more than"),
    Operator.AT_LEAST: ("at least", "less than"),
    Operator.EQUAL: ("equal to", "not equal to"),
    Operator.UNEQUAL: ("other than", "equal to"),
    Operator.IN: ("in", "not in"),
}
"""The words of a comparison that holds, and of one that does not."""


HOLDS = {operator: words for operator, (words, _) in _THAN.items()}
"""The words of each operator."""


def phrase(node: Node) -> str:
    """A condition in words, such as *Spend below low_spend_threshold*."""
    if isinstance(node, Condition):
        return f"{FIELDS[node.field].label} {HOLDS[node.operator]} {written(node.value)}"
    kind = "any of these" if isinstance(node, AnyOf) else "not all of these"
    return f"{kind}: {'; '.join(map(phrase, node.conditions))}"


def with_share(asked: Relative | None, number: str) -> str:
    """A number, and the share that became it, such as *lowest 20% = 87.40*."""
    return f"{asked.text} = {number}" if asked else number


class Words:
    """Writes sentences about one customer. ``amount`` and ``number`` write values."""

    def __init__(
        self,
        row: Mapping[str, Any],
        window_end: datetime,
        *,
        amount: Writer = "{:.2f}".format,
        number: Writer = "{:f}".format,
    ) -> None:
        self._row, self._end = row, window_end
        self._amount, self._number = amount, number

    def why(self, rules: Rules) -> list[str]:
        """Why the customer is in the segment that the rules give, in sentences.

        They name the conditions that hold, or the first one of each segment that does not.
        """
        missed = []
        for segment in rules.segments:
            failing = next((node for node in segment.when if not self._holds(node)), None)
            if failing is None:
                return [f"{segment.name}: {'; '.join(map(self._node, segment.when))}."]
            missed.append(f"Not {segment.name}: {self._node(failing)}.")
        return missed

    def _holds(self, node: Node) -> bool:
        return matches(node, self._row, self._end)

    def _node(self, node: Node) -> str:
        if isinstance(node, Condition):
            return self._condition(node)
        return " and ".join(self._condition(one) for one in self._deciding(node))

    def _deciding(self, node: Node) -> Iterator[Condition]:
        """The comparisons that made a condition hold, or not."""
        if isinstance(node, Condition):
            yield node
            return
        one_is_enough = self._holds(node) is isinstance(node, AnyOf)
        inner_held = self._holds(node) if isinstance(node, AnyOf) else not self._holds(node)
        decided = [each for each in node.conditions if self._holds(each) is inner_held]
        for each in decided[:1] if one_is_enough else decided:
            yield from self._deciding(each)

    def _condition(self, one: Condition) -> str:
        field = FIELDS[one.field]
        found = value(field, self._row, self._end)
        holds, not_so = _THAN[one.operator]
        bare = self._limit(field, one.value)
        limit = with_share(one.asked, bare)
        if found is None:
            return f"{field.words}: {field.missing.partition(':')[0]}"
        if found == NEVER and field.unit is Unit.DAYS:
            if one.asked:
                return f"{field.never}, so in no share of the customers"
            return f"{field.never}, so longer ago than {limit} days"
        than = holds if self._holds(one) else not_so
        verb = "are" if field.unit is Unit.NUMBER and found != 1 else "is"
        subject = self._subject(field, found)
        if isinstance(found, Fraction) and found != one.number and self._limit(field, rounded(found)) == bare:
            subject = f"{field.words} {rounded(found, 6):f}"  # two decimals would show them as equal
        return f"{subject} {verb} {than} {limit}"

    def _subject(self, field: Field, found: Fraction | str) -> str:
        if isinstance(found, str):
            return f"{field.words} {found}"
        if field.unit is Unit.DAYS:
            days = int(found)
            return f"{field.words} {days} {'day' if days == 1 else 'days'} before the window's end"
        if field.unit is Unit.NUMBER:
            return f"{self._number(rounded(found))} {field.one if found == 1 else field.words}"
        return f"{field.words} {self._limit(field, rounded(found))}"

    def _limit(self, field: Field, limit: Decimal | Fraction | Relative | str) -> str:
        if isinstance(limit, str | Relative):
            return written(limit)
        if isinstance(limit, Fraction):
            limit = rounded(limit, 6)
        if field.unit is Unit.AMOUNT:
            return self._amount(limit)
        plain = limit.normalize() + 0  # 2E+1 is 20 again
        return f"{self._number(plain)}{'%' if field.unit is Unit.PERCENT else ''}"


def rounded(found: Fraction, places: int = 3) -> Decimal:
    """A value rounded for people, unless it is whole."""
    exact = Decimal(found.numerator) / Decimal(found.denominator)
    return round(exact, places).normalize() if exact != exact.to_integral() else exact
