"""The HTTP service as the app uses it: the lines of docs/api.md, and events that end in a campaign's totals."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from engage.local.home import CHECKOUT
from tests.e2e.pages import START, Watched
from tests.e2e.support import OP, Airflow, Campaigns, past_window
from tests.phones import fictional_phone
from tests.waiting import logged

WINDOW, TEMPTING = past_window(7), past_window(4)
CUSTOMERS = {50_000_001: (3, ["40.00", "59.99"]), 50_000_002: (48, ["100.00"]), 50_000_003: (40, ["250.50"])}
"""Sessions and amounts by customer."""
BUCKETS = {50_000_001: "BOOST", 50_000_002: "REWARD", 50_000_003: "NONE"}


@pytest.fixture(scope="module")
def environment(airflow: Airflow) -> dict[str, str]:
    """What somebody who works beside the running stack has set."""
    home = airflow.stack.home
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGE_")}
    return kept | {"ENGAGE_HOME": str(home.path), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@pytest.fixture(scope="module")
def service(airflow: Airflow, environment: dict[str, str]) -> Iterator[httpx.Client]:
    scopes = [word for scope in ("events", "customers", "read") for word in ("--scope", scope)]
    command = [sys.executable, "-m", "engage", "keys", "create", "tests", *scopes]
    key = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=airflow.stack.home.service_url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def nobody_stays(service: httpx.Client) -> Iterator[None]:
    """Nobody may seed beside real customers, so they go again."""
    yield
    for customer_id in CUSTOMERS:
        service.delete(f"/v1/customers/{customer_id}").raise_for_status()


def test_every_curl_line_of_the_documentation_works(airflow: Airflow, environment: dict[str, str]) -> None:
    if shutil.which("curl") is None:
        missing = "NOT TESTED: the lines of docs/api.md. There is no curl."
        if os.environ.get("ENGAGE_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    blocks = re.findall(r"(?:^    .*\n)+", (CHECKOUT / "docs" / "api.md").read_text(), re.M)
    script = "".join(blocks).replace("$(engage ", f"$({sys.executable} -m engage ")
    script = script.replace("http://127.0.0.1:8000", airflow.stack.home.service_url)
    script = re.sub(r"^    ", "", script, flags=re.M).replace("curl -sS", "echo; curl -sS --fail-with-body")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert script.count("curl") == 8
    assert '{"accepted":3,"rejected":[],"duplicates":0}' in done.stdout
    assert '"phone":"…23"' in done.stdout
    assert '{"status":"ready"}' in done.stdout
    assert 'engage_events_total{type="session"}' in done.stdout


def test_events_that_the_app_sends_are_in_the_next_campaigns_totals(
    airflow: Airflow, campaigns: Campaigns, service: httpx.Client, nobody_stays: None
) -> None:
    at = (WINDOW.start + timedelta(days=3)).isoformat()
    consent = {"source": "app", "at": at}
    for customer_id in CUSTOMERS:
        body = {"registered_at": at, "consent": consent}
        assert service.put(f"/v1/customers/{customer_id}", json=body).status_code == 201
    batch = {"events": [event for customer_id in CUSTOMERS for event in _events(customer_id, at)]}
    for _ in range(2):
        answer = service.post("/v1/events", json=batch, headers={"Idempotency-Key": "batch-1"})
        assert (answer.status_code, answer.json()["accepted"]) == (200, len(batch["events"]))

    run = airflow.run(window_start=WINDOW.start.date().isoformat())

    assert run.state == "success", run.states
    query = """SELECT customer_id, sessions, total_spend_cents FROM customer_activity
               WHERE window_start = :start AND customer_id = ANY(:ids)"""
    found = campaigns.rows(query, start=WINDOW.start, ids=list(CUSTOMERS))
    assert {row[0]: (row[1], row[2]) for row in found} == {
        customer_id: (sessions, sum(int(amount.replace(".", "")) for amount in amounts))
        for customer_id, (sessions, amounts) in CUSTOMERS.items()
    }
    for customer_id, bucket in BUCKETS.items():
        assert service.get(f"/v1/customers/{customer_id}").json()["campaign"]["bucket"] == bucket


RULES = {
    "segments": [
        {"name": "TEMPTED", "when": [{"any": ["liked > 0", "added_to_basket > 0"]}, "purchases = 0"]},
        {"name": "LOOKING", "when": ["viewed >= 2"]},
        {"name": "BOOST", "when": ["total_spend < low_spend_threshold"]},
    ],
    "otherwise": "NONE",
}
SPANISH, ENGLISH, LOOKING, IDLE = range(50_000_011, 50_000_015)


@pytest.fixture
def tempted(airflow: Airflow, service: httpx.Client) -> Iterator[None]:
    """Customers who open the app, like an item or put one into the basket, and what the rules leave behind."""
    at = (TEMPTING.start + timedelta(days=3)).isoformat()
    consent = {"source": "app", "at": at}
    for customer_id in (SPANISH, ENGLISH, LOOKING, IDLE):
        locale = "es-MX" if customer_id == SPANISH else "en-US"
        body = {"registered_at": at, "consent": consent, "locale": locale, "name": "Ada Diaz"}
        service.put(f"/v1/customers/{customer_id}", json=body | {"phone": fictional_phone(customer_id % 100)})
    did = [("session", one) for one in (SPANISH, ENGLISH, LOOKING, IDLE)]
    did += [
        ("liked", SPANISH),
        ("added_to_basket", ENGLISH),
        ("viewed", LOOKING),
        ("viewed", LOOKING),
        ("viewed", IDLE),
    ]
    events = [
        {"type": kind, "customer_id": one, "occurred_at": at} | ({} if kind == "session" else {"item_id": "taco-17"})
        for kind, one in did
    ]
    answer = service.post("/v1/events", json={"events": events}, headers={"Idempotency-Key": "tempted"})
    assert answer.json() == {"accepted": 9, "rejected": []}
    yield
    for customer_id in (SPANISH, ENGLISH, LOOKING, IDLE):
        service.delete(f"/v1/customers/{customer_id}").raise_for_status()
    for name in ("segments", "messages", "message_tempted"):
        airflow.http.delete(f"/api/v2/variables/engage_{name}")
    airflow.add_default_variables()


@pytest.mark.parametrize("watched", [OP], indirect=True)
@pytest.mark.usefixtures("computed", "tempted")
def test_events_decide_a_segment_that_an_op_has_written_and_each_customer_reads_its_text_in_their_language(
    watched: Watched, airflow: Airflow, service: httpx.Client
) -> None:
    page = watched.page
    page.goto(f"{watched.home.url}/engage/segments?window_start={START}")
    page.get_by_role("button", name="Paste or copy as JSON").click()
    page.get_by_label("Copy these rules, or paste others").fill(json.dumps(RULES))
    page.get_by_role("button", name="Use these").click()
    card = page.locator("[data-segment]").first
    card.get_by_label("Text for TEMPTED", exact=True).fill("Hi {{ first_name }}, {{ favourite_item }}? Reply STOP.")
    card.get_by_role("button", name="Add a language to TEMPTED").click()
    card.get_by_label("Language of a text for TEMPTED").fill("es")
    card.get_by_label("Language of a text for TEMPTED").blur()
    card.get_by_label("Text for TEMPTED in es").fill("Hola {{ first_name }}: {{ favourite_item }}. Responde STOP.")
    page.get_by_role("button", name="Set for the next campaign").click()
    page.get_by_role("dialog").get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Saved: ")

    start = TEMPTING.start.date().isoformat()
    run = airflow.run(window_start=start, send_late=True, ignore_guard=True)  # there are few events
    assert run.state == "success", run.states
    found = {one: service.get(f"/v1/customers/{one}").json() for one in (SPANISH, ENGLISH, LOOKING, IDLE)}
    assert {one: customer["campaign"]["bucket"] for one, customer in found.items()} == {
        SPANISH: "TEMPTED",
        ENGLISH: "TEMPTED",
        LOOKING: "LOOKING",
        IDLE: "BOOST",
    }
    assert found[SPANISH]["campaign"]["why"] == "TEMPTED: 1 like is more than 0; 0 purchases are equal to 0."
    assert found[LOOKING]["campaign"]["message"] is None  # it has no text
    for customer_id, text in (
        (SPANISH, "Hola Ada: taco-17. Responde STOP."),
        (ENGLISH, "Hi Ada, your favourite? Reply STOP."),  # a basket is no favourite
    ):
        page.goto(f"{watched.home.url}/engage/customer?customer_id={customer_id}")
        expect(page.get_by_text(text)).to_be_visible()


def _events(customer_id: int, at: str) -> list[dict[str, Any]]:
    sessions, amounts = CUSTOMERS[customer_id]
    event = {"customer_id": customer_id, "occurred_at": at}
    bought = [{"type": "purchase", **event, "amount": amount, "currency": "USD"} for amount in amounts]
    return [{"type": "session", **event}] * sessions + bought


def test_the_log_of_the_service_names_keys_and_routes_and_nobody(airflow: Airflow, service: httpx.Client) -> None:
    request_id = service.get("/v1/customers/50000099").headers["x-request-id"]
    log = logged(airflow.stack.home.logs / "service.log", request_id)
    [line] = [line for line in map(json.loads, log.splitlines()) if line.get("request_id") == request_id]
    assert (line["route"], line["status"]) == ("/v1/customers/{customer_id}", 404)
    assert "50000099" not in log
