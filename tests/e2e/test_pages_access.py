"""Engage's pages inside Airflow, over HTTP: who may look and act, what is refused, and what is shown instead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa

from engage.airflow_names import DAG_ID
from engage.local.home import CHECKOUT
from engage.local.stack import ADMIN
from engage.pages import static_files
from tests.e2e.pages import EVIL, SENT, START, WAITS, WINDOW
from tests.e2e.support import VIEWER, Airflow, Campaigns, Run, past_window

ADDRESSES = {
    "/": "/",
    "/campaigns": "/campaigns",
    "/report": f"/report?window_start={START}",
    "/report-progress": f"/report-progress?window_start={START}&gone=1&seconds=2",
    "/approval": f"/approval?window_start={START}",
    "/run": "/run?dag_id={dag}&run_id={run}",
    "/counts.csv": f"/counts.csv?window_start={START}",
    "/lift.csv": "/lift.csv",
    "/segments": f"/segments?window_start={START}",
    "/customer": "/customer?customer_id=1",
    "/import": "/import",
    "/messages": f"/messages?window_start={SENT}",
    "/message": f"/message?window_start={SENT}&customer_id=1",
    "/messages.csv": f"/messages.csv?window_start={SENT}",
    "/settings": "/settings",
    "/activity": "/activity",
    "/gallery": "/gallery",
    "/static/{name}": f"/{static_files.address('page.css')}",
}
BODIES = {
    "/answer": {
        "window_start": WAITS,
        "list": "another",
        "answer": "approve",
        "run_id": "x",
        "dag_id": DAG_ID,
        "task_id": "approve",
    },
    "/find-customer": {"text": "1"},
    "/find-message": {"text": "1", "window_start": WAITS},
    "/settle-message": {"window_start": SENT, "customer_id": "1", "status": "delivered", "why": "a test"},
    "/reconcile-messages": {"window_start": SENT},
    "/export-messages": {"window_start": SENT},
    "/opt-out": {"customer_id": "999999999999", "why": "a test"},  # no customer, so that all stay as they are
    "/exclude-customer": {"customer_id": "999999999999", "why": "a test"},
    "/include-customer": {"customer_id": "999999999999"},
    "/forget-customer": {"customer_id": "999999999999", "typed_id": ""},
    "/go-on": {"window_start": "2025-01-07"},  # the start of no window, so that no run starts
    "/halt": {"window_start": WAITS, "why": "a test"},
    "/resume": {"window_start": WAITS},
    # days of another window, so that none is explained
    "/explain-days": {"window_start": START, "first": "2025-01-06", "last": "2025-01-06", "why": "a test"},
    "/unexplain-days": {"window_start": START, "first": "2025-01-06", "last": "2025-01-06"},
    "/start-run": {"window_start": "2025-01-07"},
    "/settings-check": {"changes": []},
    "/settings-save": {"changes": [{"name": "holdout_percent", "value": "0.0", "was": "0.0"}]},
    "/segments-counts": {"window_start": START, "changes": []},
    "/segments-texted": {"window_start": START, "changes": []},
    "/segments-texts": {"window_start": START, "changes": [], "customers": {"BOOST": [1]}},
    "/segments-read": {"text": "{}"},
    "/send-test": {
        "window_start": START, "changes": [], "segment": "BOOST", "example": "Ada", "variant": "a",
        "to": "+12025550199", "test_send_id": "00000000-0000-4000-8000-000000000000",
    },
    "/drafts": {"segment": "BOOST"},
    "/drafts-propose": {
        "proposal_id": "00000000-0000-4000-8000-000000000000", "segment": "NO_SUCH", "offer": "10% off", "count": 1,
    },
    "/drafts-proposal": {"proposal_id": "00000000-0000-4000-8000-000000000000"},
    "/draft-edit": {"message_text_id": 999_999_999, "was": "x", "text": "x"},
    "/draft-approve": {"message_text_id": 999_999_999, "was": "x", "messages": None},
    "/draft-reject": {"message_text_id": 999_999_999, "was": "x"},
    "/test-send": {"test_send_id": "00000000-0000-4000-8000-000000000000"},
}  # fmt: skip
FILES = {"/import-check", "/import-apply"}
"""POSTs that take a file, and what the user has chosen in a header. Theirs is empty, so that they change nothing."""
CHOICES = {"Engage-Import": quote(json.dumps({"kind": "events", "file": "events.csv"}))}
ANSWERS = {
    "/answer": 409,
    "/draft-approve": 404,
    "/draft-edit": 404,
    "/draft-reject": 404,
    "/drafts-propose": 400,
    "/exclude-customer": 404,
    "/explain-days": 400,
    "/forget-customer": 400,
    "/go-on": 400,
    "/import-apply": 400,
    "/import-check": 400,
    "/opt-out": 404,
    "/send-test": 400,
    "/settle-message": 404,
    "/start-run": 400,
    "/unexplain-days": 400,
}
"""What an administrator's POST is answered with, where that is not 200."""
LOOKS = {
    "/find-customer",
    "/find-message",
    "/segments-counts",
    "/segments-texted",
    "/segments-texts",
    "/segments-read",
    "/test-send",
}
"""POSTs that change nothing."""
FOR_OPS = {"/import"}
"""Pages that a viewer may not see."""
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
POLICY = ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'self'")


@pytest.fixture(scope="module")
def routes(airflow: Airflow) -> list[tuple[str, str]]:
    """Every method and path that the plugin serves."""
    code = "import json, engage_web; print(json.dumps([(m, r.path) for r in engage_web.app.routes for m in r.methods]))"
    environment = airflow.stack.environment | {"PYTHONPATH": f"{CHECKOUT}{os.pathsep}{CHECKOUT / 'plugins'}"}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    return [(method, path) for method, path in json.loads(answer.splitlines()[-1])]


