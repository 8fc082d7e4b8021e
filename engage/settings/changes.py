"""Changes of settings, as a page sends them: what the user saw, and what it shall be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from engage.settings.groups import label
from engage.settings.validation import problems


@dataclass(frozen=True)
class Change:
    """A change of one setting. None stands for no Variable, so that the setting has its default."""

    name: str
    value: str | None
    was: str | None
    """What the user saw."""


def applied(stored: Mapping[str, str], changes: Iterable[Change]) -> dict[str, str]:
    """The Variables' values after the changes, by setting."""
    values = dict(stored)
    for one in changes:
        values.pop(one.name, None)
        if one.value is not None:
            values[one.name] = one.value
    return values


def refusals(stored: Mapping[str, str], changes: Collection[Change]) -> dict[str, str]:
    """Why the changes cannot be made: sentences in the words of a page, by setting; empty if they can.

    A Variable that was wrong before refuses no change of another one.
    """
    before, names = problems(stored), {one.name for one in changes}
    after = in_words(applied(stored, changes))
    return {name: why for name, why in after.items() if name in names or name not in before}


def in_words(values: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with raw values, as sentences by setting that name each setting by its label."""
    return {name: f"{why}." for name, why in problems(values, label=_quoted).items()}


def _quoted(name: str) -> str:
    return f"“{label(name)}”"
