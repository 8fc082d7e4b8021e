"""The demonstration: trigger a seeded run over Airflow's REST API, follow it, and show what it did."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from engage import settings
from engage.errors import LocalError, RunFailed
from engage.local import ADMIN, Stack

DAG = "customer_engagement"
TASKS = ("seed", "extract", "aggregate", "bucket", "message")
RNG_SEED = 20250106
HEALTHY_WITHIN = 180
RUN_WITHIN = 3600
ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}


class Airflow:
    """The few calls to Airflow's REST API that the local stack needs."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http = httpx.Client(base_url=stack.home.url, timeout=30, trust_env=False)

    def wait_until_healthy(self) -> None:
        """Wait for every process and for the DAG to be known, and log in.

        Raises:
            LocalError: not within a few minutes, or a process keeps dying.
        """
        deadline = time.monotonic() + HEALTHY_WITHIN
        while time.monotonic() < deadline:
            self.stack.keep_alive()
            if self._healthy() and self._log_in() and self.http.get(f"/api/v2/dags/{DAG}").is_success:
                return
            time.sleep(0.2)
        raise LocalError(f"Airflow was not healthy within {HEALTHY_WITHIN} s; its logs are in {self.stack.home.logs}.")

    def _healthy(self) -> bool:
        try:
            health = self.http.get("/api/v2/monitor/health").raise_for_status().json()
        except httpx.HTTPError:
            return False
        return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))

    def _log_in(self) -> bool:
        if "Authorization" not in self.http.headers:
            login = {"username": ADMIN, "password": self.stack.home.secret("password")}
            token = self.http.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            self.http.headers["Authorization"] = f"Bearer {token}"
        return True

    def add_default_variables(self) -> None:
        """Add the Variables that are missing; edited ones stay as they are."""
        entities = [{"key": key, **value} for key, value in json.loads(settings.default_variables()).items()]
        for entity in entities:
            entity["value"] = str(entity["value"])
        action = {"action": "create", "entities": entities, "action_on_existence": "skip"}
        answer = self._checked(self.http.patch("/api/v2/variables", json={"actions": [action]}))
        if refused := answer["create"]["errors"]:
            raise LocalError(f"Airflow refused the default Variables: {refused}")

    def trigger(self, conf: dict[str, Any]) -> str:
        """Trigger a run and unpause the DAG; returns the run's id."""
        body = {"logical_date": None, "conf": conf}
        run = self._checked(self.http.post(f"/api/v2/dags/{DAG}/dagRuns", json=body))
        self._checked(self.http.patch(f"/api/v2/dags/{DAG}", json={"is_paused": False}))
        return str(run["dag_run_id"])

    def run_state(self, run_id: str) -> str:
        return str(self._checked(self.http.get(f"/api/v2/dags/{DAG}/dagRuns/{run_id}"))["state"])

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        """The run's task instances by task id."""
        found = self._checked(self.http.get(f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances"))
        return {instance["task_id"]: instance for instance in found["task_instances"]}

    def errors(self, run_id: str, task: dict[str, Any]) -> list[str]:
        """What a failed task's log says went wrong."""
        path = f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        content = self._checked(self.http.get(path, headers={"Accept": "application/json"}))["content"]
        details = [detail for event in content if isinstance(event, dict) for detail in event.get("error_detail") or []]
        return [f"{detail['exc_type']}: {detail['exc_value']}" for detail in details]

    def wait_until_idle(self) -> None:
        """Wait for other runs too, such as the scheduled one that unpausing lets start."""
        deadline = time.monotonic() + 60
        query = {"state": ["queued", "running"]}
        while time.monotonic() < deadline:
            if not self._checked(self.http.get(f"/api/v2/dags/{DAG}/dagRuns", params=query))["total_entries"]:
                return
            time.sleep(0.2)

    @staticmethod
    def _checked(response: httpx.Response) -> dict[str, Any]:
        if not response.is_success:
            raise LocalError(f"Airflow answered {response.status_code}: {response.text}")
        return dict(response.json())


@dataclass(frozen=True)
class FinishedRun:
    """A run that succeeded."""

    run_id: str
    seconds_by_task: dict[str, float]


def run_demo(airflow: Airflow, customers: int, console: Console) -> FinishedRun:
    """Trigger a run with synthetic data and follow it to its end.

    Raises:
        RunFailed: with the failing task's error.
    """
    conf = {"seed": True, "customers": customers, "rng_seed": RNG_SEED, "send_late": True}
    run_id = airflow.trigger(conf)
    with _showing(console) as show:
        tasks = _follow(airflow, run_id, show)
    if failed := [task for task in tasks.values() if task["state"] == "failed"]:
        reasons = "\n".join(airflow.errors(run_id, failed[0])) or "its log does not say why"
        raise RunFailed(f"The task {failed[0]['task_id']} failed: {reasons}")
    if (state := airflow.run_state(run_id)) != "success":
        raise RunFailed(f"The run ended as {state}.")
    return FinishedRun(run_id, {name: tasks[name]["duration"] or 0.0 for name in TASKS if name in tasks})


def _follow(
    airflow: Airflow, run_id: str, show: Callable[[dict[str, dict[str, Any]]], None]
) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + RUN_WITHIN
    while time.monotonic() < deadline:
        airflow.stack.keep_alive()
        tasks = airflow.tasks(run_id)
        show(tasks)
        if tasks and all(task["state"] in ENDED for task in tasks.values()) and airflow.run_state(run_id) in ENDED:
            return tasks
        time.sleep(0.2)
    raise RunFailed(f"The run did not end within {RUN_WITHIN} s.")


@contextmanager
def _showing(console: Console) -> Iterator[Callable[[dict[str, dict[str, Any]]], None]]:
    """A live table on a terminal; elsewhere a line for each task that ends."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=8) as live:
            yield lambda tasks: live.update(_task_table(tasks))
        return
    told: set[str] = set()

    def tell(tasks: dict[str, dict[str, Any]]) -> None:
        for name in TASKS:
            if name in tasks and tasks[name]["state"] in ENDED and name not in told:
                told.add(name)
                console.print(f"  {name}: {tasks[name]['state']} after {tasks[name]['duration'] or 0:.1f} s")

    yield tell


def _task_table(tasks: dict[str, dict[str, Any]]) -> Table:
    table = Table("task", "state", "seconds", title=f"Run of {DAG}")
    colours = {"success": "green", "failed": "red", "upstream_failed": "red", "skipped": "magenta", "running": "cyan"}
    for name in TASKS:
        task = tasks.get(name, {})
        state = task.get("state") or "waiting"
        seconds = f"{task['duration']:.1f}" if task.get("duration") else ""
        table.add_row(name, f"[{colours.get(state, 'dim')}]{state}[/]", seconds)
    return table
