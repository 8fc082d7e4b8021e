"""The real server stack: built, started, used, stopped, lost and restored. ``make test-compose``; needs docker.

The tests build on each other, in this order. The stack has a project, an image, ports and secrets of its own, so that
it may run beside one that is in use; nothing of it is left at the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from engage.airflow_names import DAG_ID

ROOT = Path(__file__).resolve().parents[2]
LASTING = {"postgres", "api-server", "scheduler", "dag-processor", "triggerer", "service"}
CUSTOMERS = 1_000
EVENT_OF = 60_004_711
T = TypeVar("T")

pytestmark = pytest.mark.skipif(os.environ.get("ENGAGE_TEST_COMPOSE") != "1", reason="needs docker: make test-compose")


def until(condition: Callable[[], T | None], what: str, within: float = 300) -> T:
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(1)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stack:
    """One project of docker-compose."""

    env_file: Path
    project: str = f"engage-acceptance-{os.getpid()}"
    airflow_port: int = 0
    service_port: int = 0

    def __post_init__(self) -> None:
        self.airflow_port, self.service_port = free_port(), free_port()

    @property
    def environment(self) -> dict[str, str]:
        """Only the file's secrets may reach docker-compose."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ENGAGE_", "AIRFLOW", "POSTGRES_"))}
        return kept | {
            "ENGAGE_IMAGE": "engage-acceptance",
            "AIRFLOW_PORT": str(self.airflow_port),
            "ENGAGE_SERVICE_PORT": f"127.0.0.1:{self.service_port}",
        }

    def compose(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[Any]:
        command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
        options = {"capture_output": True, "text": True} | options
        done = subprocess.run(
            [*command, "--env-file", str(self.env_file), "-p", self.project, *arguments],
            cwd=ROOT,
            env=self.environment,
            check=False,
            **options,
        )
        if check and done.returncode:
            pytest.fail(f"docker-compose {' '.join(arguments)}: {done.returncode}\n{done.stdout!s}\n{done.stderr!s}")
        return done

    def up(self) -> None:
        """Start the missing parts, and wait until all of them are healthy."""
        self.compose("up", "-d")
        deadline = time.monotonic() + 300
        while set(self.health().values()) != {"healthy"}:
            if time.monotonic() > deadline:
                pytest.fail(f"{self.health()}\n{self.compose('logs', '--no-color', '--tail', '30').stdout}")
            time.sleep(1)

    def health(self) -> dict[str, str]:
        return {name: self.inspect(name, "{{.State.Health.Status}}") for name in LASTING}

    def inspect(self, service: str, what: str) -> str:
        container = self.compose("ps", "-q", service).stdout.strip()
        if not container:
            return "missing"
        command = ["docker", "inspect", "--format", what, container]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def engage(self, *arguments: str) -> str:
        """The output of an Engage command, in the service's container."""
        return str(self.compose("exec", "-T", "service", "python", "-m", "engage", *arguments).stdout)

    def in_postgres(self, *command: str, **options: Any) -> subprocess.CompletedProcess[Any]:
        """Run a tool beside the server. Some images have them only in psql's folder, not on the path."""
        find = 'PATH=$PATH:$(dirname "$(readlink -f "$(command -v psql)")") PGHOST=/var/run/postgresql exec "$@"'
        return self.compose("exec", "-T", "postgres", "bash", "-c", find, "-", *command, **options)

    def value(self, database: str, query: str) -> str:
        return str(self.in_postgres("psql", "-U", "postgres", "-d", database, "-Atc", query).stdout).strip()

    def report(self) -> dict[str, Any]:
        return dict(json.loads(self.engage("report", "--json")))

    def secret(self, name: str) -> str:
        return dict(re.findall(r"^(\w+)=(.*)$", self.env_file.read_text(), re.M))[name]

    def airflow(self) -> httpx.Client:
        """Airflow's REST API, logged in as admin."""
        url = f"http://127.0.0.1:{self.airflow_port}"
        login = {"username": "admin", "password": self.secret("AIRFLOW_ADMIN_PASSWORD")}
        answer = httpx.post(f"{url}/auth/token", json=login, timeout=60, trust_env=False).raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    env_file = tmp_path_factory.mktemp("compose") / ".env"
    subprocess.run([sys.executable, ROOT / "deploy" / "env.py", env_file], check=True)
    found = Stack(env_file)
    try:
        found.compose("build")
        found.up()
        yield found
    finally:
        found.compose("down", "-v")


def test_without_secrets_compose_stops_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    done = Stack(tmp_path / ".env").compose("up", "-d", check=False)
    assert done.returncode != 0
    assert "this secret is not in .env. Run make env" in done.stderr


def test_every_service_is_healthy(stack: Stack) -> None:
    assert stack.health() == dict.fromkeys(LASTING, "healthy")
    service = f"http://127.0.0.1:{stack.service_port}"
    assert httpx.get(f"{service}/healthz", trust_env=False).status_code == 200
    assert httpx.get(f"{service}/readyz", trust_env=False).status_code == 200


def test_nothing_runs_as_root(stack: Stack) -> None:
    for name in LASTING - {"postgres"}:
        assert stack.compose("exec", "-T", name, "id", "-u").stdout.strip() == "50000", name
        owners = stack.compose("exec", "-T", name, "bash", "-c", "stat -c %u /proc/[0-9]*").stdout.split()
        assert set(owners) == {"50000"}, name
    server = stack.compose("exec", "-T", "postgres", "stat", "-c", "%u", "/proc/1").stdout.strip()
    assert server != "0"


def test_each_role_may_use_its_own_database_only(stack: Stack) -> None:
    may = """SELECT role || ' ' || datname FROM unnest('{airflow,engage}'::name[]) AS role, pg_database
             WHERE has_database_privilege(role, oid, 'CONNECT') AND datallowconn ORDER BY 1"""
    assert stack.value("postgres", may).splitlines() == ["airflow airflow", "engage engage"]
    assert stack.value("postgres", "SELECT count(*) FROM pg_roles WHERE rolsuper AND rolcanlogin") == "1"
    url = "import os, psycopg; psycopg.connect(os.environ['ENGAGE_DATABASE_URL'].removesuffix('engage') + 'airflow')"
    refused = stack.compose("exec", "-T", "service", "python", "-c", url, check=False)
    assert 'permission denied for database "airflow"' in refused.stderr


def test_a_login_without_the_password_is_refused(stack: Stack) -> None:
    for password in ("admin", "airflow", ""):
        login = {"username": "admin", "password": password}
        answer = httpx.post(f"http://127.0.0.1:{stack.airflow_port}/auth/token", json=login, trust_env=False)
        assert 400 <= answer.status_code < 500, password


def test_a_seeded_run_triggered_over_rest_succeeds(stack: Stack) -> None:
    with stack.airflow() as airflow:
        known = airflow.get("/api/v2/variables", params={"limit": 100}).raise_for_status().json()["variables"]
        assert {variable["key"] for variable in known} == set(json.loads(stack.engage("variables")))
        conf = {"seed": True, "customers": CUSTOMERS, "rng_seed": 20250106, "send_late": True}
        path = f"/api/v2/dags/{DAG_ID}"
        until(lambda: airflow.get(path).is_success, "Airflow knows the DAG")
        run = airflow.post(f"{path}/dagRuns", json={"logical_date": None, "conf": conf}).raise_for_status().json()
        airflow.patch(path, json={"is_paused": False}).raise_for_status()

        def ended() -> str | None:
            state = airflow.get(f"{path}/dagRuns/{run['dag_run_id']}").raise_for_status().json()["state"]
            return state if state in ("success", "failed") else None

        def idle() -> bool:  # unpausing lets a scheduled run start
            query = {"state": ["queued", "running"]}
            return airflow.get(f"{path}/dagRuns", params=query).raise_for_status().json()["total_entries"] == 0

        assert until(ended, "the run ends") == "success"
        until(idle, "no other run is under way")
        airflow.patch(path, json={"is_paused": True}).raise_for_status()
        log = airflow.get(
            f"{path}/dagRuns/{run['dag_run_id']}/taskInstances/message/logs/1", headers={"Accept": "application/json"}
        )
        assert "/opt/airflow/logs/" in log.raise_for_status().text
        assert "accepted_now: " in log.text
    report = stack.report()
    assert sum(report["buckets"].values()) == CUSTOMERS
    texted = report["buckets"]["BOOST"] + report["buckets"]["REWARD"]
    assert texted > 0
    assert sum(report["messages"]["by_status"].values()) == texted


def test_an_event_that_the_service_takes_is_in_the_database(stack: Stack) -> None:
    key = stack.engage("keys", "create", "acceptance", "--scope", "events").strip()
    event = {"type": "session", "customer_id": EVENT_OF, "occurred_at": datetime.now(UTC).isoformat()}
    answer = httpx.post(
        f"http://127.0.0.1:{stack.service_port}/v1/events",
        json={"events": [event]},
        headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "acceptance-1"},
        trust_env=False,
    )
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
    assert stack.value("engage", f"SELECT count(*) FROM app_session WHERE customer_id = {EVENT_OF}") == "1"


