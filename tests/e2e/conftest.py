"""Real Airflow processes on an embedded Postgres. A stack serves many tests: one in all, and two with pytest-xdist."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect, sync_playwright
from xdist.scheduler import LoadScopeScheduling

from engage import process_signals
from engage.airflow_names import DAG_ID
from engage.local.home import Home
from engage.local.stack import ADMIN, USERS
from engage.local.stack import stack as local_stack
from engage.settings import Settings
from tests.e2e.browser import CHROMIUM, OPTIONS, PATIENCE_MS
from tests.e2e.pages import SENT, START, WAITING, WAITS, WINDOW, Watched, watching
from tests.e2e.segments_page import OWN, Variables
from tests.e2e.support import APPROVER, OP, USER, VIEWER, Airflow, Campaigns, CommandLine, Run, signals_kept
from tests.ports import free_port
from tests.server_folder import server_folder
from tests.smtp_double import Mail, smtp_double
from tests.waiting import until

PRELOAD = """
import sys

if "scheduler" in sys.argv:
    import airflow.providers.postgres.hooks.postgres
    import airflow.sdk.execution_time.task_runner
    import engage.steps.aggregate, engage.steps.approve, engage.steps.bucket
    import engage.steps.extract, engage.steps.message, engage.steps.seed
"""
"""Airflow's local settings. Each task is a fork of the scheduler, so that no task imports these anew."""
STACKS = {
    "test_approval": "first stack",
    "test_approvers": "first stack",
    "test_workflow": "first stack",
    "test_demo": "stacks of their own",
    "test_demo_spark": "stacks of their own",
    "test_run_identity": "stacks of their own",
}
"""The files whose tests share a worker of pytest-xdist, by the stack that they use. All others share a second stack."""


