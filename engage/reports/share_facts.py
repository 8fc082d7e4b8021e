"""What the shares of the customers in settings became in a window, in words with units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engage import formats
from engage.currency import currency
from engage.segments import FIELDS, Relative, Unit, share_words
from engage.segments.words import rounded, with_share
from engage.settings import Settings, label

_A_WEEK = "avg_weekly_sessions"


@dataclass(frozen=True)
class ShareFact:
    """One share. ``name``: the threshold's setting, or the line of the rule."""

    name: str
    label: str
    words: str
    """The number and the customers, such as *lowest 20% = below $87.40: 199,812 customers*."""
    note: str
    """What is odd, as sentences; empty if nothing is."""
    number: str
    """The number in plain digits, rounded."""

    @property
    def sentence(self) -> str:
        """The share with its name."""
        return f"{self.label}: {self.words}."


def share_facts(settings: Settings) -> list[ShareFact]:
    """The shares that a window has resolved, in the order of the rules."""
    known = ((name, one, settings.resolved[name]) for name, one in settings.shares.items() if name in settings.resolved)
    return [
        ShareFact(
            name,
            label(name) if name.endswith("_threshold") else FIELDS[one.field].label,
            share_words.in_words(one, found, in_unit),
            share_words.note(one, found, in_unit),
            f"{rounded(found.number, 2):f}",
        )
        for name, one, found in known
    ]


def to_json(settings: Settings) -> dict[str, Any]:
    """The shares that a window has resolved, by name, for JSON."""
    return {
        name: {"written": one.relative.text} | settings.resolved[name].to_json()
        for name, one in settings.shares.items()
        if name in settings.resolved
    }


def shown(settings: Settings, name: str, write: Callable[[Decimal], str]) -> str:
    """A threshold with its number, such as *$100*, *lowest 20% = $87.40*, or *lowest 20%* until the number is known."""
    value = settings.threshold(name)
    if not isinstance(value, Relative):
        return write(value)
    found = settings.resolved.get(name)
    return with_share(value, write(rounded(found.number))) if found else value.text


def in_unit(value: Decimal, field: str) -> str:
    """A value that is compared with a field, such as $100, 28 days or 5 a week."""
    unit = FIELDS[field].unit
    if unit is Unit.AMOUNT:
        return formats.threshold(value, currency())
    text = formats.number(value)
    return text + {Unit.DAYS: " day" if value == 1 else " days", Unit.PERCENT: "%"}.get(
        unit, " a week" if field == _A_WEEK else ""
    )
