"""A draft of segments, thresholds and texts as a user edits it: what stands in it, and what is wrong where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from engage import parsing
from engage.segments import DEFAULT, THRESHOLD_NAME, parse
from engage.segments.mistakes import Mistakes, mistakes
from engage.segments.reading import MAX_TEXT
from engage.segments.words import phrase
from engage.settings import (
    PREFIX,
    Change,
    Settings,
    applied,
    custom,
    in_words,
    label,
    message_name,
    names_of,
    refusals,
    rules_in,
    texts,
    usable,
)

DEFAULTS = texts(Settings())


def belongs(name: str) -> bool:
    """Whether a setting is of the page: the rules, a threshold, or a text."""
    return name in {"segments", "messages"} or custom(name) is not None


@dataclass(frozen=True)
class Difference:
    """A setting that the draft changes, in lines: as it is set, and as the draft has it."""

    label: str
    key: str
    now: tuple[str, ...]
    then: tuple[str, ...]
    is_default: bool
    """Whether the setting has its default now."""


@dataclass(frozen=True)
class Draft:
    """``base``: the texts of settings that the draft starts from, by setting; ``changes``: the user's."""

    base: Mapping[str, str]
    changes: Collection[Change] = ()
    resolve: Callable[[Settings], Settings] = field(default=lambda settings: settings)
    """Finds the numbers of the shares in a window."""

    @cached_property
    def values(self) -> dict[str, str]:
        """The texts of all settings that have one, by setting."""
        return applied(self.base, self.changes)

    @cached_property
    def settings(self) -> Settings:
        """The settings that the next campaign would take, with the numbers that their shares are in the window.

        A wrong one stands at its default here.
        """
        return self.resolve(usable(self.values))

    @cached_property
    def wrong(self) -> dict[str, str]:
        """What is wrong with the settings that a run would read or the user has changed: sentences by setting."""
        read = {"segments", "messages", *names_of(rules_in(self.values.get("segments")))}
        read |= {one.name for one in self.changes}
        return {name: why for name, why in in_words(self.values).items() if name in read}

    @property
    def refused(self) -> bool:
        """Whether the changes cannot be saved."""
        return bool(refusals(self.base, self.changes))

    def errors(self) -> dict[str, Any]:
        """What is wrong, by the place where the user reads it; empty if nothing is."""
        if not self.wrong:
            return {}
        found = self._mistakes()
        segments = [asdict(one) | {"text": self._text_error(name)} for one, name in self._named(found)]
        placed = {one["text"] for one in segments} | {self.wrong.get(name, "") for name in self._named_thresholds()}
        elsewhere = [
            why for name, why in self.wrong.items() if why not in placed and not (name == "segments" and found)
        ]
        return {
            "segments": segments,
            "otherwise": found.otherwise,
            "settings": self.wrong,
            "whole": " ".join(filter(None, (found.whole, *elsewhere))),
        }

    def differences(self) -> list[Difference]:
        """Each changed setting, now and then."""
        return [
            Difference(
                label(one.name),
                PREFIX + one.name,
                _lines(one.name, self.base.get(one.name)),
                _lines(one.name, one.value),
                one.name not in self.base,
            )
            for one in self.changes
        ]

    def _mistakes(self) -> Mistakes:
        try:
            found = parsing.json_text(self.values.get("segments", DEFAULTS["segments"]), MAX_TEXT)
        except ValueError as exc:
            return Mistakes(whole=f"{exc}.")
        known = {name for name in (*Settings.model_fields, *self.values) if name.endswith("_threshold")}
        return mistakes(found, known)

    def _named_thresholds(self) -> set[str]:
        """The thresholds that the rules name, which have a field on the page."""
        return set(THRESHOLD_NAME.findall(self.values.get("segments", DEFAULTS["segments"])))

    def _named(self, found: Mistakes) -> list[tuple[Any, str]]:
        """The mistakes of each segment with its name as typed."""
        if not found.segments:
            return []
        written = json.loads(self.values.get("segments", DEFAULTS["segments"]))["segments"]
        return [(one, str(segment["name"])) for one, segment in zip(found.segments, written, strict=True)]

    def _text_error(self, segment: str) -> str:
        """What is wrong with a segment's text, or with another one of its texts."""
        return self.wrong.get(message_name(segment), "") or self._language_error(segment)

    def _language_error(self, segment: str) -> str:
        why = self.wrong.get("messages", "")
        return why if re.search(rf"segment {segment}[ :]|: {segment} (in|takes|[a-e]) ", why) else ""


def _lines(name: str, text: str | None) -> tuple[str, ...]:
    """A setting's text in lines for people; without a text those of its default."""
    shown = DEFAULTS.get(name) if text is None else text
    if not shown:
        return ("nothing",)
    try:
        if name == "segments":
            rules = parse(shown) if text is not None else DEFAULT
            named = (f"{one.name}: {'; '.join(map(phrase, one.when))}" for one in rules.segments)
            return (*named, f"{rules.otherwise}: all others")
        if name == "messages":
            lines = [f"{name}: {body}" for one, found in json.loads(shown).items() for name, body in _named(one, found)]
            return tuple(lines) or ("nothing",)
    except (ValueError, AttributeError):
        pass
    return (shown,)


def _named(segment: str, found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A segment's texts in ``engage_messages``, each with its name, such as ``BOOST, es`` or ``BOOST b, es``."""
    for key, one in found.items():
        if isinstance(one, dict):
            yield from ((f"{segment} {key}, {language}", body) for language, body in one.items())
        else:
            yield f"{segment} {key}" if len(key) == 1 else f"{segment}, {key}", one
