"""Engage's pages inside Airflow: who may see them and who may act, over HTTP and in a real browser.

With ENGAGE_SCREENSHOT_DIR=docs/images the pages are also saved as pictures there, for the documentation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Page, Request, expect

from engage.airflow_names import DAG_ID
from engage.local.home import CHECKOUT
from engage.local.stack import ADMIN
from tests.e2e.browser import PATIENCE_MS, let_in, picture
from tests.e2e.support import VIEWER, Airflow, Campaigns, Run, past_window
from tests.waiting import until

WINDOW = past_window(7)
START = f"{WINDOW.start:%Y-%m-%d}"
SENT = f"{WINDOW.previous().start:%Y-%m-%d}"
CUSTOMERS = 300
EVIL = "<script>document.title='owned'</script></script><img src=x onerror=\"document.title='owned'\">"
Edit = Callable[[str, str], None]
POLICY = ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'self'")


@pytest.fixture(scope="module")
def computed(airflow: Airflow, campaigns: Campaigns) -> Run:
    """A campaign of synthetic customers that nobody is texted by, and another before it that was sent."""
    for window in (WINDOW.previous(), WINDOW):
        campaigns.remove(window)
    conf: dict[str, Any] = {"seed": True, "customers": CUSTOMERS, "rng_seed": 1}
    assert airflow.run(**conf, window_start=SENT, send_late=True).state == "success"
    run = airflow.run(**conf, window_start=START, dry_run=True)
    assert run.state == "success"
    return run


# --- over HTTP


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


@pytest.fixture(scope="module")
def routes(airflow: Airflow) -> list[tuple[str, str]]:
    """Every method and path that the plugin serves."""
    code = "import json, engage_web; print(json.dumps([(m, r.path) for r in engage_web.app.routes for m in r.methods]))"
    environment = airflow.stack.environment | {"PYTHONPATH": f"{CHECKOUT}{os.pathsep}{CHECKOUT / 'plugins'}"}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    return [(method, path) for method, path in json.loads(answer.splitlines()[-1])]


ADDRESSES = {
    "/campaigns": "/campaigns",
    "/report": f"/report?window_start={START}",
    "/run": "/run?dag_id={dag}&run_id={run}",
    "/counts.csv": f"/counts.csv?window_start={START}",
    "/what-if": f"/what-if?window_start={START}",
    "/what-if-counts": f"/what-if-counts?window_start={START}&low=120&high=4",
    "/customer": "/customer?customer_id=1",
    "/static/{name}": "/static/page.js",
}
BODIES = {
    "/find-customer": {"customer_id": "1"},
    "/go-on": {"window_start": "2025-01-07"},  # the start of no window, so that no run starts
    "/halt": {"window_start": START, "why": "a test"},
    "/resume": {"window_start": START},
    "/thresholds": {"low_spend_threshold": "100.0", "high_activity_threshold": "5.0"},
}
ANSWERS = {"/go-on": 400}
"""What an administrator's POST is answered with, where that is not 200."""
LOOKS = {"/find-customer"}
"""POSTs that change nothing."""
FOREIGN = [
    {"Origin": "https://elsewhere.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
]
"""How a page of another site would have a browser send something."""


def asked(http: httpx.Client, method: str, path: str, run: Run, **headers: str) -> httpx.Response:
    """A request that is right in everything that the route itself asks for."""
    address = "/engage" + ADDRESSES.get(path, path).format(dag=DAG_ID, run=quote(run.run_id, safe=""))
    if method == "GET":
        return http.get(address, headers=headers)
    origin = str(http.base_url).rstrip("/")
    body = json.dumps(BODIES[path]).encode()
    return http.post(address, content=body, headers={"Origin": origin, "Content-Type": "application/json"} | headers)


def test_the_routes_are_these(routes: list[tuple[str, str]]) -> None:
    """One that is new has to be added, and is walked from then on."""
    assert sorted(routes) == sorted([("GET", path) for path in ADDRESSES] + [("POST", path) for path in BODIES])


def test_nobody_sees_anything_without_a_login(
    clients: dict[str, httpx.Client], routes: list[tuple[str, str]], computed: Run
) -> None:
    for method, path in routes:
        answer = asked(clients["anonymous"], method, path, computed)
        assert answer.status_code == 401, (method, path)
        assert_guarded(answer)


def test_a_viewer_may_look_and_not_act(
    clients: dict[str, httpx.Client], routes: list[tuple[str, str]], computed: Run
) -> None:
    for method, path in routes:
        answer = asked(clients[VIEWER], method, path, computed)
        assert answer.status_code == (200 if method == "GET" or path in LOOKS else 403), (method, path, answer.text)
        assert_guarded(answer)


def assert_guarded(answer: httpx.Response) -> None:
    policy = answer.headers["content-security-policy"].split("; ")
    assert set(POLICY) <= set(policy)
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_what_another_site_sends_is_refused(
    clients: dict[str, httpx.Client], routes: list[tuple[str, str]], computed: Run, headers: dict[str, str]
) -> None:
    for method, path in routes:
        if method == "POST":
            answer = asked(clients[ADMIN], method, path, computed, **headers)
            assert answer.status_code == 403, (path, answer.text)


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}], ids=str)
def test_what_a_page_of_ours_sends_is_taken(
    clients: dict[str, httpx.Client], routes: list[tuple[str, str]], computed: Run, headers: dict[str, str]
) -> None:
    for method, path in routes:
        if method == "POST":
            answer = asked(clients[ADMIN], method, path, computed, **headers)
            assert answer.status_code == ANSWERS.get(path, 200), (path, answer.text)


