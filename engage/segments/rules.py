"""The tree that the rules of a campaign are kept in: segments in order, each with conditions that must all hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

from pydantic import BaseModel, ConfigDict

from engage.segments.fields import FIELDS, Field
from engage.segments.relative import Relative, Resolved, Side

Thresholds = Mapping[str, Decimal | Relative]
"""What each threshold is set to, by setting."""


class Operator(StrEnum):
    """How a condition compares."""

    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="
    EQUAL = "="
    UNEQUAL = "!="
    IN = "in"
    """Only with a share or a number of customers, such as ``in lowest 20%``."""


ORDERING = (Operator.BELOW, Operator.AT_MOST, Operator.ABOVE, Operator.AT_LEAST)
"""The operators that may compare with a share of the customers."""
_OF_SHARE = {Side.LOWEST: Operator.BELOW, Side.HIGHEST: Operator.ABOVE}
"""What ``in`` means once the number is known."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Condition(_Frozen):
    """One comparison. ``value`` is a number, the name of a threshold or of a segment, or a share of the customers."""

    field: str
    operator: Operator
    value: Decimal | Fraction | Relative | str
    asked: Relative | None = None
    """The share that became the number ``value``. A customer without a value of the field is in none."""

    @property
    def line(self) -> str:
        """The condition as an operator writes it."""
        return f"{self.field} {self.operator} {written(self.value)}"

    @property
    def number(self) -> Fraction | None:
        """The number that it compares with; None if it is a name, or not known yet."""
        return Fraction(self.value) if isinstance(self.value, Decimal | Fraction) else None

    @property
    def threshold(self) -> str | None:
        """The setting that holds the value, if one does."""
        named = isinstance(self.value, str) and self.value.endswith("_threshold")
        return str(self.value) if named else None

    def to_json(self) -> str:
        return self.line


class AnyOf(_Frozen):
    """Holds if at least one of its conditions does."""

    conditions: tuple[Node, ...]

    def to_json(self) -> dict[str, Any]:
        return {"any": [node.to_json() for node in self.conditions]}


class Not(_Frozen):
    """Holds unless all of its conditions do."""

    conditions: tuple[Node, ...]

    def to_json(self) -> dict[str, Any]:
        return {"not": [node.to_json() for node in self.conditions]}


Node = Condition | AnyOf | Not
AnyOf.model_rebuild()
Not.model_rebuild()


@dataclass(frozen=True)
class Share:
    """A share of the customers that rules ask for, by one field; ``operators``: how they compare with its number."""

    relative: Relative
    field: str
    operators: tuple[Operator, ...]


class Segment(_Frozen):
    """A segment: the customers for whom all conditions hold, and who are in no segment before it."""

    name: str
    when: tuple[Node, ...]

    def conditions(self) -> Iterator[Condition]:
        """All comparisons, at every depth, in order."""
        return _conditions(self.when)


class Rules(_Frozen):
    """All segments, in order: the first that fits has the customer, and ``otherwise`` all customers who are left."""

    segments: tuple[Segment, ...]
    otherwise: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all segments in order, ``otherwise`` last."""
        return (*self.named, self.otherwise)

    @property
    def named(self) -> tuple[str, ...]:
        """The names of the segments that may have a text: all but ``otherwise``."""
        return tuple(segment.name for segment in self.segments)

    @property
    def thresholds(self) -> tuple[str, ...]:
        """The thresholds that the conditions name, each once, in order."""
        named = (one.threshold for segment in self.segments for one in segment.conditions())
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def reaching_back(self) -> tuple[str, ...]:
        """The segments with a condition that needs the campaign of the window before."""
        return self._with(lambda field: field.reaches_back)

    @property
    def adding_up(self) -> tuple[str, ...]:
        """The segments with a condition on a sum of several windows."""
        return self._with(lambda field: field.adds_up)

    def _with(self, wanted: Callable[[Field], bool]) -> tuple[str, ...]:
        """The segments with a condition on such a field."""
        return tuple(one.name for one in self.segments if any(wanted(FIELDS[each.field]) for each in one.conditions()))

    def naming(self, *fields: str) -> tuple[str, ...]:
        """The segments with a condition on one of these fields."""
        return tuple(one.name for one in self.segments if any(each.field in fields for each in one.conditions()))

    def shared(self, other: Rules) -> tuple[str, ...]:
        """The segments that both rules write alike, as far as they agree from the first one on.

        A segment after the first difference may have other customers, whatever its own conditions are.
        """
        named: list[str] = []
        for one, another in zip(self.segments, other.segments, strict=False):
            if one != another:
                return tuple(named)
            named.append(one.name)
        return self.names if self == other else tuple(named)

    def shares(self, thresholds: Thresholds) -> dict[str, Share]:
        """The shares of the customers that the conditions ask for, by threshold or by line, each once, in order."""
        found: dict[str, Share] = {}
        for one in (each for segment in self.segments for each in segment.conditions()):
            asked = thresholds[one.threshold] if one.threshold else one.value
            if isinstance(asked, Relative):
                key = one.threshold or one.line
                others = found[key].operators if key in found else ()
                found[key] = Share(asked, one.field, tuple(dict.fromkeys((*others, one.operator))))
        return found

    def resolved(self, thresholds: Thresholds, found: Mapping[str, Resolved]) -> Rules:
        """The rules with the number in place of each threshold, and of each share that ``found`` knows.

        Raises:
            KeyError: ``thresholds`` lacks one.
        """

        def number(one: Condition) -> Condition:
            value = thresholds[one.threshold] if one.threshold else one.value
            known = found.get(one.threshold or one.line) if isinstance(value, Relative) else None
            if known is None or not isinstance(value, Relative):
                return one if value is one.value else one.model_copy(update={"value": value})
            operator = _OF_SHARE[value.side] if one.operator is Operator.IN else one.operator
            return one.model_copy(update={"value": known.exact, "operator": operator, "asked": value})

        segments = (Segment(name=one.name, when=_mapped(one.when, number)) for one in self.segments)
        return Rules(segments=tuple(segments), otherwise=self.otherwise)

    def to_json(self) -> dict[str, Any]:
        """The rules in the form that ``reading.parse`` takes."""
        segments = [{"name": one.name, "when": [node.to_json() for node in one.when]} for one in self.segments]
        return {"segments": segments, "otherwise": self.otherwise}


def _conditions(nodes: tuple[Node, ...]) -> Iterator[Condition]:
    for node in nodes:
        if isinstance(node, Condition):
            yield node
        else:
            yield from _conditions(node.conditions)


def _mapped(nodes: tuple[Node, ...], change: Callable[[Condition], Condition]) -> tuple[Node, ...]:
    return tuple(
        change(node)
        if isinstance(node, Condition)
        else node.model_copy(update={"conditions": _mapped(node.conditions, change)})
        for node in nodes
    )


def written(value: Decimal | Fraction | Relative | str) -> str:
    """A value as an operator writes it."""
    if isinstance(value, Relative):
        return value.text
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


DEFAULT = Rules(
    segments=(
        Segment(
            name="BOOST",
            when=(Condition(field="total_spend", operator=Operator.BELOW, value="low_spend_threshold"),),
        ),
        Segment(
            name="REWARD",
            when=(Condition(field="avg_weekly_sessions", operator=Operator.ABOVE, value="high_activity_threshold"),),
        ),
    ),
    otherwise="NONE",
)
"""The rule without a Variable ``engage_segments``."""
