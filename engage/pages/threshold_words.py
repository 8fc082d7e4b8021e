"""Thresholds in words, and the lines that charts of spend and of sessions have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from engage import formats
from engage.currency import currency
from engage.segments import DEFAULT, FIELDS, Condition, Operator, Segment, Unit
from engage.settings import Settings

SPEND, SESSIONS = "total_spend", "avg_weekly_sessions"
"""The fields that have charts."""
_WORDS = {
    Operator.BELOW: "below",
    Operator.AT_MOST: "up to",
    Operator.ABOVE: "above",
    Operator.AT_LEAST: "from",
    Operator.EQUAL: "at",
    Operator.UNEQUAL: "other than",
}
_A_WEEK = "avg_weekly_sessions"


@dataclass(frozen=True)
class RuleLine:
    """The first number that the rules compare with a field. ``name``: what it decides, such as *BOOST below*."""

    name: str
    value: Decimal

    def words(self, form: Callable[[Decimal], str]) -> str:
        """The line in words, such as *BOOST below $100*."""
        return f"{self.name} {form(self.value)}"


@dataclass(frozen=True)
class Threshold:
    """A threshold as a table shows it: its setting, a name such as *Low spend below*, and its value such as *$100*."""

    setting: str
    name: str
    value: str
    sign: str
    """How the rules compare with it, such as ``<``."""

    @property
    def short(self) -> str:
        """The comparison alone, such as *< $100*."""
        return f"{self.sign} {self.value}"


def default(settings: Settings) -> bool:
    """Whether the rules are those without a Variable ``engage_segments``."""
    return settings.segments == DEFAULT


def rule_line(settings: Settings, field: str) -> RuleLine | None:
    """The line of a field's chart; None if the rules compare nothing with the field."""
    for segment, one in _conditions(settings):
        if one.field == field:
            value = one.value if isinstance(one.value, Decimal) else settings.threshold(one.value)
            # further conditions decide, too, unless there is only one
            alone = segment.when == (one,)
            return RuleLine(f"{segment.name} {_WORDS[one.operator]}" if alone else _short(one.threshold), value)
    return None


def thresholds(settings: Settings) -> list[Threshold]:
    """The thresholds that the rules name, in order."""
    found: dict[str, Threshold] = {}
    for _, one in _conditions(settings):
        if (name := one.threshold) and name not in found:
            value = in_unit(settings.threshold(name), one.field)
            found[name] = Threshold(name, f"{_short(name)} {_WORDS[one.operator]}", value, one.operator)
    return list(found.values())


def in_unit(value: Decimal, field: str) -> str:
    """A value that is compared with a field, such as $100, 28 days or 5 a week."""
    unit = FIELDS[field].unit
    if unit is Unit.AMOUNT:
        return formats.threshold(value, currency())
    text = formats.number(value)
    return text + {Unit.DAYS: " day" if value == 1 else " days", Unit.PERCENT: "%"}.get(
        unit, " a week" if field == _A_WEEK else ""
    )


def _conditions(settings: Settings) -> Iterator[tuple[Segment, Condition]]:
    return ((segment, one) for segment in settings.segments.segments for one in segment.conditions())


def _short(threshold: str | None) -> str:
    """A threshold's name for people; the settings' labels are longer."""
    return threshold.removesuffix("_threshold").replace("_", " ").capitalize() if threshold else "Limit"
