"""The fields of the page *Texts and settings*: each setting with its value, its kind of input, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le

from engage.settings import LABELS, PREFIX, Settings, texts, usable

TEXTS = ("message_boost", "message_reward")
"""The settings that are a message's text."""
DEFAULTS = texts(Settings())

Kind = Literal["text", "long", "number", "choice", "switch"]


@dataclass(frozen=True)
class SettingField:
    """One setting. ``stored`` is its Variable's text; None if there is no Variable."""

    name: str
    kind: Kind
    stored: str | None
    default: str
    is_default: bool
    """Whether a run takes the default."""
    choices: tuple[str, ...] = ()
    limits: Mapping[str, Any] | None = None
    """Of a number: attributes of its input."""

    @property
    def value(self) -> str:
        """The text in the field."""
        return self.default if self.stored is None else self.stored

    @property
    def key(self) -> str:
        """The Variable's key."""
        return PREFIX + self.name

    @property
    def label(self) -> str:
        return LABELS[self.name]

    @property
    def on(self) -> bool:
        """Of a switch: whether it is on."""
        return bool(getattr(Settings.model_validate({self.name: self.value}), self.name))

    @property
    def description(self) -> str:
        return Settings.model_fields[self.name].description or ""

    @property
    def allowed(self) -> str:
        return Settings.model_fields[self.name].title or ""


def setting_fields(stored: Mapping[str, str], wrong: Mapping[str, str]) -> dict[str, SettingField]:
    """All settings' fields by name. ``stored``: the Variables' texts; ``wrong``: the settings that no run takes.

    A wrong value stands in a field for any text, as a number's or a choice's field could not show it.
    """
    taken = usable(stored)
    fields = {}
    for name, default in DEFAULTS.items():
        kind, choices, limits = _kind(name)
        if name in wrong and kind != "long":
            kind = "text"
        is_default = name not in wrong and getattr(taken, name) == getattr(Settings(), name)
        fields[name] = SettingField(name, kind, stored.get(name), default, is_default, choices, limits)
    return fields


def _kind(name: str) -> tuple[Kind, tuple[str, ...], dict[str, Any] | None]:
    field = Settings.model_fields[name]
    if name in TEXTS:
        return "long", (), None
    if field.annotation is bool:
        return "switch", (), None
    if get_origin(field.annotation) is Literal:
        return "choice", get_args(field.annotation), None
    limits: dict[str, Any] = {}
    for one in field.metadata:
        if isinstance(one, Ge):
            limits["min"] = one.ge
        if isinstance(one, Le):
            limits["max"] = one.le
    if limits:
        return "number", (), limits | {"step": 1 if field.annotation is int else "any"}
    return "text", (), None