@pytest.mark.parametrize("value", ["abc", "-1", "NaN", "", EVIL])
def test_a_threshold_that_cannot_be_right_is_refused_and_changes_nothing(
    clients: dict[str, httpx.Client], airflow: Airflow, value: str
) -> None:
    before = airflow.request("GET", "variables/engage_low_spend_threshold")["value"]
    body = {"low_spend_threshold": value, "high_activity_threshold": "3"}
    answer = clients[ADMIN].post("/engage/thresholds", json=body, headers={"Origin": airflow.stack.home.url})
    assert answer.status_code == 400
    assert "The Airflow Variable engage_low_spend_threshold is" in answer.json()["detail"]
    assert airflow.request("GET", "variables/engage_low_spend_threshold")["value"] == before
    assert airflow.request("GET", "variables/engage_high_activity_threshold")["value"] == "5.0"


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        ("/report?window_start=2025-01-07", 400, "is not the start of a window"),
        ("/report?window_start=%3Cscript%3E", 400, "is not a date"),
        ("/report?window_start=2025-01-06", 404, "no campaign"),
        (f"/what-if?window_start={START}&low=abc", 400, "low_spend_threshold is &#39;abc&#39;, which is not allowed"),
        (f"/what-if-counts?window_start={START}&high=%3Cscript%3E", 400, "high_activity_threshold is"),
        ("/customer?customer_id=%3Cscript%3E", 400, "is not a customer&#39;s id"),
        ("/customer?customer_id=999999999999", 404, "There is no customer 999999999999"),
        (f"/run?dag_id={DAG_ID}&run_id=%3Cscript%3E", 400, "There is no such run"),
        ("/run?dag_id=engage_maintenance&run_id=x", 400, "Only the runs of customer_engagement"),
    ],
)
def test_what_cannot_be_shown_is_a_page_that_says_why(
    clients: dict[str, httpx.Client], campaigns: Campaigns, address: str, status: int, sentence: str
) -> None:
    if status == 404 and campaigns.of(past_window(0)):
        pytest.skip("another test has made that campaign")
    answer = clients[ADMIN].get(f"/engage{address}")
    assert answer.status_code == status
    assert sentence in answer.text
    assert "<script>" not in answer.text
    assert_guarded(answer)


def test_a_missing_table_is_a_page_that_says_so(clients: dict[str, httpx.Client], campaigns: Campaigns) -> None:
    try:
        with campaigns.engine.begin() as conn:
            conn.execute(sa.text("ALTER TABLE campaign RENAME TO campaign_away"))
        answer = clients[ADMIN].get("/engage/campaigns")
    finally:
        with campaigns.engine.begin() as conn:
            conn.execute(sa.text("ALTER TABLE campaign_away RENAME TO campaign"))
    assert answer.status_code == 503
    assert "python -m engage db upgrade" in answer.text
    assert_guarded(answer)


def test_a_database_that_takes_too_long_is_a_page_that_says_so(
    clients: dict[str, httpx.Client], campaigns: Campaigns
) -> None:
    with campaigns.engine.begin() as conn:
        conn.execute(sa.text("LOCK TABLE campaign"))
        answer = clients[ADMIN].get("/engage/campaigns")
    assert answer.status_code == 503
    assert "takes too long" in answer.text
    assert_guarded(answer)
    assert clients[ADMIN].get("/engage/campaigns").status_code == 200


# --- in a browser


