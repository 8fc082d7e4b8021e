"""Tasks as Airflow's worker calls them, in the context of the fixture ``task_context``."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import engage_alerts
from airflow.sdk import Variable
from airflow.sdk.execution_time.context import set_current_context
from engage_steps import Job, Run, step


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


def on_database(monkeypatch, engine, now):
    """Give tasks without a window this database and time, and let them mail no alert."""
    monkeypatch.setattr(Job, "engine", engine)
    monkeypatch.setattr(Job, "clock", lambda job: now)
    monkeypatch.setattr(engage_alerts, "deliver", lambda *args: None)


def called(task, **params):
    """What a worker gets of a task whose run was triggered with these parameters."""
    context = {"dag": task.dag, "dag_run": SimpleNamespace(conf=params), "params": params}
    with set_current_context(context):
        return task.python_callable()
