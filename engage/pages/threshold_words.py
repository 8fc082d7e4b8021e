"""Thresholds in words, and the lines that charts of spend and of sessions have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from engage.reports.share_facts import in_unit, shown
from engage.segments import DEFAULT, Condition, Operator, Relative, Rules, Segment
from engage.segments.words import rounded, with_share
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


@dataclass(frozen=True)
class RuleLine:
    """The first number that the rules compare with a field. ``name``: what it decides, such as *BOOST below*."""

    name: str
    value: Decimal
    asked: Relative | None = None
    """The share that became the value."""

    def words(self, form: Callable[[Decimal], str]) -> str:
        """The line in words, such as *BOOST below $100*."""
        return f"{self.name} {with_share(self.asked, form(self.value))}"


@dataclass(frozen=True)
class Threshold:
    """A threshold as a table shows it: its setting, a name such as *Low spend below*, and its value such as *$100*.

    A share is shown with the number that it became.
    """

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
    """The line of a field's chart; None if the rules compare nothing with the field, or the number is not known."""
    for (segment, written), (_, one) in zip(_conditions(settings.segments), _conditions(settings.rules), strict=True):
        if one.field == field:
            # further conditions decide, too, unless there is only one
            alone = segment.when == (written,)
            name = f"{segment.name} {_WORDS[one.operator]}" if alone else _short(written.threshold)
            return RuleLine(name, rounded(one.number, 6), one.asked) if one.number is not None else None
    return None


def thresholds(settings: Settings) -> list[Threshold]:
    """The thresholds that the rules name, in order."""
    found: dict[str, Threshold] = {}
    for _, one in _conditions(settings.segments):
        if (name := one.threshold) and name not in found:
            value = shown(settings, name, partial(in_unit, field=one.field))
            found[name] = Threshold(name, f"{_short(name)} {_WORDS[one.operator]}", value, one.operator)
    return list(found.values())


def _conditions(rules: Rules) -> Iterator[tuple[Segment, Condition]]:
    return ((segment, one) for segment in rules.segments for one in segment.conditions())


def _short(threshold: str | None) -> str:
    """A threshold's name for people; the settings' labels are longer."""
    return threshold.removesuffix("_threshold").replace("_", " ").capitalize() if threshold else "Limit"