class Watched:
    """A browser page, and everything that it asked for or complained of."""

    def __init__(self, page: Page, airflow: Airflow) -> None:
        self.page, self.home = page, airflow.stack.home
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "/engage/" in json.dumps(message.location):
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.home.url, "data:", "blob:", "about:")):
            self.elsewhere.append(request.url)

    @property
    def frame(self) -> FrameLocator:
        """Engage's page inside Airflow's."""
        return self.page.frame_locator("iframe")

    def open_campaigns(self) -> None:
        """Go where the link in the navigation leads."""
        self.page.goto(f"{self.home.url}/plugin/engage")


@pytest.fixture
def watched(browser: Browser, airflow: Airflow, computed: Run, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A logged-in browser page; it may have no errors and ask nobody else by the end of the test."""
    user = getattr(request, "param", ADMIN)
    page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US", color_scheme="light")
    page.set_default_timeout(PATIENCE_MS)
    found = Watched(page, airflow)
    let_in(page, airflow, user)
    yield found
    page.close()
    assert found.errors == []
    assert found.elsewhere == []


def test_a_person_finds_the_campaigns_in_the_navigation_and_a_report_in_the_list(
    watched: Watched, campaigns: Campaigns
) -> None:
    watched.page.goto(watched.home.url)
    watched.page.get_by_role("link", name="Campaigns").click()
    watched.page.wait_for_url("**/plugin/engage")
    row = watched.frame.get_by_role("row", name=f"{START} to")
    expect(row).to_contain_text(f"{campaigns.of(WINDOW)['customers']:,}")
    both_themes(watched.page, "campaigns", 480)

    row.get_by_role("link", name=f"{START} to").click()
    expect(watched.frame.get_by_role("heading", name=f"Campaign of {START}")).to_be_visible()
    with watched.page.expect_download() as download:
        watched.frame.get_by_role("link", name="Counts as CSV").click()
    assert download.value.suggested_filename == f"campaign-{START}.csv"


def test_a_person_finds_the_report_on_the_run_and_comes_back_to_the_run(
    watched: Watched, computed: Run, campaigns: Campaigns
) -> None:
    run = f"{watched.home.url}/dags/{DAG_ID}/runs/{quote(computed.run_id, safe='')}"
    watched.page.goto(run)
    watched.page.get_by_role("tab", name="Campaign report").or_(
        watched.page.get_by_role("link", name="Campaign report")
    ).first.click()
    frame = watched.frame
    expect(frame.get_by_role("heading", name=f"Campaign of {START}")).to_be_visible()
    for name, customers in campaigns.of(WINDOW)["buckets"].items():
        row = frame.get_by_role("table", name="Customers by bucket").get_by_role("row", name=name)
        expect(row).to_contain_text(f"{customers:,}")
    expect(frame.get_by_role("img", name="Customers by spend and weekly sessions")).to_be_visible()
    watched.page.goto(f"{watched.home.url}/plugin/engage/engage/report?window_start={SENT}")
    expect(frame.get_by_role("table", name="Messages by status").get_by_role("row", name="accepted")).to_be_visible()
    both_themes(watched.page, "report", 1000)
    watched.page.goto(f"{watched.home.url}/plugin/engage/engage/report?window_start={START}")
    expect(frame.get_by_role("heading", name=f"Campaign of {START}")).to_be_visible()
    frame.get_by_role("link", name="Its run").click()
    watched.page.wait_for_url(f"**/dags/{DAG_ID}/runs/{'*'}")
    expect(watched.page.get_by_role("heading", name=computed.run_id)).to_be_visible()


def test_a_person_moves_a_threshold_and_sees_what_a_run_with_it_would_make_of_the_campaign(
    watched: Watched, airflow: Airflow, campaigns: Campaigns, set_variable: Edit
) -> None:
    watched.open_campaigns()
    frame = watched.frame
    frame.get_by_role("link", name="What if").click()
    frame.get_by_role("combobox", name="Window").select_option(START)
    frame.get_by_role("slider", name="Low spend").press("ArrowRight")
    expect(frame.get_by_role("spinbutton", name="Low spend")).to_have_value("101")
    frame.get_by_role("spinbutton", name="Low spend").fill("180.5")
    frame.get_by_role("slider", name="High activity").fill("4.25")
    expect(frame.get_by_role("spinbutton", name="High activity")).to_have_value("4.25")
    expect(frame.get_by_role("table", name="180.5 and 4.25")).to_be_visible()
    seen = {name: frame.locator(f"[data-then={name}]").inner_text() for name in ("BOOST", "REWARD", "NONE")}
    both_themes(watched.page, "what-if", 720)

    frame.get_by_role("button", name="Copy the values").click()
    expect(frame.get_by_text("Copied.")).to_be_visible()
    frame.get_by_role("button", name="Set them for the next campaign").click()
    dialog = frame.get_by_role("dialog")
    expect(dialog.get_by_label("engage_low_spend_threshold")).to_have_value("180.5")
    set_variable("low_spend_threshold", "100.0")  # so that the end of the test brings both back
    set_variable("high_activity_threshold", "5.0")
    dialog.get_by_role("button", name="Set").click()
    expect(dialog.get_by_text("engage_high_activity_threshold is 4.25. The next campaign takes them.")).to_be_visible()

    run = airflow.run(window_start=START, dry_run=True)
    assert run.state == "success"
    fresh = campaigns.of(WINDOW)
    assert fresh["settings"]["low_spend_threshold"] == 180.5
    assert {name: f"{customers:,}" for name, customers in fresh["buckets"].items()} == seen
    variable = airflow.request("GET", "variables/engage_low_spend_threshold")
    assert variable["description"].startswith("Customers whose spend")


def test_a_person_halts_a_campaign_and_lets_it_go_on(watched: Watched, campaigns: Campaigns) -> None:
    watched.open_campaigns()
    frame = watched.frame
    frame.get_by_role("link", name=f"{START} to").click()
    frame.get_by_role("button", name="Halt").click()
    dialog = frame.get_by_role("dialog", name="Stop sending the campaign?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).not_to_be_visible()
    assert campaigns.of(WINDOW)["halted_at"] is None

    frame.get_by_role("button", name="Halt").click()
    dialog.get_by_label("Why").fill("a typo in the text")
    dialog.get_by_role("button", name="Halt").click()
    expect(frame.get_by_text(f"by {ADMIN}: a typo in the text")).to_be_visible()
    halted = campaigns.of(WINDOW)
    assert (halted["halted_by"], halted["halted_why"]) == (ADMIN, "a typo in the text")

    frame.get_by_role("button", name="Resume").click()
    frame.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(frame.get_by_role("button", name="Halt")).to_be_visible()
    assert campaigns.of(WINDOW)["halted_at"] is None


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"window_start": START, "why": " "}, 400, "it takes 1 to 500 characters"),
        ({"window_start": START}, 422, "why: "),
        ({"window_start": START, "why": "x" * 501}, 422, "why: "),
        ({"window_start": "2025-01-07", "why": "x"}, 400, "is not the start of a window"),
    ],
)
def test_a_halt_that_cannot_be_right_halts_nothing(
    clients: dict[str, httpx.Client], campaigns: Campaigns, body: dict[str, str], status: int, sentence: str
) -> None:
    http = clients[ADMIN]
    answer = http.post("/engage/halt", json=body, headers={"Origin": str(http.base_url).rstrip("/")})
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]
    assert campaigns.of(WINDOW)["halted_at"] is None


def test_what_a_person_changes_is_in_the_audit_log(
    clients: dict[str, httpx.Client], airflow: Airflow, computed: Run
) -> None:
    for path in BODIES:
        asked(clients[ADMIN], "POST", path, computed)
    query = {"owner": ADMIN, "limit": 100, "order_by": "-when"}
    logged = {entry["event"] for entry in airflow.request("GET", "eventLogs", params=query)["event_logs"]}
    assert logged >= {"engage.halt", "engage.resume", "engage.thresholds"}


def test_a_threshold_that_cannot_be_right_is_explained_beside_it(watched: Watched) -> None:
    watched.page.goto(f"{watched.home.url}/engage/what-if?window_start={START}")
    watched.page.get_by_role("spinbutton", name="Low spend").fill("1.005")
    expect(watched.page.get_by_role("alert")).to_contain_text("it takes a number from 0 to 1000000000")
    watched.page.get_by_role("spinbutton", name="Low spend").fill("1")
    expect(watched.page.locator("#counts")).to_contain_text("would be in another bucket")
    watched.errors.clear()  # the browser counts the answer of 400 as one


def test_a_person_looks_a_customer_up(watched: Watched, campaigns: Campaigns) -> None:
    [(customer_id, bucket, cents)] = campaigns.rows(
        "SELECT customer_id, bucket, total_spend_cents FROM customer_bucket WHERE window_start = :start "
        "ORDER BY total_spend_cents DESC LIMIT 1",
        start=WINDOW.start,
    )
    watched.open_campaigns()
    frame = watched.frame
    frame.get_by_role("link", name="Customer", exact=True).click()
    frame.get_by_label("Customer's id").fill(str(customer_id))
    frame.get_by_role("button", name="Show").click()
    expect(frame.get_by_role("heading", name=f"Customer {customer_id}")).to_be_visible()
    row = frame.get_by_role("row", name=f"{START} to")
    expect(row).to_contain_text(bucket)
    expect(row).to_contain_text(f"{cents / 100:.2f}")
    both_themes(watched.page, "customer", 560)


def test_a_phone_typed_into_the_search_for_a_customer_is_in_no_log(watched: Watched, airflow: Airflow) -> None:
    phone = "12025550187"

    def logs() -> dict[str, str]:
        files = (file for file in airflow.stack.home.logs.rglob("*") if file.is_file())
        return {str(file): file.read_text(errors="replace") for file in files}

    def requests() -> int:
        return sum(text.count("/engage/find-customer") for text in logs().values())

    before = requests()
    watched.page.goto(f"{watched.home.url}/engage/customer")
    watched.page.get_by_label("Customer's id").fill(phone)
    watched.page.get_by_role("button", name="Show").click()
    expect(watched.page.get_by_role("status")).to_contain_text(f"There is no customer {phone}")
    watched.errors.clear()  # the browser counts the answer of 404 as one
    until(lambda: requests() > before, "the log has the request")  # its line is written after the answer
    assert [name for name, text in logs().items() if phone in text] == []


@pytest.mark.parametrize("watched", [VIEWER], indirect=True)
def test_a_viewer_sees_no_button_that_changes_anything(watched: Watched) -> None:
    for address in ("campaigns", f"report?window_start={START}", f"what-if?window_start={START}"):
        watched.page.goto(f"{watched.home.url}/engage/{address}")
        expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
        assert watched.page.locator("[data-post], [data-opens]").count() == 0
    watched.page.goto(watched.home.url)
    expect(watched.page.get_by_role("link", name="Campaigns")).to_be_visible()


def test_a_report_can_be_read_on_a_phone(watched: Watched) -> None:
    watched.page.set_viewport_size({"width": 390, "height": 844})
    for address in ("campaigns", f"report?window_start={START}", "what-if", "customer?customer_id=1"):
        watched.page.goto(f"{watched.home.url}/engage/{address}")
        expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_task_message_has_a_button_that_opens_the_report(watched: Watched, airflow: Airflow, computed: Run) -> None:
    path = f"dags/{DAG_ID}/dagRuns/{computed.run_id}/taskInstances/message/links"
    link = airflow.request("GET", path)["extra_links"]["Campaign report"]
    watched.page.goto(watched.home.url + link)
    expect(watched.frame.get_by_role("heading", name=f"Campaign of {START}")).to_be_visible()


def test_what_people_have_written_does_not_run(watched: Watched, campaigns: Campaigns) -> None:
    known = campaigns.value("SELECT name FROM customer WHERE customer_id = 1")
    halted = "UPDATE campaign SET halted_at = opened_at, halted_by = :text, halted_why = :text WHERE window_start = :w"
    try:
        with campaigns.engine.begin() as conn:
            conn.execute(sa.text(halted), {"text": EVIL, "w": WINDOW.start})
            conn.execute(sa.text("UPDATE customer SET name = :text WHERE customer_id = 1"), {"text": EVIL})
        watched.page.goto(f"{watched.home.url}/engage/customer?customer_id=1")
        expect(watched.page.get_by_text("document.title='owned'").first).to_be_visible()
        assert "owned" not in watched.page.title()
        for address in ("campaigns", f"report?window_start={START}"):
            watched.page.goto(f"{watched.home.url}/engage/{address}")
            expect(watched.page.get_by_text("halted", exact=True)).to_be_visible()
            assert "owned" not in watched.page.title()
        expect(watched.page.get_by_text("document.title='owned'").first).to_be_visible()
    finally:
        with campaigns.engine.begin() as conn:
            free = "UPDATE campaign SET halted_at = NULL, halted_by = NULL, halted_why = NULL WHERE window_start = :w"
            conn.execute(sa.text(free), {"w": WINDOW.start})
            conn.execute(sa.text("UPDATE customer SET name = :text WHERE customer_id = 1"), {"text": known})


def both_themes(page: Page, name: str, height: int) -> None:
    """Save the page in light and in dark, as high as there is something to see."""
    page.set_viewport_size({"width": 1280, "height": height})
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function("theme => document.documentElement.classList.contains(theme)", arg=theme)
        picture(page, f"{name}-{theme}.png")
    page.emulate_media(color_scheme="light")
