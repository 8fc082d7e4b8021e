"""Tasks as Airflow's worker calls them, in the context of the fixture ``task_context``."""

from __future__ import annotations

from dataclasses import dataclass

from airflow.sdk import Variable
from engage_steps import Run, step


@dataclass(frozen=True)
class Summary:
    """What a step returns."""

    customers: int
    note: str = ""


def body(function, **options):
    """What the worker calls of the task that ``step`` makes of ``function``."""
    return step(**options)(function).function


def run_seen_by_a_task() -> Run:
    seen = []
    body(lambda run: seen.append(run) or Summary(0))()
    return seen[0]


def variables(monkeypatch, stored):
    """Airflow with these Variables; one that is None is listed, but cannot be read."""
    monkeypatch.setattr(Variable, "keys", lambda prefix: [key for key in stored if key.startswith(prefix)])
    monkeypatch.setattr(Variable, "get", lambda key, default=...: stored.get(key, default))
