"""The server stack for the tests: a project of docker-compose with an image, ports and secrets of its own.

It may run beside one that is in use; nothing of it is left at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from engage.airflow_names import DAG_ID
from tests.e2e.browser import CHROMIUM, OPTIONS, PATIENCE_MS
from tests.ports import free_port
from tests.waiting import until

Theme = Literal["light", "dark"]
ROOT = Path(__file__).resolve().parents[2]
LASTING = {"postgres", "api-server", "scheduler", "dag-processor", "triggerer", "service"}
ADMIN = "admin"
ROLES = {ADMIN: "Admin", "olga": "Op", "uma": "User", "vera": "Viewer"}
"""Users by name, each with a role of Airflow."""
WIDTHS: dict[Theme, int] = {"light": 1280, "dark": 390}
"""The width in which each theme is looked at: a screen and a phone."""
CUSTOMERS = 1_000
"""Customers of the campaign that was sent."""
PASSWORD = "only for tests, of no use to anybody"
"""Of the users that the tests add; the admin has its own."""
WITHIN = 300
"""Seconds that anything may take in containers."""


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
        """Only the file's settings may reach docker-compose, and another image of Postgres."""
        names = {name for name in os.environ if not name.startswith(("ENGAGE_", "AIRFLOW", "POSTGRES_"))}
        kept = {name: os.environ[name] for name in names | (os.environ.keys() & {"ENGAGE_POSTGRES_IMAGE"})}
        return kept | {
            "ENGAGE_IMAGE": "engage-acceptance",
            "AIRFLOW_PORT": str(self.airflow_port),
            "AIRFLOW_URL": self.airflow_url,
            "ENGAGE_SERVICE_PORT": str(self.service_port),
        }

    def command(self, *arguments: str) -> list[str]:
        """A command of docker-compose for this project, to run with its ``environment``."""
        command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
        return [*command, "-f", str(ROOT / "docker-compose.yaml"), "--env-file", str(self.env_file),
                "-p", self.project, *arguments]  # fmt: skip

    def compose(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[Any]:
        options = {"capture_output": True, "text": True} | options
        done = subprocess.run(self.command(*arguments), env=self.environment, check=False, **options)
        if check and done.returncode:
            pytest.fail(f"docker-compose {' '.join(arguments)}: {done.returncode}\n{done.stdout!s}\n{done.stderr!s}")
        return done

    def up(self) -> None:
        """Start the missing parts, and wait until all of them are healthy."""
        self.compose("up", "-d")
        deadline = time.monotonic() + WITHIN
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
        """The output of an Engage command, in a container of its own."""
        return str(self.compose("run", "--rm", "-T", "engage", *arguments).stdout)

    def shell(self, script: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run several Engage commands in one container. ``options``: those of ``docker-compose run``."""
        run = ("run", "--rm", "-T", *options, "--entrypoint", "python", "engage")
        return self.compose(*run, "deploy/with_secrets.py", "bash", "-ec", script)

    def airflow_command(self, *arguments: str) -> str:
        """The output of an Airflow command, in the api-server's container."""
        run = ("python", "deploy/with_secrets.py", "airflow", *arguments)
        return str(self.compose("exec", "-T", "api-server", *run).stdout)

    def in_postgres(self, *command: str, **options: Any) -> subprocess.CompletedProcess[Any]:
        """Run a tool beside the server. Some images have them only in psql's folder, not on the path."""
        find = 'PATH=$PATH:$(dirname "$(readlink -f "$(command -v psql)")") PGHOST=/var/run/postgresql exec "$@"'
        return self.compose("exec", "-T", "postgres", "bash", "-c", find, "-", *command, **options)

    def value(self, database: str, query: str) -> str:
        return str(self.in_postgres("psql", "-U", "postgres", "-d", database, "-Atc", query).stdout).strip()

    def report(self) -> dict[str, Any]:
        return dict(json.loads(self.engage("report", "--json")))

    def secret(self, name: str) -> str:
        return (self.env_file.parent / "secrets" / name).read_text()

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.airflow_port}"

    def token(self, user: str) -> str:
        """A login of Airflow, as a program and a browser send it."""
        login = {"username": user, "password": self.secret("AIRFLOW_ADMIN_PASSWORD") if user == ADMIN else PASSWORD}
        answer = httpx.post(f"{self.airflow_url}/auth/token", json=login, timeout=60, trust_env=False)
        return str(answer.raise_for_status().json()["access_token"])

    def airflow(self, user: str = ADMIN) -> httpx.Client:
        """Airflow's REST API, logged in as a user."""
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        return httpx.Client(base_url=self.airflow_url, headers=headers, timeout=60, trust_env=False)

    def own_run(self, airflow: httpx.Client, dag_id: str) -> dict[str, Any]:
        """The run that unpausing a DAG starts, at its end."""
        path = f"/api/v2/dags/{dag_id}"
        until(lambda: airflow.get(path).is_success, f"Airflow knows {dag_id}", within=WITHIN)
        airflow.patch(path, json={"is_paused": False}).raise_for_status()

        def runs() -> list[dict[str, Any]]:
            return list(airflow.get(f"{path}/dagRuns").raise_for_status().json()["dag_runs"])

        found = until(runs, f"unpausing {dag_id} starts its own run", within=WITHIN)
        return self.ended(airflow, dag_id, found[0]["dag_run_id"])

    def ended(self, airflow: httpx.Client, dag_id: str, run_id: str) -> dict[str, Any]:
        """A run, at its end."""

        def run() -> dict[str, Any] | None:
            found = airflow.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}").raise_for_status().json()
            return dict(found) if found["state"] in ("success", "failed") else None

        return until(run, f"the run {run_id} ends", within=WITHIN)

    def posted(self, user: str, action: str, **body: object) -> int:
        """The status that a page's action answers, sent past the page."""
        with self.airflow(user) as airflow:
            return airflow.post(f"/engage/{action}", json=body, headers={"Origin": self.airflow_url}).status_code

    @contextmanager
    def page(self, browser: Browser, user: str, theme: Theme = "light") -> Iterator[Page]:
        """A page in which the user is logged in, as wide as its theme is looked at. It says no error by the end."""
        errors: list[str] = []
        context = browser.new_context(
            viewport={"width": WIDTHS[theme], "height": 900}, color_scheme=theme, locale="en-US"
        )
        context.add_cookies([{"name": "_token", "value": self.token(user), "url": self.airflow_url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        yield page
        context.close()
        assert errors == []


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.fail("There is no chromium, chromium-browser or google-chrome to open the pages with.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def users(stack: Stack) -> dict[str, str]:
    """A user of each role of Airflow."""
    for name, role in ROLES.items():
        if name != ADMIN:
            about = ("--firstname", name, "--lastname", "Test", "--email", f"{name}@example.com")
            stack.airflow_command("users", "create", "--role", role, "--username", name, "--password", PASSWORD, *about)
    return ROLES


@pytest.fixture(scope="session")
def sent(stack: Stack) -> str:
    """A campaign of synthetic customers, triggered over REST; the log of its last task."""
    conf = {"seed": True, "customers": CUSTOMERS, "rng_seed": 20250106, "send_late": True}
    path = f"/api/v2/dags/{DAG_ID}"
    with stack.airflow() as airflow:
        # the window's own run comes first, and finds no customers: two runs of a window must not overlap
        assert stack.own_run(airflow, DAG_ID)["state"] == "success"
        run = airflow.post(f"{path}/dagRuns", json={"logical_date": None, "conf": conf}).raise_for_status().json()
        assert stack.ended(airflow, DAG_ID, run["dag_run_id"])["state"] == "success"
        airflow.patch(path, json={"is_paused": True}).raise_for_status()
        log = f"{path}/dagRuns/{run['dag_run_id']}/taskInstances/message/logs/1"
        return airflow.get(log, headers={"Accept": "application/json"}).raise_for_status().text
