"""The demonstration: triggers a run with synthetic data through Airflow's REST API, and follows its tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from engage.airflow_names import DAG_ID
from engage.errors import RunFailed
from engage.local.airflow_api import AirflowApi

TASKS = ("seed", "extract", "aggregate", "measure", "bucket", "approve", "message")
RNG_SEED = 20250106
RUN_WITHIN = 3600
ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}

AT_WORK = {"scheduled", "queued", "running"}


@dataclass(frozen=True)
class DemoRun:
    """A run that succeeded, or one that ``waits`` for an approver."""

    run_id: str
    seconds_by_task: dict[str, float]
    waits: bool = False


def run_demo(airflow: AirflowApi, customers: int, console: Console) -> DemoRun:
    """Trigger a run with synthetic data, and follow it until it ends or asks the approver.

    Raises:
        RunFailed: a task failed; with its error. Or an earlier run still waits for the approver.
    """
    refuse_waiting(airflow)
    airflow.unpause()  # before there are customers, so that the scheduler's own run has nothing to do
    return followed(airflow, {"seed": True, "customers": customers, "rng_seed": RNG_SEED, "send_late": True}, console)


def refuse_waiting(airflow: AirflowApi) -> None:
    """Refuse a demonstration while a run waits for an approver.

    Raises:
        RunFailed: one does.
    """
    if airflow.waiting():
        raise RunFailed(
            "An earlier run waits for an approver, and the demonstration would change its window's events. Answer it "
            "in Airflow, which `make up` serves, under Required Actions. Then start the demonstration again."
        )


def followed(airflow: AirflowApi, conf: dict[str, Any], console: Console) -> DemoRun:
    """Trigger a run with these parameters, and follow it until it ends or asks the approver.

    Raises:
        RunFailed: a task failed; with its error.
    """
    run_id = airflow.trigger(conf)
    with _showing(console) as show:
        tasks = _follow(airflow, run_id, show)
    if failed := [task for task in tasks.values() if task["state"] == "failed"]:
        reasons = "\n".join(airflow.errors(run_id, failed[0])) or "its log does not say why"
        raise RunFailed(f"The task {failed[0]['task_id']} failed: {reasons}")
    waits = _waits(tasks)
    if not waits and (state := airflow.run_state(run_id)) != "success":
        raise RunFailed(f"The run ended as {state}.")
    ended = [name for name in TASKS if name in tasks and tasks[name]["state"] in ENDED]
    return DemoRun(run_id, {name: tasks[name]["duration"] or 0.0 for name in ended}, waits)


def _follow(
    airflow: AirflowApi, run_id: str, show: Callable[[dict[str, dict[str, Any]]], None]
) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + RUN_WITHIN
    while time.monotonic() < deadline:
        airflow.stack.keep_alive()
        tasks = airflow.tasks(run_id)
        show(tasks)
        ended = tasks and all(task["state"] in ENDED for task in tasks.values())
        if (_waits(tasks) and not _at_work(tasks)) or (ended and airflow.run_state(run_id) in ENDED):
            return tasks
        time.sleep(0.2)
    raise RunFailed(f"The run did not end within {RUN_WITHIN} s.")


def _waits(tasks: dict[str, dict[str, Any]]) -> bool:
    """Whether a task waits for an approver."""
    return any(task["state"] == "awaiting_input" for task in tasks.values())


def _at_work(tasks: dict[str, dict[str, Any]]) -> bool:
    """Whether a task beside the waiting one has not ended yet."""
    return any(task["state"] in AT_WORK for task in tasks.values())


@contextmanager
def _showing(console: Console) -> Iterator[Callable[[dict[str, dict[str, Any]]], None]]:
    """A live table on a terminal; elsewhere one line for each task that ends."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=8) as live:
            yield lambda tasks: live.update(_task_table(tasks))
        return
    printed: set[str] = set()

    def show(tasks: dict[str, dict[str, Any]]) -> None:
        for name in TASKS:
            if name in tasks and tasks[name]["state"] in ENDED and name not in printed:
                printed.add(name)
                console.print(f"  {name}: {tasks[name]['state']} after {tasks[name]['duration'] or 0:.1f} s")

    yield show


def _task_table(tasks: dict[str, dict[str, Any]]) -> Table:
    table = Table("task", "state", "seconds", title=f"Run of {DAG_ID}")
    colours = {"success": "green", "failed": "red", "upstream_failed": "red", "skipped": "magenta", "running": "cyan"}
    for name in TASKS:
        task = tasks.get(name, {})
        state = task.get("state") or "waiting"
        seconds = f"{task['duration']:.1f}" if task.get("duration") else ""
        table.add_row(name, f"[{colours.get(state, 'dim')}]{state}[/]", seconds)
    return table
