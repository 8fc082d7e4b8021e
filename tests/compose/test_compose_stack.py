"""The real server stack: built, started, used, stopped, lost and restored. ``make test-compose``; needs docker.

The tests build on each other, in this order.
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from engage.airflow_names import DAG_ID
from engage.clock import now
from engage.formats import days
from engage.pages.render import shown_tabs
from engage.window import Window
from tests.compose.conftest import ADMIN, CUSTOMERS, LASTING, ROLES, WIDTHS, Stack, Theme
from tests.e2e.browser import PATIENCE_MS, picture

EVENT_OF = 60_004_711
WINDOW = Window.last_complete(now())
START = f"{WINDOW.start:%Y-%m-%d}"
DATES = days(WINDOW.start, WINDOW.end)

pytestmark = pytest.mark.skipif(os.environ.get("ENGAGE_TEST_COMPOSE") != "1", reason="needs docker: make test-compose")


def test_without_secrets_compose_stops_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / ".env").touch()
    done = Stack(tmp_path / ".env").compose("up", "-d", check=False)
    assert done.returncode != 0
    assert "the folder of the secrets is not in .env. Run make env" in done.stderr


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


def test_no_container_shows_a_secret_or_has_more_than_its_own(stack: Stack) -> None:
    every = {path.name: path.read_text() for path in (stack.env_file.parent / "secrets").iterdir()}
    for name in LASTING:
        shown = stack.inspect(name, "{{json .Config}} {{json .HostConfig}}")
        assert not [secret for secret in every.values() if secret and secret in shown], name
        has = stack.compose("exec", "-T", name, "ls", "/run/secrets").stdout.split()
        assert ("POSTGRES_PASSWORD" in has) == (name == "postgres"), name
        assert ("ENGAGE_DB_PASSWORD" in has) == (name == "scheduler"), name
        assert ("ENGAGE_HASH_KEY" in has) == (name in {"api-server", "scheduler", "service"}), name


def test_a_container_can_change_only_its_volumes_and_tmp(stack: Stack) -> None:
    for name in LASTING:
        folders = "/ /etc /opt /opt/airflow /opt/airflow/dags /opt/airflow/engage /usr/local/bin"
        write = f"touch /tmp/x; for d in {folders} $HOME; do touch $d/x 2>/dev/null && echo $d; done"
        assert stack.compose("exec", "-T", name, "bash", "-c", write, check=False).stdout.split() == [], name
        limits = stack.inspect(name, "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.PidsLimit}} {{.HostConfig.Memory}}")
        read_only, pids, memory = limits.split()
        assert read_only == "true", name
        assert int(pids) > 0, name
        assert int(memory) > 0, name


def test_a_container_reaches_only_what_it_needs(stack: Stack) -> None:
    def reaches(name: str, host: str, port: int) -> bool:
        code = f"import socket; socket.create_connection(({host!r}, {port}), 3)"
        return stack.compose("exec", "-T", name, "python", "-c", code, check=False).returncode == 0

    for name in LASTING - {"postgres"}:
        assert reaches(name, "postgres", 5432), name
        assert reaches(name, "api-server", 8080) == (name != "service"), name
        assert reaches(name, "service", 8000) == (name == "service"), name


def test_both_ports_are_on_loopback(stack: Stack) -> None:
    for name, port in {"api-server": stack.airflow_port, "service": stack.service_port}.items():
        bindings = json.loads(stack.inspect(name, "{{json .HostConfig.PortBindings}}")).values()
        assert [(one["HostIp"], int(one["HostPort"])) for found in bindings for one in found] == [("127.0.0.1", port)]


def test_each_role_may_use_its_own_database_only(stack: Stack) -> None:
    roles = "{airflow,engage,engage_alerts,engage_pages,engage_service}"
    may = f"""SELECT role || ' ' || datname FROM unnest('{roles}'::name[]) AS role, pg_database
              WHERE has_database_privilege(role, oid, 'CONNECT') AND datallowconn ORDER BY 1"""
    own = ["airflow airflow", "engage engage", "engage_alerts engage", "engage_pages engage", "engage_service engage"]
    assert stack.value("postgres", may).splitlines() == own
    imports = own[3]  # the page Import reads a file through temporary tables
    assert stack.value("postgres", may.replace("CONNECT", "TEMPORARY")).splitlines() == [*own[:2], imports]
    assert stack.value("postgres", "SELECT count(*) FROM pg_roles WHERE rolsuper AND rolcanlogin") == "1"
    for database, statement, refusal in (
        ("airflow", "SELECT 1", 'permission denied for database "airflow"'),
        ("engage", "CREATE TABLE other (a int)", "permission denied for schema public"),
        ("engage", "DROP TABLE app_session", "must be owner of table app_session"),
    ):
        code = (
            "import os, psycopg; url = os.environ['ENGAGE_DATABASE_URL'].removesuffix('engage'); "
            f"psycopg.connect(url + {database!r}).execute({statement!r})"
        )
        run = ("python", "deploy/with_secrets.py", "python", "-c", code)
        refused = stack.compose("exec", "-T", "service", *run, check=False)
        assert refusal in refused.stderr


def test_a_login_without_the_password_is_refused(stack: Stack) -> None:
    for password in ("admin", "airflow", ""):
        login = {"username": "admin", "password": password}
        answer = httpx.post(f"http://127.0.0.1:{stack.airflow_port}/auth/token", json=login, trust_env=False)
        assert 400 <= answer.status_code < 500, password


def test_a_seeded_run_triggered_over_rest_succeeds(stack: Stack, sent: str) -> None:
    with stack.airflow() as airflow:
        known = airflow.get("/api/v2/variables", params={"limit": 100}).raise_for_status().json()["variables"]
        assert {variable["key"] for variable in known} == set(json.loads(stack.engage("variables")))
    assert "/opt/airflow/logs/" in sent
    assert "accepted_now: " in sent
    report = stack.report()
    assert sum(report["buckets"].values()) == CUSTOMERS
    texted = report["buckets"]["BOOST"] + report["buckets"]["REWARD"]
    assert texted > 0
    assert sum(report["messages"]["by_status"].values()) == texted


@pytest.fixture(scope="module")
def waits(stack: Stack) -> str:
    """The start of a window whose messages wait, as the cap has stopped its run."""
    start = f"{Window.last_complete(now()).previous().start:%Y-%m-%d}"
    stack.engage("seed", "--customers", "50", "--rng-seed", "1", "--window-start", start)
    settings = ("--set", "max_messages_per_run=1", "--set", "min_days_between_messages=0")
    run = ("run", "--window-start", start, "--send-late", *settings)
    stack.compose("run", "--rm", "-T", "engage", *run, check=False)
    return start


def test_a_login_in_the_browser_leads_to_the_campaigns(stack: Stack, browser: Browser) -> None:
    page = browser.new_page(locale="en-US")
    page.set_default_timeout(PATIENCE_MS)
    page.goto(stack.airflow_url)
    page.locator("input[name=username]").fill(ADMIN)
    page.locator("input[name=password]").fill(stack.secret("AIRFLOW_ADMIN_PASSWORD"))
    page.locator("input[type=submit], button[type=submit]").first.click()
    page.get_by_role("link", name="Campaigns").click()
    expect(page.frame_locator("iframe").get_by_role("row", name=DATES)).to_contain_text(f"{CUSTOMERS:,}")
    page.close()


@pytest.mark.parametrize("user", ROLES)
def test_each_role_opens_each_page_and_does_what_it_may(
    stack: Stack, browser: Browser, users: dict[str, str], waits: str, user: str
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US")
    page.set_default_timeout(PATIENCE_MS)
    page.context.add_cookies([{"name": "_token", "value": stack.token(user), "url": stack.airflow_url}])
    frame = page.frame_locator("iframe")
    open_every_page(page, frame, stack)

    page.goto(f"{stack.airflow_url}/plugin/engage/engage/report?window_start={waits}")
    expect(frame.get_by_role("heading", name="Campaign of")).to_contain_text("Queued")
    if users[user] == "Viewer":
        expect(frame.get_by_role("button", name="Halt")).to_have_count(0)
        assert stack.posted(user, "halt", window_start=waits, why="x") == 403
    else:
        halt_and_resume(frame, stack, user, waits)
        assert stack.posted(user, "halt", window_start=START, why="x") == 409  # it is finished

    page.goto(f"{stack.airflow_url}/engage/segments?window_start={START}")
    expect(page.get_by_text("may be texted").first).to_be_visible()
    if users[user] in ("Viewer", "User"):
        expect(page.get_by_role("button", name="for the next campaign")).to_have_count(0)
        change = {"name": "low_spend_threshold", "value": "1", "was": "100.0"}
        assert stack.posted(user, "settings-save", changes=[change]) == 403
    else:
        set_a_threshold(page, stack)
    page.context.close()


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("user", [ADMIN, "vera"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_a_screen_and_a_phone(stack: Stack, browser: Browser, user: str, theme: Theme) -> None:
    addresses = [tab.address for tab in shown_tabs()]
    with stack.page(browser, user, theme) as page:
        for address in [*addresses, f"report?window_start={START}", f"segments?window_start={START}"]:
            page.goto(f"{stack.airflow_url}/engage/{address}", wait_until="networkidle")
            picture(page, f"compose-{address.partition('?')[0]}-{user}-{theme}-{WIDTHS[theme]}.png")
            assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[theme], address


def open_every_page(page: Page, frame: FrameLocator, stack: Stack) -> None:
    """Go through all pages by their links."""
    page.goto(f"{stack.airflow_url}/plugin/engage")
    row = frame.get_by_role("row", name=DATES)
    expect(row).to_contain_text("Sent")
    row.get_by_role("link", name=DATES, exact=True).click()
    expect(frame.get_by_role("application", name="Customers by spend and weekly sessions")).to_be_visible()
    with page.expect_download() as download:
        frame.get_by_role("link", name="Counts as CSV").click()
    assert download.value.suggested_filename == f"campaign-{START}.csv"
    frame.get_by_role("navigation", name="Engage").get_by_role("link", name="Segments").click()
    expect(frame.get_by_text("may be texted").first).to_be_visible()  # the script is there
    frame.get_by_label("Low spend threshold", exact=True).fill("180.5")
    expect(frame.locator("#then")).not_to_contain_text("as it did")
    frame.get_by_role("button", name="Take back all changes").click()
    tabs = frame.get_by_role("navigation", name="Engage")
    tabs.get_by_role("link", name="Customers").click()
    search = frame.get_by_label("Id, name, or last digits of the phone")
    search.fill(stack.value("engage", "SELECT max(customer_id) FROM customer_bucket"))
    search.press("Enter")
    expect(frame.get_by_role("heading", name="What happened")).to_be_visible()
    expect(frame.get_by_role("link", name=DATES)).to_be_visible()
    tabs.get_by_role("link", name="Messages").click()
    expect(frame.get_by_role("table", name="Messages by customer id").get_by_role("row").nth(1)).to_be_visible()
    tabs.get_by_role("link", name="Texts and settings").click()
    expect(frame.get_by_role("heading", name="Texts and settings")).to_be_visible()
    tabs.get_by_role("link", name="Activity").click()
    expect(frame.get_by_role("heading", name="Activity", exact=True)).to_be_visible()


def halt_and_resume(frame: FrameLocator, stack: Stack, user: str, start: str) -> None:
    """Halt the shown campaign, and end the halt."""
    frame.get_by_role("button", name="Halt").click()
    dialog = frame.get_by_role("dialog", name="Stop sending the campaign?")
    dialog.get_by_label("Why").fill("a typo in the text")
    dialog.get_by_role("button", name="Halt").click()
    expect(frame.get_by_text(f"by {user}: a typo in the text").first).to_be_visible()
    halted = f"SELECT halted_by || ': ' || halted_why FROM campaign WHERE window_start = '{start}T00:00:00Z'"
    assert stack.value("engage", halted) == f"{user}: a typo in the text"
    frame.get_by_role("button", name="Resume").click()
    frame.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(frame.get_by_role("button", name="Halt")).to_be_visible()
    assert stack.value("engage", halted) == ""


def set_a_threshold(page: Page, stack: Stack) -> None:
    """Set other thresholds on the page, and the default ones again over REST."""
    page.get_by_label("Low spend threshold", exact=True).fill("180.5")
    page.get_by_role("button", name="Set for the next campaign").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("row", name="Low spend threshold")).to_contain_text("180.5")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("The next campaign takes it.")
    with stack.airflow() as airflow:
        path = "/api/v2/variables/engage_low_spend_threshold"
        assert airflow.get(path).raise_for_status().json()["value"] == "180.5"
        airflow.patch(path, json={"key": "engage_low_spend_threshold", "value": "100.0"}).raise_for_status()


def test_a_task_that_was_killed_is_reported_from_the_dag_processor(stack: Stack) -> None:
    """Airflow calls a killed task's callback there."""
    code = (
        "import sys, types; sys.path.append('plugins'); import engage_alerts; "
        f"ti = types.SimpleNamespace(dag_id='{DAG_ID}', run_id='r', task_id='t', try_number=1, log_url='http://x'); "
        "engage_alerts.task_failed({'ti': ti})"
    )
    stack.compose("exec", "-T", "dag-processor", "python", "deploy/with_secrets.py", "python", "-c", code)
    assert stack.value("engage", f"SELECT kind FROM alert WHERE incident = '{DAG_ID} r t 1 failed'") == "task_failed"


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
    stack.compose("run", "--rm", "-T", "roles")
    assert stack.value("engage", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"
    for database in ("engage", "airflow"):
        with (tmp_path / f"{database}.dump").open("rb") as file:
            restore = ("pg_restore", "-U", "postgres", "--single-transaction", "-d", database)
            stack.in_postgres(*restore, stdin=file)
    stack.up()
    assert stack.report() == before
    with stack.airflow() as airflow:
        assert airflow.get("/api/v2/variables/engage_low_spend_threshold").json()["value"] == "120"
