"""The settings whose names the staff choose: each threshold that a rule names, and each segment's text.

They are Airflow Variables like the fixed ones: ``engage_lapsing_days_threshold``, ``engage_message_lapsing``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import TypeAdapter

from engage.segments import DEFAULT, THRESHOLD_NAME, Relative, Rules, masked, parse
from engage.segments.relative import FORMS
from engage.settings.field_types import MessageText, Threshold, number_or_share

A_TEXT = "a text of 1 to 1000 characters"
OR_A_SHARE = f"or a share of the customers such as {FORMS}"
A_THRESHOLD = f"a number from -1000000000 to 1000000000 with at most 6 decimals and 15 digits, {OR_A_SHARE}"


@dataclass(frozen=True)
class Custom:
    """A kind of setting. ``title`` says what is allowed, as the titles of fixed settings do."""

    name: str
    title: str
    description: str
    label: str
    adapter: TypeAdapter[Any]


_THRESHOLD: TypeAdapter[Decimal | Relative] = TypeAdapter(
    Annotated[Threshold, number_or_share(ge=-(10**9), le=10**9, decimal_places=6, max_digits=15)]
)
_MESSAGE: TypeAdapter[str] = TypeAdapter(MessageText)
_MESSAGE_NAME = re.compile(r"message_(?!budget$)([a-z][a-z0-9_]{0,29})")


def custom(name: str) -> Custom | None:
    """What the setting ``name`` is, if staff may choose that name."""
    if masked(name):
        return None
    if THRESHOLD_NAME.fullmatch(name):
        words = name.removesuffix("_threshold").replace("_", " ")
        described = f"The number that rules name {name}, or the share of the customers that becomes it."
        return Custom(name, A_THRESHOLD, described, f"{words.capitalize()} threshold", _THRESHOLD)
    if segment := segment_of_text(name):
        return Custom(name, A_TEXT, f"The text message for {segment}.", f"Text for {segment}", _MESSAGE)
    return None


def segment_of_text(name: str) -> str | None:
    """The segment whose text is the setting ``name``; None if the setting is no text."""
    found = _MESSAGE_NAME.fullmatch(name)
    return found[1].upper() if found else None


def message_name(segment: str) -> str:
    """The setting that holds a segment's text."""
    return f"message_{segment.lower()}"


def rules_in(text: str | None) -> Rules:
    """The rules of a Variable's text; the usual ones without it, or if they are wrong."""
    try:
        return DEFAULT if text is None else parse(text)
    except ValueError:
        return DEFAULT


def names_of(rules: Rules) -> Iterable[str]:
    """The settings that rules need or may have: their thresholds, and their segments' texts."""
    return (*rules.thresholds, *map(message_name, rules.named))
