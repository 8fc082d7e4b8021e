"""Settings on the command line: ``--set NAME=VALUE`` and ``--segments FILE``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from engage import settings
from engage.cli import completion
from engage.errors import InputError

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting other than its default; may be repeated.",
        autocompletion=completion.settings,
    ),
]
RulesFile = Annotated[
    Path | None,
    typer.Option(
        "--segments",
        metavar="FILE",
        help="A JSON file with the segments and their rules, as docs/segments.md shows.",
        show_default=False,
    ),
]


def settings_of(
    given: Mapping[str, str], rules: Path | None, *, base: Mapping[str, str] | None = None
) -> settings.Settings:
    """The settings that the command line gives, over the defaults or over the texts of others.

    Raises:
        SettingsError: names each wrong one, its value, and what is allowed.
    """

    def label(name: str) -> str:
        return f"--segments {rules}" if rules and name == "segments" else f"--set {name}"

    chosen = settings.validate({**(base or {}), **given}, label=label)
    settings.require_named(chosen, given, label=label)
    return chosen


def given(pairs: list[str], rules: Path | None) -> dict[str, str]:
    """The texts of settings that the command line gives.

    Raises:
        InputError: one has no value, or the rules cannot be read.
    """
    found = _assignments(pairs)
    if rules is None:
        return found
    if "segments" in found:
        raise InputError("--set segments and --segments both give rules; give only one of them.")
    try:
        return found | {"segments": rules.read_text("utf-8")}
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise InputError(f"--segments {rules} cannot be read: {why}.") from None


def _assignments(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--set {pair} has no value; write --set name=value, such as low_spend_threshold=120.")
    return dict(pair.split("=", 1) for pair in pairs)
