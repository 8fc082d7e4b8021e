"""Settings as Airflow Variables: read from them, their defaults for an import, and the table of the docs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from engage import segments
from engage.errors import SettingsError
from engage.settings.custom import names_of, rules_in
from engage.settings.meanings import description, title
from engage.settings.message_budget import MessageBudget
from engage.settings.model import Settings
from engage.settings.validation import validate

PREFIX = "engage_"
"""Start of an Airflow Variable's key; the setting's name follows."""


def from_variables(read: Callable[[str], str | None], *names: str) -> Settings:
    """Settings from Airflow Variables; ``read`` returns a Variable's text by key, or None if it is missing.

    With ``names`` only these settings are read, so that no other Variable can be wrong.

    Raises:
        SettingsError: names each wrong Variable, its value, and what is allowed.
    """
    stored = {name: read(PREFIX + name) for name in names or Settings.model_fields}
    if not names:
        stored |= {name: read(PREFIX + name) for name in names_of(rules_in(stored["segments"])) if name not in stored}
    present = {name: value for name, value in stored.items() if value is not None}
    return validate(present, label=lambda name: f"The Airflow Variable {PREFIX}{name}")


def for_lateness(read: Callable[[str], str | None]) -> Settings:
    """The setting by which a window is late; its default if the Variable is wrong, as the next run reports that."""
    try:
        return from_variables(read, "send_within_days")
    except SettingsError:
        return Settings()


def default_variables() -> str:
    """The defaults as a JSON file for ``airflow variables import``, each with its description."""
    values = {name: _imported(value) for name, value in Settings().model_dump().items()}
    return json.dumps(
        {PREFIX + name: {"value": values[name], "description": words} for name, words in descriptions().items()},
        indent=2,
    )


def descriptions() -> dict[str, str]:
    """The description of each fixed setting's Variable in Airflow."""
    return {name: described(name) for name in Settings.model_fields}


def described(name: str) -> str:
    """The description of a setting's Variable in Airflow."""
    return f"{description(name)} Allowed: {title(name)}."


def texts(settings: Settings) -> dict[str, str]:
    """Each setting's value as an Airflow Variable holds it."""
    return {name: _text(value) for name, value in settings}


def markdown_table() -> str:
    """The settings as a table for docs/operations.md: Variable, default, allowed values, description."""
    lines = ["| Variable | default | allowed | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        cells = (f"`{PREFIX}{name}`", _text(field.default), field.title or "", field.description or "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _imported(value: Any) -> Any:
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else _text(value)


def _text(value: object) -> str:
    """A value as an Airflow Variable holds it."""
    if isinstance(value, segments.Relative | MessageBudget):
        return value.text
    if isinstance(value, segments.Rules):
        return json.dumps(value.to_json())
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)