class OneWorkerForAStack(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests of a stack to one worker, so that no worker starts a stack of its own for some of them."""

    def _split_scope(self, nodeid: str) -> str:
        return STACKS.get(Path(nodeid.split("::", maxsplit=1)[0]).stem, "second stack")


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneWorkerForAStack:
    return OneWorkerForAStack(config, log)


@pytest.fixture(scope="session")
def fresh() -> Iterator[Airflow]:
    """A stack with an empty database, its DAG still paused."""
    with server_folder() as folder, signals_kept():
        home = Home(folder, free_port(), free_port())
        (home.airflow / "config").mkdir(parents=True)
        (home.airflow / "config" / "airflow_local_settings.py").write_text(PRELOAD)
        # the double's, which a connection may not name
        os.environ["ENGAGE_SMS_API"] = f"http://127.0.0.1:{free_port()}"
        with local_stack(home, USERS | {VIEWER: "viewer", USER: "user", OP: "op", APPROVER: "user"}) as stack:
            process_signals.interrupt_on_signals()  # so that the stack ends with the tests
            airflow = Airflow(stack)
            airflow.wait_until_healthy()
            airflow.add_default_variables()
            yield airflow
            airflow.http.close()
            stack_processes = CommandLine(home.path)
            assert stack_processes.saw("scheduler", "dag-processor")
        assert stack_processes.processes() == []


@pytest.fixture(scope="session")
def first_scheduled_run(fresh: Airflow) -> Run:
    """What comes of unpausing the DAG before there is any data. Every other test finds the DAG unpaused."""
    fresh.request("PATCH", f"dags/{DAG_ID}", json={"is_paused": False})
    until(fresh.runs, "the scheduler makes the first run")
    return fresh.wait_for(*fresh.runs())


@pytest.fixture(scope="session")
def airflow(fresh: Airflow, first_scheduled_run: Run) -> Airflow:
    """A stack with its DAG unpaused and nothing under way. Its campaigns may text the same people on one day."""
    fresh.set_variable("engage_min_days_between_messages", "0")
    return fresh


@pytest.fixture(scope="session")
def campaigns(airflow: Airflow) -> Iterator[Campaigns]:
    with airflow.stack.database() as engine:
        yield Campaigns(engine)


@pytest.fixture(scope="session")
def computed(airflow: Airflow, campaigns: Campaigns) -> Run:
    """A campaign of synthetic customers that texts none of them, and one before it that was sent."""
    for window in (WINDOW.previous(), WINDOW):
        campaigns.remove(window)
    conf: dict[str, Any] = {"seed": True, "customers": 300, "rng_seed": 1}
    assert airflow.run(**conf, window_start=SENT, send_late=True).state == "success"
    run = airflow.run(**conf, window_start=START, dry_run=True)
    assert run.state == "success"
    return run


@pytest.fixture(scope="module")
def waiting(airflow: Airflow, campaigns: Campaigns, computed: Run) -> Iterator[None]:
    """A campaign whose messages wait, as the cap has stopped its run."""
    campaigns.remove(WAITING)
    airflow.set_variable("engage_max_messages_per_run", "1")
    stopped = airflow.run(seed=True, customers=300, rng_seed=1, window_start=WAITS, send_late=True)
    airflow.set_variable("engage_max_messages_per_run", "0")
    assert stopped.states["message"] == "failed"
    yield
    campaigns.remove(WAITING)


@pytest.fixture
def set_variable(airflow: Airflow) -> Iterator[Callable[[str, str], None]]:
    """Edit Airflow Variables by setting; the test's end brings back the defaults."""
    edited = set()

    def edit(setting: str, value: str) -> None:
        edited.add(setting)
        airflow.set_variable(f"engage_{setting}", value)

    yield edit
    defaults = Settings().model_dump()
    for setting in edited:
        value = defaults[setting]
        airflow.set_variable(f"engage_{setting}", str(value).lower() if isinstance(value, bool) else str(value))


@pytest.fixture
def engage() -> Iterator[CommandLine]:
    with server_folder() as folder:
        command = CommandLine(folder)
        yield command
        command.kill_everything()


@pytest.fixture
def mails(airflow: Airflow, campaigns: Campaigns, set_variable: Callable[[str, str], None]) -> Iterator[list[Mail]]:
    """What arrives at ops@example.com. Alerts of earlier tests, which had no address, are not mailed."""
    with campaigns.engine.begin() as conn:
        conn.execute(sa.text("UPDATE alert SET mailed_at = now() WHERE mailed_at IS NULL"))
    with smtp_double() as double:
        extra = json.dumps({"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"})
        server = {"conn_type": "smtp", "host": "127.0.0.1", "port": double.port, "extra": extra}
        airflow.request("POST", "connections", json={"connection_id": "smtp_default", **server})
        set_variable("alert_emails", "ops@example.com")
        yield double.mails
        airflow.request("DELETE", "connections/smtp_default")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        missing = "NOT TESTED: what a person sees in Airflow. There is no chromium, chromium-browser or google-chrome."
        if os.environ.get("ENGAGE_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1400, "height": 900}, locale="en-US")
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


def client(airflow: Airflow, user: str | None) -> httpx.Client:
    """Somebody who has logged in as a browser has: with a cookie."""
    http = httpx.Client(base_url=airflow.stack.home.url, timeout=60, trust_env=False)
    if user:
        http.cookies.set("_token", airflow.token(user))
    return http


@pytest.fixture(scope="module")
def clients(airflow: Airflow) -> Iterator[dict[str, httpx.Client]]:
    found = {"anonymous": client(airflow, None), ADMIN: client(airflow, ADMIN), VIEWER: client(airflow, VIEWER)}
    yield found
    for http in found.values():
        http.close()


@pytest.fixture
def watched(browser: Browser, airflow: Airflow, computed: Run, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A logged-in browser page; it may have no errors and ask nobody else by the end of the test."""
    with watching(browser, airflow, getattr(request, "param", ADMIN)) as found:
        yield found
        assert found.errors == []


@pytest.fixture(params=["light", "dark"])
def seen(browser: Browser, airflow: Airflow, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A viewer's page in one theme, without an error in the console."""
    with watching(browser, airflow, VIEWER, request.param) as found:
        yield found
        assert found.errors == []


@pytest.fixture
def variables(airflow: Airflow) -> Iterator[Variables]:
    """Reads a setting's Variable; None if there is none. The end of the test brings all defaults back."""

    def read(name: str) -> str | None:
        answer = airflow.http.get(f"/api/v2/variables/engage_{name}")
        return str(answer.json()["value"]) if answer.status_code == 200 else None

    yield read
    for name in OWN:
        airflow.http.delete(f"/api/v2/variables/engage_{name}")
    airflow.add_default_variables()
    for name in ("message_boost", "message_reward", "low_spend_threshold", "high_activity_threshold"):
        airflow.set_variable(f"engage_{name}", str(Settings().model_dump()[name]))