def asked(http: httpx.Client, method: str, path: str, run: Run, **headers: str) -> httpx.Response:
    """A request that is right in everything that the route itself asks for."""
    address = "/engage" + ADDRESSES.get(path, path).format(dag=DAG_ID, run=quote(run.run_id, safe=""))
    if method == "GET":
        return http.get(address, headers=headers)
    origin = str(http.base_url).rstrip("/")
    if path in FILES:
        mine = {"Origin": origin, "Content-Type": "application/octet-stream"} | CHOICES
        return http.post(address, content=b"", headers=mine | headers)
    body = json.dumps(BODIES[path]).encode()
    return http.post(address, content=body, headers={"Origin": origin, "Content-Type": "application/json"} | headers)


def posted(
    http: httpx.Client, routes: list[tuple[str, str]], run: Run, headers: dict[str, str]
) -> Iterator[tuple[str, httpx.Response]]:
    """The answer to a POST of each path that takes one."""
    for method, path in routes:
        if method == "POST":
            yield path, asked(http, method, path, run, **headers)


def test_the_routes_are_these(routes: list[tuple[str, str]]) -> None:
    """One that is new has to be added, and is walked from then on."""
    assert sorted(routes) == sorted(
        [("GET", path) for path in ADDRESSES] + [("POST", path) for path in {*BODIES, *FILES}]
    )


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
        may = path in LOOKS or (method == "GET" and path not in FOR_OPS)
        assert answer.status_code == (200 if may else 403), (method, path, answer.text)
        assert_guarded(answer)


def assert_guarded(answer: httpx.Response) -> None:
    policy = answer.headers["content-security-policy"].split("; ")
    assert set(POLICY) <= set(policy)
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    kept = answer.is_success and "/static/" in answer.url.path
    assert answer.headers["cache-control"] == (static_files.KEEP if kept else "no-store")


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_what_another_site_sends_is_refused(
    clients: dict[str, httpx.Client], routes: list[tuple[str, str]], computed: Run, headers: dict[str, str]
) -> None:
    for path, answer in posted(clients[ADMIN], routes, computed, headers):
        assert answer.status_code == 403, (path, answer.text)


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}], ids=str)
def test_what_a_page_of_ours_sends_is_taken(
    clients: dict[str, httpx.Client], routes: list[tuple[str, str]], computed: Run, headers: dict[str, str]
) -> None:
    for path, answer in posted(clients[ADMIN], routes, computed, headers):
        assert answer.status_code == ANSWERS.get(path, 200), (path, answer.text)


@pytest.mark.parametrize("value", ["abc", "-1", "NaN", "", EVIL])
def test_a_threshold_that_cannot_be_right_is_refused_and_changes_nothing(
    clients: dict[str, httpx.Client], airflow: Airflow, value: str
) -> None:
    before = airflow.request("GET", "variables/engage_low_spend_threshold")["value"]
    changes = [
        {"name": "low_spend_threshold", "value": value, "was": before},
        {"name": "high_activity_threshold", "value": "3", "was": "5.0"},
    ]
    origin = {"Origin": airflow.stack.home.url}
    answer = clients[ADMIN].post("/engage/settings-save", json={"changes": changes}, headers=origin)
    assert answer.status_code == 400
    assert "“Low spend threshold” is" in answer.json()["detail"]
    assert airflow.request("GET", "variables/engage_low_spend_threshold")["value"] == before
    assert airflow.request("GET", "variables/engage_high_activity_threshold")["value"] == "5.0"


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        ("/report?window_start=2025-01-07", 400, "is not the start of a window"),
        ("/report?window_start=%3Cscript%3E", 400, "is not a date"),
        ("/report?window_start=2025-01-06", 404, "no campaign"),
        ("/report?window_start=2025-1-6", 404, "no campaign"),
        ("/segments?window_start=%3Cscript%3E", 400, "is not a date"),
        ("/segments?window_start=2025-01-07", 400, "is not the start of a window"),
        ("/customer?customer_id=%3Cscript%3E", 400, "is not a customer&#39;s id"),
        ("/customer?customer_id=999999999999", 404, "There is no customer 999999999999"),
        ("/messages?status=lost", 400, "There is no status &#39;lost&#39;; there are queued, sending"),
        ("/messages?segment=%3Cscript%3E", 400, "is not the name of a segment"),
        ("/messages.csv?window_start=2025-01-07", 400, "is not the start of a window"),
        (f"/message?window_start={SENT}&customer_id=999999999999", 404, "has no message of the window"),
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
    assert "engage db upgrade" in answer.text
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


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"window_start": START, "why": "a test"}, 409, "is finished, and cannot be halted"),
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


@pytest.mark.usefixtures("waiting")
def test_what_a_person_changes_is_in_the_audit_log(
    clients: dict[str, httpx.Client], airflow: Airflow, computed: Run
) -> None:
    for path in BODIES:
        asked(clients[ADMIN], "POST", path, computed)
    query = {"owner": ADMIN, "limit": 100, "order_by": "-when"}
    logged = {entry["event"] for entry in airflow.request("GET", "eventLogs", params=query)["event_logs"]}
    assert logged >= {"engage.halt", "engage.resume", "engage.settings", "engage.settle_message"}
    assert logged >= {"engage.opt_out", "engage.forget_customer", "engage.reconcile_messages", "engage.export_messages"}
    assert logged >= {"engage.answer", "engage.start_run"}
