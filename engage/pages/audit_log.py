"""Airflow's audit log, as Engage's pages show it: which entries are about Engage, and what each means.

The log keeps a request before Airflow answers it. So an entry of Airflow's own may stand for a refused request.
Engage's own entries about settings are written with the change.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engage.settings import PREFIX, is_setting

SETTINGS_EVENT, THRESHOLDS_EVENT = "engage.settings", "engage.thresholds"
VARIABLE_EVENTS = ("post_variable", "patch_variable", "delete_variable", "bulk_variables", "cli_variables_set",
                   "cli_variables_delete", "cli_variables_import")  # fmt: skip
"""Edits of Variables by Airflow's pages, API and command line. Those about settings name a key with ``PREFIX``."""
RUN_EVENTS = ("trigger_dag_run", "clear_dag_run", "patch_dag_run", "delete_dag_run", "post_clear_task_instances",
              "patch_task_instance", "create_backfill", "cancel_backfill", "update_hitl_detail", "patch_dag",
              "cli_dag_trigger")  # fmt: skip
"""What users do with the DAG and its runs in Airflow."""
SETTING_EVENTS = (SETTINGS_EVENT, THRESHOLDS_EVENT, *VARIABLE_EVENTS)


@dataclass(frozen=True)
class Place:
    """A place in the log: before all entries at ``at`` with an id of ``below`` or more."""

    at: datetime
    below: int


@dataclass(frozen=True)
class AuditEntry:
    """One entry of the log. ``details`` is what the request held; Airflow has masked the values of Variables."""

    entry_id: int
    at: datetime
    user: str
    event: str
    run_id: str | None
    details: Mapping[str, Any]


def changed_settings(entry: AuditEntry) -> dict[str, str]:
    """The settings that the entry is about, by name: ``set``, or ``reset`` if the Variable was deleted."""
    found: dict[str, str] = {}
    details = entry.details
    if entry.event == SETTINGS_EVENT:
        found = {str(name): done for done in ("set", "reset") for name in _list(details.get(done))}
    elif entry.event == THRESHOLDS_EVENT:
        found = dict.fromkeys(map(str, details), "set")
    elif entry.event == "bulk_variables":
        for action in _list(details.get("actions")):
            if isinstance(action, dict):
                done = "reset" if action.get("action") == "delete" else "set"
                found |= {_name(_key(entity)): done for entity in _list(action.get("entities"))}
    elif entry.event.startswith("cli_"):
        words = [_name(word) for word in _command(details) if word.startswith(PREFIX)]
        found = dict.fromkeys(words[:1], "reset" if entry.event.endswith("delete") else "set")
    else:
        key = str(details.get("key") or details.get("variable_key") or "")
        found = {_name(key): "reset" if entry.event == "delete_variable" else "set"}
    return {name: done for name, done in found.items() if is_setting(name)}


def _name(key: str) -> str:
    return key.removeprefix(PREFIX)


def _key(entity: object) -> str:
    return str(entity.get("key", "")) if isinstance(entity, dict) else str(entity)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _command(details: Mapping[str, Any]) -> list[str]:
    """The words of a command line, which Airflow keeps as a list in Python's form."""
    try:
        words = ast.literal_eval(str(details.get("full_command")))
    except (ValueError, SyntaxError):
        return []
    return [str(word) for word in words] if isinstance(words, list) else []
