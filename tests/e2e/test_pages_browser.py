"""Engage's pages inside Airflow, in a real browser.

With ENGAGE_SCREENSHOT_DIR=docs/images the pages are also saved as pictures there, for the documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from engage.airflow_names import DAG_ID
from engage.local.stack import ADMIN
from tests.e2e.pages import DATES, EVIL, SENT, START, WAITING, WAITS, WINDOW, Watched, both_themes
from tests.e2e.support import VIEWER, Airflow, Campaigns, Run
from tests.waiting import until

Edit = Callable[[str, str], None]


def test_a_person_finds_the_campaigns_in_the_navigation_and_a_report_in_the_list(
    watched: Watched, campaigns: Campaigns
) -> None:
    watched.page.goto(watched.home.url)
    watched.page.get_by_role("link", name="Campaigns").click()
    watched.page.wait_for_url("**/plugin/engage")
    row = watched.frame.get_by_role("row", name=DATES)
    expect(row).to_contain_text(f"{campaigns.of(WINDOW)['customers']:,}")
    both_themes(watched.page, "campaigns", 900)

    row.get_by_role("link", name=DATES, exact=True).click()
    expect(watched.frame.get_by_role("heading", name=f"Campaign of {DATES}")).to_be_visible()
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
    expect(frame.get_by_role("heading", name=f"Campaign of {DATES}")).to_be_visible()
    frame.get_by_text("How it was computed").click()
    for name, customers in campaigns.of(WINDOW)["buckets"].items():
        row = frame.get_by_role("table", name="Customers by segment").get_by_role("row", name=name)
        expect(row).to_contain_text(f"{customers:,}")
    expect(frame.get_by_role("application", name="Customers by spend and weekly sessions")).to_be_visible()
    watched.page.goto(f"{watched.home.url}/plugin/engage/engage/report?window_start={SENT}")
    expect(frame.get_by_role("heading", name="Campaign of")).to_contain_text("Sent")
    both_themes(watched.page, "report", 1000)
    frame.get_by_text("How it was computed").click()
    expect(frame.get_by_role("table", name="Messages by status").get_by_role("row", name="accepted")).to_be_visible()
    watched.page.goto(f"{watched.home.url}/plugin/engage/engage/report?window_start={START}")
    expect(frame.get_by_role("heading", name=f"Campaign of {DATES}")).to_be_visible()
    frame.get_by_role("link", name="Its run").click()
    watched.page.wait_for_url(f"**/dags/{DAG_ID}/runs/{'*'}")
    expect(watched.page.get_by_role("heading", name=computed.run_id)).to_be_visible()


@pytest.mark.usefixtures("waiting")
def test_a_person_halts_a_campaign_and_lets_it_go_on(watched: Watched, campaigns: Campaigns) -> None:
    watched.page.goto(f"{watched.home.url}/plugin/engage/engage/report?window_start={WAITS}")
    frame = watched.frame
    frame.get_by_role("button", name=f"Halt {campaigns.messages(WAITING)['queued']} messages").click()
    dialog = frame.get_by_role("dialog", name="Stop sending the campaign?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).not_to_be_visible()
    assert campaigns.of(WAITING)["halted_at"] is None

    frame.get_by_role("button", name="Halt").click()
    dialog.get_by_label("Why").fill("a typo in the text")
    dialog.get_by_role("button", name="Halt").click()
    expect(frame.get_by_text(f"by {ADMIN}: a typo in the text").first).to_be_visible()
    expect(frame.get_by_role("heading", name="Halted")).to_be_visible()
    halted = campaigns.of(WAITING)
    assert (halted["halted_by"], halted["halted_why"]) == (ADMIN, "a typo in the text")

    frame.get_by_role("button", name="Resume").click()
    frame.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(frame.get_by_role("button", name="Halt")).to_be_visible()
    assert campaigns.of(WAITING)["halted_at"] is None


def test_a_finished_campaign_is_not_offered_the_brake(watched: Watched) -> None:
    watched.page.goto(f"{watched.home.url}/plugin/engage/engage/report?window_start={SENT}")
    expect(watched.frame.get_by_role("heading", name="Campaign of")).to_contain_text("Sent")
    expect(watched.frame.get_by_role("button", name="Halt")).to_have_count(0)


def test_a_person_looks_a_customer_up(watched: Watched, campaigns: Campaigns) -> None:
    [(customer_id, bucket, cents)] = campaigns.rows(
        "SELECT customer_id, bucket, total_spend_cents FROM customer_bucket WHERE window_start = :start "
        "ORDER BY total_spend_cents DESC LIMIT 1",
        start=WINDOW.start,
    )
    watched.open_campaigns()
    frame = watched.frame
    frame.get_by_role("link", name="Customers", exact=True).click()
    frame.get_by_label("Id, name, or last digits of the phone").fill(str(customer_id))
    frame.get_by_role("button", name="Find").click()
    expect(frame.get_by_role("heading", name=f"Customer {customer_id}")).to_be_visible()
    row = frame.get_by_role("listitem").filter(has=frame.get_by_role("link", name=DATES))
    expect(row).to_contain_text(bucket)
    expect(row).to_contain_text(f"${cents / 100:,.2f}")
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
    watched.page.get_by_label("Id, name, or last digits of the phone").fill(phone)
    watched.page.get_by_role("button", name="Find").click()
    expect(watched.page.get_by_role("alert")).to_have_text("No customer has this id or this phone.")
    watched.errors.clear()  # the browser counts the answer of 404 as one
    until(lambda: requests() > before, "the log has the request")  # its line is written after the answer
    assert [name for name, text in logs().items() if phone in text] == []


@pytest.mark.parametrize("watched", [VIEWER], indirect=True)
def test_a_viewer_sees_no_button_that_changes_anything(watched: Watched) -> None:
    for address in ("campaigns", f"report?window_start={START}", f"segments?window_start={START}", "messages"):
        watched.page.goto(f"{watched.home.url}/engage/{address}")
        expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
        changing = "[data-post]:not([action=find-message]), [data-opens]"
        assert watched.page.locator(changing).count() == 0
    watched.page.goto(watched.home.url)
    expect(watched.page.get_by_role("link", name="Campaigns")).to_be_visible()


def test_a_report_can_be_read_on_a_phone(watched: Watched) -> None:
    watched.page.set_viewport_size({"width": 390, "height": 844})
    for address in ("campaigns", f"report?window_start={START}", "segments", "customer?customer_id=1"):
        watched.page.goto(f"{watched.home.url}/engage/{address}")
        expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_task_message_has_a_button_that_opens_the_report(watched: Watched, airflow: Airflow, computed: Run) -> None:
    path = f"dags/{DAG_ID}/dagRuns/{computed.run_id}/taskInstances/message/links"
    link = airflow.request("GET", path)["extra_links"]["Campaign report"]
    watched.page.goto(watched.home.url + link)
    expect(watched.frame.get_by_role("heading", name=f"Campaign of {DATES}")).to_be_visible()


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
