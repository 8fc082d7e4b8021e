"""Validation of settings: thresholds, texts and switches, with an error that names value and allowed range."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from engage.errors import SettingsError
from engage.settings.field_types import EDITED
from engage.settings.model import Settings
from engage.texts.template import Template
from engage.texts.text_warnings import costly_characters


def validate(values: Mapping[str, Any], *, label: Callable[[str], str] = str) -> Settings:
    """Settings from raw values by name; a missing name keeps its default.

    ``label`` turns a setting's name into the words of an error's reader, such as ``--set name``.

    Raises:
        SettingsError: names every wrong value, and what is allowed.
    """
    if wrong := problems(values, label=label):
        raise SettingsError("; ".join(wrong.values()) + ".")
    return Settings.model_validate(dict(values), context=EDITED)


def problems(values: Mapping[str, Any], *, label: Callable[[str], str] = str) -> dict[str, str]:
    """What is wrong with raw values: a sentence without its full stop for each wrong setting, by name.

    A text that takes more segments than ``max_segments`` is wrong, too.
    """
    wrong = {name: _explain(name, values[name], error, label) for name, error in _errors(values).items()}
    return wrong if "max_segments" in wrong else _long_messages(usable(values), label) | wrong


def usable(values: Mapping[str, Any]) -> Settings:
    """Settings from raw values, with the default in place of each wrong one."""
    wrong = _errors(values)
    right = {name: value for name, value in values.items() if name not in wrong}
    return Settings.model_validate(right, context=EDITED)


def _errors(values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    try:
        Settings.model_validate(dict(values), context=EDITED)
    except ValidationError as exc:
        return {str(error["loc"][0]): error for error in exc.errors()}
    return {}


def _explain(name: str, value: object, error: Mapping[str, Any], label: Callable[[str], str]) -> str:
    field = Settings.model_fields.get(name)
    if field is None:
        names = ", ".join(map(label, Settings.model_fields))
        return f"{label(name)} is not a setting{_meant(name, label)}; the settings are {names}"
    why = f"{error['msg']}; it takes" if error["type"] == "unreadable" else "it takes"
    return f"{label(name)} is {_shorten(repr(value))}, which is not allowed: {why} {field.title}"


def _meant(name: str, label: Callable[[str], str]) -> str:
    """The setting that a mistyped name comes close to, as a question; empty if there is none."""
    typed = name.lower().replace("-", "_").removeprefix("engage_")
    close = difflib.get_close_matches(typed, Settings.model_fields, n=1)
    return f" (did you mean {label(close[0])}?)" if close else ""


def _long_messages(settings: Settings, label: Callable[[str], str]) -> dict[str, str]:
    found = {}
    for name in ("message_boost", "message_reward"):
        text = getattr(settings, name)
        needed = Template.parse(text).typical_segments()
        if needed > settings.max_segments:
            sentence = (
                f"{label(name)} takes {needed} segments with its placeholders filled in, and {label('max_segments')} "
                f"allows {settings.max_segments}. Shorten the text: a segment has 160 plain characters, or 70 with any "
                f"other, such as an emoji. {costly_characters(text)}"
            )
            found[name] = sentence.rstrip(" .")
    return found


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
