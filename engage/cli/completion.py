"""Values that a shell completes after an option: settings, windows, statuses, scopes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from typer import Context

from engage.clock import now
from engage.segments import DEFAULT, Rules
from engage.settings import Settings, names_of, rules_in
from engage.statuses import MESSAGE_MOVES, ApiScope, MessageStatus
from engage.window import ANCHOR, Window


def settings(ctx: Context, incomplete: str) -> list[str]:
    """Settings for ``--set``, each with its equals sign; also those that the rules of ``--segments`` name."""
    named = names_of(_rules(ctx.params.get("segments")))
    return _starting(incomplete, [f"{name}=" for name in dict.fromkeys([*Settings.model_fields, *named])])


def _rules(file: Path | None) -> Rules:
    try:
        return rules_in(Path(file).read_text("utf-8") if file else None)
    except (OSError, UnicodeDecodeError):
        return DEFAULT


def window_starts(incomplete: str) -> list[str]:
    """First days of all complete windows, newest first."""
    found = [Window.last_complete(now())]
    while found[-1].start > ANCHOR:
        found.append(found[-1].previous())
    return _starting(incomplete, [f"{window.start:%Y-%m-%d}" for window in found])


def effects(incomplete: str) -> list[str]:
    """Effects of ``--effect`` on the segments that have a text by default, up to the percentage."""
    return _starting(incomplete, [f"{name}=" for name in Settings().texted])


def message_statuses(incomplete: str) -> list[str]:
    """All statuses of a message."""
    return _starting(incomplete, MessageStatus)


def outcomes(incomplete: str) -> list[str]:
    """Statuses that settle a message of unknown outcome."""
    return _starting(incomplete, MESSAGE_MOVES[MessageStatus.UNKNOWN])


def scopes(incomplete: str) -> list[str]:
    """Scopes of an API key."""
    return _starting(incomplete, ApiScope)


def _starting(incomplete: str, values: Iterable[str]) -> list[str]:
    return [str(value) for value in values if value.startswith(incomplete)]
