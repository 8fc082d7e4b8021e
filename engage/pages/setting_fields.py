"""The fields of the page *Texts and settings*: each setting with its value, its kind of input, and what it takes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from engage.segments import DEFAULT, Rules
from engage.settings import (
    PREFIX,
    Settings,
    description,
    label,
    message_name,
    rules_in,
    segment_of_text,
    texts,
    title,
    usable,
)


def readable(rules: Rules) -> str:
    """Rules as JSON with a line for each segment."""
    found = rules.to_json()
    lines = ",\n  ".join(json.dumps(one) for one in found["segments"])
    return f'{{"segments": [\n  {lines}\n], "otherwise": {json.dumps(found["otherwise"])}}}'


DEFAULTS = texts(Settings()) | {"segments": readable(Settings().segments)}
"""The text of each fixed setting's default."""
CODE = ("segments", "messages")
"""The settings that are JSON."""

Kind = Literal["text", "long", "code", "number", "choice", "switch"]


@dataclass(frozen=True)
class SettingField:
    """One setting. ``stored`` is its Variable's text; None if there is no Variable."""

    name: str
    kind: Kind
    stored: str | None
    default: str
    """Empty for a setting whose name staff chose: it has no default."""
    is_default: bool
    """Whether a run takes the default."""
    choices: tuple[str, ...] = ()
    limits: Mapping[str, Any] | None = None
    """Of a number: attributes of its input."""
    used_by: str = ""
    """The rules that name it, of a threshold."""

    @property
    def value(self) -> str:
        """The text in the field."""
        return self.default if self.stored is None else self.stored

    @property
    def key(self) -> str:
        """The Variable's key."""
        return PREFIX + self.name

    @property
    def custom(self) -> bool:
        """Whether staff chose its name. Without a Variable there is no such setting."""
        return self.name not in Settings.model_fields

    @property
    def tall(self) -> bool:
        """Whether its field takes several lines."""
        return self.kind in {"long", "code"}

    @property
    def label(self) -> str:
        return label(self.name)

    @property
    def on(self) -> bool:
        """Of a switch: whether it is on."""
        return bool(getattr(Settings.model_validate({self.name: self.value}), self.name))

    @property
    def description(self) -> str:
        """What it means. The usual rules say in words what the usual thresholds do."""
        return self.used_by or description(self.name)

    @property
    def allowed(self) -> str:
        return title(self.name)


def names_of_settings(stored: Mapping[str, str]) -> list[str]:
    """The settings that have a field: the fixed ones, the thresholds that the rules name, and all with a Variable."""
    return list(dict.fromkeys([*DEFAULTS, *rules_in(stored.get("segments")).thresholds, *stored]))


def without_text(stored: Mapping[str, str]) -> list[str]:
    """The settings of the texts that could be written: of the rules' segments without one."""
    names = map(message_name, rules_in(stored.get("segments")).named)
    return [name for name in names if name not in DEFAULTS and name not in stored]


def setting_fields(
    names: Iterable[str], stored: Mapping[str, str], wrong: Collection[str] = ()
) -> dict[str, SettingField]:
    """The fields of settings by name. ``stored``: the Variables' texts; ``wrong``: the settings that no run takes.

    A wrong value stands in a field for any text, as a number's or a choice's field could not show it.
    """
    taken, rules = usable(stored), rules_in(stored.get("segments"))
    return {
        name: replace(_field(name, stored.get(name), taken, wrong=name in wrong), used_by=_used_by(name, rules))
        for name in names
    }


def _used_by(name: str, rules: Rules) -> str:
    if not name.endswith("_threshold") or rules == DEFAULT:
        return ""
    lines = [
        f"{segment.name}: {one.line}"
        for segment in rules.segments
        for one in segment.conditions()
        if one.threshold == name
    ]
    return f"Named in {'; '.join(lines)}." if lines else "No rule names it."


def _field(name: str, text: str | None, taken: Settings, *, wrong: bool) -> SettingField:
    kind, choices, limits = _kind(name)
    if wrong and text and kind not in {"long", "code"}:
        kind = "text"
    if name not in DEFAULTS:
        return SettingField(name, kind, text, "", text is None, limits=limits)
    is_default = not wrong and getattr(taken, name) == getattr(Settings(), name)
    return SettingField(name, kind, text, DEFAULTS[name], is_default, choices, limits)


def _kind(name: str) -> tuple[Kind, tuple[str, ...], dict[str, Any] | None]:
    if segment_of_text(name) or name in CODE:
        return "code" if name in CODE else "long", (), None
    if name not in Settings.model_fields:
        return "text", (), None
    field = Settings.model_fields[name]
    if field.annotation is bool:
        return "switch", (), None
    if choices := _choices(field.annotation):
        return "choice", choices, None
    limits = _limits(field)
    return ("number", (), limits) if limits else ("text", (), None)


def _choices(kind: Any) -> tuple[str, ...]:
    """The values of a setting that takes one of a few; none for another setting."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return tuple(kind)
    return get_args(kind) if get_origin(kind) is Literal else ()


def _limits(field: FieldInfo) -> dict[str, Any]:
    """The attributes of a number's input; none for another setting."""
    limits: dict[str, Any] = {}
    for one in field.metadata:
        if isinstance(one, Ge):
            limits["min"] = one.ge
        if isinstance(one, Le):
            limits["max"] = one.le
    return limits | {"step": 1 if field.annotation is int else "any"} if limits else {}
