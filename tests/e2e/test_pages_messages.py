"""Messages and customers in a real browser, as viewer, user and op, with the pointer and with the keyboard alone."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import client
from tests.e2e.pages import SENT, WINDOW, Watched, violations
from tests.e2e.support import OP, USER, VIEWER, Airflow, Campaigns, Run

PLACE = WINDOW.previous()
"""The window of the campaign that was sent."""
SEARCH = "Id, name, or last digits of the phone"


@pytest.fixture(scope="module")
def unknown(campaigns: Campaigns, computed: Run) -> Iterator[list[int]]:
    """The ids of three customers with a message of unknown outcome."""
    theirs = "SELECT customer_id FROM message WHERE window_start = :start AND status = 'accepted' ORDER BY 1 LIMIT 3"
    found = [customer_id for (customer_id,) in campaigns.rows(theirs, start=PLACE.start)]
    change = """UPDATE message SET status = 'unknown', unknown_at = accepted_at, accepted_at = NULL,
                error = 'the connection broke', sending_at = sending_at - interval '1 hour'
                WHERE window_start = :start AND customer_id = ANY(:ids)"""
    with campaigns.engine.begin() as conn:
        conn.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
        conn.execute(sa.text(change), {"start": PLACE.start, "ids": found})
        conn.execute(sa.text("ALTER TABLE message ENABLE TRIGGER message_move"))
    yield found
    with campaigns.engine.begin() as conn:
        again = """UPDATE message SET status = 'accepted', accepted_at = unknown_at, unknown_at = NULL, error = NULL,
                   settled_at = NULL, settled_by = NULL, settled_why = NULL
                   WHERE window_start = :start AND customer_id = ANY(:ids)"""
        conn.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
        conn.execute(sa.text(again), {"start": PLACE.start, "ids": found})
        conn.execute(sa.text("ALTER TABLE message ENABLE TRIGGER message_move"))


@pytest.fixture
def spare(campaigns: Campaigns) -> Iterator[int]:
    """A customer whom no other test knows."""
    add = """INSERT INTO customer (customer_id, registered_at, name, phone, phone_hash, consent_at, synthetic)
             VALUES (999000, '2024-01-01', 'Zora Quince', '+99955501234', '\\x0123', '2024-01-01', true)"""
    with campaigns.engine.begin() as conn:
        conn.exec_driver_sql(add)
    yield 999000
    with campaigns.engine.begin() as conn:
        conn.exec_driver_sql("DELETE FROM customer WHERE customer_id = 999000")
        conn.exec_driver_sql("DELETE FROM suppression WHERE phone_hash = '\\x0123'")


def go(watched: Watched, address: str) -> Page:
    watched.page.goto(f"{watched.home.url}/engage/{address}")
    expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
    return watched.page


def status_of(campaigns: Campaigns, customer_id: int) -> tuple[str, str | None, str | None]:
    query = """SELECT status, settled_by, settled_why FROM message
               WHERE window_start = :start AND customer_id = :customer"""
    [(status, by, why)] = campaigns.rows(query, start=PLACE.start, customer=customer_id)
    return status, by, why


def entries(airflow: Airflow, event: str) -> list[dict[str, object]]:
    query = {"event": event, "limit": 5, "order_by": "-when"}
    return [json.loads(entry["extra"]) for entry in airflow.request("GET", "eventLogs", params=query)["event_logs"]]


@pytest.mark.parametrize("watched", [VIEWER], indirect=True)
def test_a_viewer_filters_messages_and_looks_at_one(watched: Watched, unknown: list[int]) -> None:
    page = go(watched, f"messages?window_start={SENT}")
    page.get_by_role("link", name="Unknown 3").click()
    table = page.get_by_role("table", name="Messages by customer id")
    expect(table.get_by_role("row")).to_have_count(4)
    expect(table).to_contain_text("The connection broke")
    assert page.locator("[data-opens], [data-post]:not([action=find-message])").count() == 0

    page.get_by_role("combobox", name="Segment").select_option("BOOST")
    page.wait_for_url("**segment=BOOST")
    assert "status=unknown" in page.url
    assert "reason" not in page.url
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Customer: id, name, or last digits of the phone").fill(str(unknown[0]))
    page.keyboard.press("Enter")
    expect(table.get_by_role("row")).to_have_count(2)

    page.get_by_role("link", name="Details of the message").click()
    dialog = page.get_by_role("dialog", name=f"Message to customer {unknown[0]}")
    expect(dialog).to_contain_text("Reply STOP to opt out.")
    expect(dialog).to_contain_text("Outcome unknown")
    assert violations(page) == []
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).not_to_be_visible()


def test_a_message_that_cannot_be_shown_says_why_and_what_to_do(watched: Watched) -> None:
    page = go(watched, f"messages?window_start={SENT}")
    bodies = ["<p>Bad gateway</p>", '<main><p role="alert">Engage has a fault here.</p></main>']
    page.route("**/message?*", lambda route: route.fulfill(status=500, body=bodies.pop(0)))
    for why in ("Airflow answered 500.", "Engage has a fault here."):
        page.get_by_role("link", name="Details of the message").first.click()
        dialog = page.get_by_role("dialog", name="Message")
        expect(dialog).to_contain_text(f"This message cannot be shown: {why} Close this and try again.")
        dialog.get_by_role("button", name="Close").click()
    page.unroute("**/message?*")
    page.get_by_role("link", name="Details of the message").first.click()
    expect(page.get_by_role("dialog", name="Message to customer")).to_contain_text("Reply STOP to opt out.")
    watched.errors.clear()  # the browser counts each answer of 500 as one


def test_a_long_list_has_parts_forwards_and_backwards(watched: Watched) -> None:
    page = go(watched, f"messages?window_start={SENT}")
    parts = page.get_by_role("navigation", name="Parts of the list")
    first = page.get_by_role("rowheader").first.inner_text()
    parts.get_by_role("link", name="Next").click()
    expect(parts.get_by_role("link", name="Previous")).to_be_visible()
    assert page.get_by_role("rowheader").first.inner_text() != first
    parts.get_by_role("link", name="Previous").click()
    expect(page.get_by_role("rowheader").first).to_have_text(first)


@pytest.mark.parametrize("watched", [USER], indirect=True)
def test_a_user_settles_a_message_in_place(watched: Watched, unknown: list[int], campaigns: Campaigns) -> None:
    page = go(watched, f"messages?window_start={SENT}&status=unknown")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=str(unknown[0]), exact=True))
    row.get_by_role("button", name="Settle…").click()
    dialog = page.get_by_role("dialog", name=f"Settle the message to customer {unknown[0]}")
    dialog.get_by_role("button", name="Settle").click()  # the browser asks for what is missing
    assert status_of(campaigns, unknown[0])[0] == "unknown"
    dialog.get_by_label("It is").select_option("delivered")
    dialog.get_by_label("How you know").fill("showed it at the counter")
    assert violations(page) == []
    dialog.get_by_role("button", name="Settle").click()
    toast = page.get_by_role("region", name="Notifications")
    expect(toast).to_contain_text(f"Settled: the message to customer {unknown[0]} is delivered now.")
    assert status_of(campaigns, unknown[0]) == ("delivered", USER, "showed it at the counter")
    expect(page.get_by_role("button", name="CSV with phones…")).to_have_count(0)


@pytest.mark.parametrize("watched", [USER], indirect=True)
def test_a_message_is_settled_with_the_keyboard_alone(
    watched: Watched, unknown: list[int], campaigns: Campaigns
) -> None:
    page = go(watched, f"message?window_start={SENT}&customer_id={unknown[1]}")
    button = page.get_by_role("button", name="Settle…")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("It is")).to_be_focused()
    page.keyboard.type("Failed")
    page.keyboard.press("Tab")
    page.keyboard.type("the phone was off")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("is failed now.")
    assert status_of(campaigns, unknown[1]) == ("failed", USER, "the phone was off")


@pytest.mark.parametrize("watched", [USER], indirect=True)
def test_a_user_asks_the_provider_about_unknown_messages(
    watched: Watched, unknown: list[int], campaigns: Campaigns, airflow: Airflow
) -> None:
    page = go(watched, f"messages?window_start={SENT}")
    page.get_by_role("button", name="Ask the provider about").click()
    page.get_by_role("dialog").get_by_role("button", name="Ask").click()
    toast = page.get_by_role("region", name="Notifications")
    expect(toast).to_contain_text("not found and marked as failed, 0 still unknown.")
    assert status_of(campaigns, unknown[2])[:2] == ("failed", "reconcile")
    assert entries(airflow, "engage.reconcile_messages")[0]["window_start"] == SENT


@pytest.mark.parametrize("watched", [VIEWER], indirect=True)
def test_a_viewer_downloads_the_list_with_masked_phones(watched: Watched, tmp_path: Path) -> None:
    page = go(watched, f"messages?window_start={SENT}&status=skipped")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV", exact=True).click()
    assert download.value.suggested_filename == f"messages-{SENT}.csv"
    download.value.save_as(tmp_path / "messages.csv")
    text = (tmp_path / "messages.csv").read_text()
    assert {row["status"] for row in csv.DictReader(text.splitlines())} == {"skipped"}
    assert "+999" not in text


@pytest.mark.parametrize("watched", [OP], indirect=True)
def test_an_op_downloads_phones_and_the_audit_log_has_how_many(
    watched: Watched, tmp_path: Path, airflow: Airflow, campaigns: Campaigns
) -> None:
    watched.page.goto(f"{watched.home.url}/plugin/engage/engage/messages?window_start={SENT}")  # in Airflow's frame
    frame = watched.frame
    frame.get_by_role("button", name="CSV with phones…").click()
    with watched.page.expect_download() as download:
        frame.get_by_role("dialog").get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == f"messages-{SENT}-phones.csv"
    download.value.save_as(tmp_path / "messages.csv")
    rows = list(csv.DictReader((tmp_path / "messages.csv").read_text().splitlines()))
    assert len(rows) == sum(campaigns.messages(PLACE).values())
    assert any(row["phone"].startswith("'+999") for row in rows)
    expect(frame.get_by_role("region", name="Notifications")).to_contain_text("Downloaded.")
    kept = entries(airflow, "engage.exported_messages")[0]
    assert (kept["window_start"], kept["rows"], kept["complete"]) == (SENT, len(rows), True)


@pytest.mark.parametrize(
    ("user", "allowed"),
    [
        (VIEWER, set()),
        (USER, {"settle-message", "reconcile-messages", "opt-out"}),
        (OP, {"settle-message", "reconcile-messages", "opt-out", "export-messages", "forget-customer"}),
    ],
)
def test_each_role_may_post_what_is_its_own(airflow: Airflow, computed: Run, user: str, allowed: set[str]) -> None:
    nobody = {"window_start": SENT, "customer_id": "999999999999"}
    bodies = {
        "settle-message": nobody | {"status": "delivered", "why": "x"},
        "reconcile-messages": {"window_start": "2025-01-07"},
        "export-messages": {"window_start": SENT, "customer_id": "999999999999"},
        "opt-out": {"customer_id": "999999999999", "why": "x"},
        "forget-customer": {"customer_id": "999999999999", "typed_id": "x"},
    }
    http: httpx.Client = client(airflow, user)
    headers = {"Origin": airflow.stack.home.url}
    answers = {path: http.post(f"/engage/{path}", json=body, headers=headers) for path, body in bodies.items()}
    http.close()
    assert {path for path, answer in answers.items() if answer.status_code != 403} == allowed


@pytest.mark.parametrize("watched", [VIEWER], indirect=True)
def test_a_viewer_finds_customers_by_name_and_by_last_digits(watched: Watched, spare: int) -> None:
    page = go(watched, "customer")
    page.get_by_label(SEARCH).fill("quin zor")
    page.get_by_label(SEARCH).press("Enter")
    expect(page.get_by_role("heading", name=f"Customer {spare}")).to_contain_text("May be texted")
    assert page.url.endswith(f"customer?customer_id={spare}")
    assert page.locator("[data-opens]").count() == 0

    page.get_by_label(SEARCH).fill("kofi")
    page.get_by_label(SEARCH).press("Enter")
    expect(page.locator("#results-title")).to_be_focused()
    expect(page.get_by_role("table", name="Customers who match")).to_contain_text("Kofi Ito")
    assert violations(page) == []
    page = go(watched, "customer")
    page.get_by_label(SEARCH).fill("1234")
    page.get_by_label(SEARCH).press("Enter")
    page.wait_for_url(f"**/customer?customer_id={spare}")
    page = go(watched, "customer")
    page.get_by_label(SEARCH).fill("99955501234")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("alert")).to_contain_text("To search by phone, type its last 4 to 6 digits.")
    watched.errors.clear()  # the browser counts the answer of 404 as one


@pytest.mark.parametrize("late", ["links", "customers"])
@pytest.mark.parametrize("watched", [VIEWER], indirect=True)
def test_a_search_is_answered_although_a_script_comes_late(watched: Watched, late: str) -> None:
    """Without its scripts the browser would send the form itself, with the name in the address."""
    page = watched.page
    asked: list[str] = []
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.on("request", lambda request: asked.append(request.url))
    page.route(re.compile(rf"/{late}[^/]*\.js"), hold)
    page.goto(f"{watched.home.url}/engage/customer", wait_until="commit")
    page.get_by_label(SEARCH).fill("kofi")
    page.get_by_label(SEARCH).press("Enter")
    page.wait_for_timeout(500)  # an answer may come before the script
    held[0].continue_()
    expect(page.locator("#results-title")).to_be_focused()
    assert [address for address in asked if "kofi" in address] == []


@pytest.mark.parametrize("watched", [OP], indirect=True)
def test_an_op_finds_a_customer_by_the_full_phone_and_the_audit_log_has_no_number(
    watched: Watched, spare: int, airflow: Airflow
) -> None:
    before = entries(airflow, "engage.search_by_phone")
    page = go(watched, "customer")
    page.get_by_label(SEARCH).fill("+999 555-01234")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Customer {spare}")).to_be_visible()
    assert entries(airflow, "engage.search_by_phone") == [*before, {}]
    logs = [file for file in airflow.stack.home.logs.rglob("*") if file.is_file()]
    assert [file for file in logs if "55501234" in file.read_text(errors="replace")] == []


@pytest.mark.parametrize("watched", [USER], indirect=True)
def test_a_user_opts_a_customer_out_with_the_keyboard(watched: Watched, spare: int, campaigns: Campaigns) -> None:
    page = go(watched, f"customer?customer_id={spare}")
    expect(page.get_by_role("button", name="Forget…")).to_have_count(0)
    page.get_by_role("button", name="Opt out…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Why", exact=True)).to_be_focused()
    page.keyboard.type("asked at the counter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Notifications")).to_contain_text(f"Customer {spare} is opted out.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Not texted: opted out")
    expect(page.get_by_role("button", name="Opt out…")).to_have_count(0)
    assert campaigns.value("SELECT opted_out_at FROM customer WHERE customer_id = :id", id=spare) is not None


@pytest.mark.parametrize("watched", [OP], indirect=True)
def test_an_op_forgets_a_customer_after_typing_the_id(
    watched: Watched, spare: int, campaigns: Campaigns, airflow: Airflow
) -> None:
    page = go(watched, f"customer?customer_id={spare}")
    page.get_by_role("button", name="Forget…").click()
    dialog = page.get_by_role("dialog", name=f"Forget customer {spare} for ever?")
    dialog.get_by_label("Type the customer's id").fill("1")
    dialog.get_by_role("button", name="Forget").click()
    expect(dialog.get_by_role("alert")).to_contain_text("What you typed is not the customer's id.")
    watched.errors.clear()  # the browser counts the answer of 400 as one
    dialog.get_by_label("Type the customer's id").fill(str(spare))
    dialog.get_by_role("button", name="Forget").click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text(f"Customer {spare} is forgotten")
    expect(page.get_by_role("heading", name="Find a customer")).to_be_visible()
    assert campaigns.rows("SELECT 1 FROM customer WHERE customer_id = :id", id=spare) == []
    assert entries(airflow, "engage.forget_customer")[0]["customer_id"] == str(spare)


def test_a_customer_has_charts_with_thresholds_and_texts_as_bubbles(watched: Watched) -> None:
    page = go(watched, "customer?customer_id=1")
    for title in ("Spend", "Sessions a week"):
        chart = page.get_by_role("application", name=f"{title} in 2 campaigns")
        chart.focus()
        chart.press("ArrowRight")
    page.locator("figure summary").first.click()
    table = page.get_by_role("table", name="Spend")
    expect(table.get_by_role("row")).to_have_count(3)
    expect(table).to_contain_text("$100")
    expect(page.locator(".bubble")).to_contain_text("Reply STOP to opt out.")
    expect(page.get_by_text("where they are")).to_be_visible()


def test_an_administrator_has_all_buttons(watched: Watched, spare: int) -> None:
    page = go(watched, f"customer?customer_id={spare}")
    for name in ("Opt out…", "Forget…"):
        expect(page.get_by_role("button", name=name)).to_be_visible()
    page = go(watched, f"messages?window_start={SENT}")
    expect(page.get_by_role("button", name="CSV with phones…")).to_be_visible()