def test_down_and_up_keeps_everything(stack: Stack) -> None:
    before = stack.report()
    with stack.airflow() as airflow:
        edited = {"key": "engage_low_spend_threshold", "value": "120"}
        airflow.patch(f"/api/v2/variables/{edited['key']}", json=edited).raise_for_status()
    stack.compose("down")
    stack.up()
    assert stack.report() == before
    assert stack.value("engage", f"SELECT count(*) FROM app_session WHERE customer_id = {EVENT_OF}") == "1"
    with stack.airflow() as airflow:
        assert airflow.get(f"/api/v2/variables/{edited['key']}").json()["value"] == "120"
        runs = airflow.get(f"/api/v2/dags/{DAG_ID}/dagRuns").raise_for_status().json()["dag_runs"]
        assert {run["state"] for run in runs} == {"success"}


def test_a_backup_restores_into_an_empty_stack(stack: Stack, tmp_path: Path) -> None:
    before = stack.report()
    for database in ("engage", "airflow"):
        with (tmp_path / f"{database}.dump").open("wb") as file:
            options = {"stdout": file, "stderr": subprocess.PIPE, "capture_output": False, "text": False}
            stack.in_postgres("pg_dump", "-U", "postgres", "-Fc", database, **options)
    stack.compose("down", "-v")
    stack.compose("up", "-d", "postgres")
    until(lambda: stack.inspect("postgres", "{{.State.Health.Status}}") == "healthy", "Postgres is healthy")
    assert stack.value("engage", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"
    for database in ("engage", "airflow"):
        with (tmp_path / f"{database}.dump").open("rb") as file:
            restore = ("pg_restore", "-U", "postgres", "--single-transaction", "-d", database)
            stack.in_postgres(*restore, stdin=file)
    stack.up()
    assert stack.report() == before
    with stack.airflow() as airflow:
        assert airflow.get("/api/v2/variables/engage_low_spend_threshold").json()["value"] == "120"
