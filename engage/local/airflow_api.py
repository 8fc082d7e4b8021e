"""Client for the few calls of Airflow's REST API that the local stack needs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx

from engage import settings
from engage.airflow_names import DAG_ID
from engage.clock import now
from engage.errors import LocalError
from engage.local.stack import ADMIN, Stack

HEALTHY_WITHIN = 180
"""Seconds to wait for the stack, and for an api-server that is being restarted."""


class AirflowApi:
    """Airflow's REST API, as the stack's administrator."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http = httpx.Client(base_url=stack.home.url, timeout=30, trust_env=False)

    def wait_until_healthy(self) -> None:
        """Wait until every process is healthy and the DAG is parsed, and log in.

        Raises:
            LocalError: it takes too long, or a process keeps dying.
        """
        deadline = time.monotonic() + HEALTHY_WITHIN
        while time.monotonic() < deadline:
            self.stack.keep_alive()
            try:
                if self._healthy() and self._knows_the_dag():
                    return
            except httpx.HTTPError:
                pass  # not yet
            time.sleep(0.2)
        logs = self.stack.home.logs
        raise LocalError(f"The stack was not healthy within {HEALTHY_WITHIN} s; its logs are in {logs}.")

    def _healthy(self) -> bool:
        # the first request makes the api-server build its execution API, which takes seconds
        self.http.get("/execution/health").raise_for_status()
        self.http.get(f"{self.stack.home.service_url}/readyz").raise_for_status()
        health = self.http.get("/api/v2/monitor/health").raise_for_status().json()
        return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))

    def _knows_the_dag(self) -> bool:
        if "Authorization" not in self.http.headers:
            login = {"username": ADMIN, "password": self.stack.home.secret("password")}
            token = self.http.post("/auth/token", json=login).raise_for_status().json()["access_token"]
            self.http.headers["Authorization"] = f"Bearer {token}"
        return self.http.get(f"/api/v2/dags/{DAG_ID}").is_success

    def add_default_variables(self) -> None:
        """Add the missing Variables. Existing ones stay as they are."""
        defaults = json.loads(settings.default_variables())
        entities = [{"key": key, **value, "value": str(value["value"])} for key, value in defaults.items()]
        action = {"action": "create", "entities": entities, "action_on_existence": "skip"}
        answer = self.request("PATCH", "variables", json={"actions": [action]})
        if refused := answer["create"]["errors"]:
            raise LocalError(f"Airflow refused the default Variables: {refused}")

    def set_variable(self, key: str, value: str) -> None:
        """Change the value of a Variable."""
        query = {"update_mask": "value"}
        self.request("PATCH", f"variables/{key}", params=query, json={"key": key, "value": value})

    @contextmanager
    def variables(self, values: Mapping[str, str]) -> Iterator[None]:
        """Give Variables other values for the length of a block."""
        before = {key: self.request("GET", f"variables/{key}")["value"] for key in values}
        try:
            for key, value in values.items():
                self.set_variable(key, value)
            yield
        finally:
            for key, value in before.items():
                self.set_variable(key, value)

    def unpause(self) -> None:
        """Unpause the DAG. Wait up to a minute until the scheduler has made the run that is due, and all runs end."""
        self.request("PATCH", f"dags/{DAG_ID}", json={"is_paused": False})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            due = self.request("GET", f"dags/{DAG_ID}")["next_dagrun_run_after"]
            if due is None or datetime.fromisoformat(due) > now():
                break
            time.sleep(0.2)
        self.wait_until_idle()

    def trigger(self, conf: dict[str, Any]) -> str:
        """Trigger a run, unpause the DAG, and return the run's id."""
        run = self.request("POST", f"dags/{DAG_ID}/dagRuns", json={"logical_date": None, "conf": conf})
        self.request("PATCH", f"dags/{DAG_ID}", json={"is_paused": False})
        return str(run["dag_run_id"])

    def run_state(self, run_id: str) -> str:
        """The state of a run."""
        return str(self.request("GET", f"dags/{DAG_ID}/dagRuns/{run_id}")["state"])

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        """The run's task instances by task id."""
        found = self.request("GET", f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances")
        return {instance["task_id"]: instance for instance in found["task_instances"]}

    def errors(self, run_id: str, task: dict[str, Any]) -> list[str]:
        """The errors in a failed task's log."""
        path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        content = self.request("GET", path, headers={"Accept": "application/json"})["content"]
        details = [detail for event in content if isinstance(event, dict) for detail in event.get("error_detail") or []]
        return [f"{detail['exc_type']}: {detail['exc_value']}" for detail in details]

    def waiting(self) -> bool:
        """Whether a run waits for an approver's answer."""
        query = {"state": "awaiting_input"}
        return bool(self.request("GET", f"dags/{DAG_ID}/dagRuns/~/taskInstances", params=query)["total_entries"])

    def wait_until_idle(self) -> None:
        """Wait up to a minute for all runs to end, such as the scheduled run that starts after unpausing."""
        deadline = time.monotonic() + 60
        query = {"state": ["queued", "running"]}
        while time.monotonic() < deadline:
            if not self.request("GET", f"dags/{DAG_ID}/dagRuns", params=query)["total_entries"]:
                return
            time.sleep(0.2)

    def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """One call below ``/api/v2/``. A GET waits for an absent api-server; other methods are tried once.

        Raises:
            LocalError: Airflow refuses the call, or does not answer.
        """
        deadline = time.monotonic() + (HEALTHY_WITHIN if method == "GET" else 0)
        while True:
            try:
                response = self.http.request(method, f"/api/v2/{path}", **options)
                break
            except httpx.TransportError as exc:
                if time.monotonic() > deadline:
                    raise LocalError(f"Airflow does not answer: {exc}") from exc
                self.stack.keep_alive()
                time.sleep(0.5)
        if not response.is_success:
            raise LocalError(f"Airflow answered {response.status_code}: {response.text}")
        return dict(response.json()) if response.content else {}
