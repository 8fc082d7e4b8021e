"""What an operator does with campaigns on Engage's pages, in a real browser: start, watch, compare, approve, reject.

With ENGAGE_SCREENSHOT_DIR=docs/images the pages are also saved as pictures there, for the documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from engage.airflow_names import DAG_ID
from engage.formats import days
from engage.window import Window
from tests.e2e.pages import DATES, SENT, START, WINDOW, Watched, both_themes, violations
from tests.e2e.support import OP, USER, VIEWER, Airflow, Campaigns, past_window
from tests.e2e.test_approval import answer, start, state
from tests.waiting import until

ASKED, SENDING = past_window(1), past_window(3)
Edit = Callable[[str, str], None]


def starts(window: Window) -> str:
    return f"{window.start:%Y-%m-%d}"


@pytest.fixture(autouse=True)
def clean(airflow: Airflow, campaigns: Campaigns) -> Iterator[None]:
    """No campaign of these windows, and no run that a failed test leaves waiting."""
    for window in (ASKED, SENDING):
        campaigns.remove(window)
    yield
    for run_id in airflow.runs(state="running"):
        airflow.request("PATCH", f"dags/{DAG_ID}/dagRuns/{run_id}", json={"state": "failed"})
    for window in (ASKED, SENDING):
        campaigns.remove(window)


@pytest.fixture
def asked(airflow: Airflow, set_variable: Edit) -> str:
    """A run that waits for an answer about its list."""
    set_variable("price_per_segment", "0.0079")
    set_variable("require_approval", "true")
    return start(airflow, ASKED)


def answered(airflow: Airflow, run_id: str) -> None:
    until(lambda: state(airflow, run_id) != "awaiting_input", "the answer arrives")


def audit(airflow: Airflow, event: str) -> list[dict[str, object]]:
    found = airflow.request("GET", "eventLogs", params={"event": event, "order_by": "-when"})["event_logs"]
    return list(found)


# --- the approval


@pytest.mark.parametrize("watched", [USER], indirect=True)
def test_an_approver_reviews_a_list_and_approves_it(
    watched: Watched, airflow: Airflow, campaigns: Campaigns, asked: str
) -> None:
    messages = campaigns.messages(ASKED)["queued"]
    watched.open_campaigns()
    frame = watched.frame
    frame.locator("li", has_text=days(ASKED.start, ASKED.end)).get_by_role("link", name="Review…").click()
    expect(frame.get_by_role("heading", name=f"May {messages} messages go out?")).to_be_visible()
    expect(frame.get_by_text("sandbox: no customer is really texted")).to_be_visible()
    both_themes(watched.page, "approval-page", 1000)
    frame.get_by_role("link", name="Another example").click()
    watched.page.wait_for_function("frames[0].location.search.includes('after=')")
    frame.get_by_role("button", name=f"Approve {messages} messages").click()
    expect(frame.get_by_role("heading", name=f"Campaign of {days(ASKED.start, ASKED.end)}")).to_be_visible()

    run = airflow.wait_for(asked)
    assert (run.state, run.states["message"]) == ("success", "success")
    assert campaigns.messages(ASKED)["accepted"] == messages
    assert (campaigns.of(ASKED) or {})["approval_by"] == USER
    [entry] = [one for one in audit(airflow, "engage.answer") if one["run_id"] == asked]
    assert (entry["owner"], entry["dag_id"], entry["task_id"]) == (USER, DAG_ID, "approve")

    watched.page.goto(f"{watched.home.url}/engage/approval?window_start={starts(ASKED)}")
    expect(watched.page.get_by_text(f"The list was approved by {USER}")).to_be_visible()
    expect(watched.page.get_by_role("button", name="Approve")).to_have_count(0)


@pytest.mark.parametrize("watched", [OP], indirect=True)
def test_an_approver_rejects_a_list_with_the_keyboard_alone(
    watched: Watched, airflow: Airflow, campaigns: Campaigns, asked: str
) -> None:
    page = watched.page
    page.goto(f"{watched.home.url}/engage/approval?window_start={starts(ASKED)}")
    press_until(page, "Reject…")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Reject the list?")).to_be_visible()
    assert violations(page) == []
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("the text names another month")
    press_until(page, "Reject")
    page.keyboard.press("Enter")
    page.wait_for_url("**/engage/report?**")
    run = airflow.wait_for(asked)
    assert (run.state, run.states["message"]) == ("success", "skipped")
    assert (campaigns.of(ASKED) or {})["approval"] == "rejected"
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Rejected")
    expect(page.get_by_text("the text names another month").first).to_be_visible()


def press_until(page: Page, name: str) -> None:
    """Press Tab until the button or link with this text has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == name:
            return
    pytest.fail(f"The keyboard does not reach {name!r}.")


@pytest.mark.parametrize("watched", [VIEWER], indirect=True)
def test_a_viewer_reads_a_list_and_may_not_answer(watched: Watched, airflow: Airflow, asked: str) -> None:
    page = watched.page
    page.goto(f"{watched.home.url}/engage/approval?window_start={starts(ASKED)}")
    expect(page.get_by_text("An approver answers the question.")).to_be_visible()
    assert page.locator("[data-post], [data-opens]").count() == 0
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(page) == []
    assert state(airflow, asked) == "awaiting_input"


def test_a_question_that_was_answered_elsewhere_is_not_answered_again(
    watched: Watched, airflow: Airflow, campaigns: Campaigns, asked: str
) -> None:
    page = watched.page
    page.goto(f"{watched.home.url}/engage/approval?window_start={starts(ASKED)}")
    answer(airflow, asked, "Reject")
    answered(airflow, asked)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("The question was answered in the meantime")).to_be_visible()
    watched.errors.clear()  # the browser counts the answer of 409 as one
    airflow.wait_for(asked)
    assert (campaigns.of(ASKED) or {})["approval"] == "rejected"


# --- sending, watched


def test_a_report_follows_the_sending_and_stops_with_it(
    watched: Watched, airflow: Airflow, campaigns: Campaigns, set_variable: Edit
) -> None:
    set_variable("messages_per_second", "4")
    run_id = airflow.start_run(seed=True, customers=300, rng_seed=1, window_start=starts(SENDING), send_late=True)
    until(lambda: campaigns.messages(SENDING).get("accepted", 0) > 1, "messages go out")
    page = watched.page
    polls: list[str] = []
    page.on("request", lambda request: polls.append(request.url) if "/report-progress" in request.url else None)
    page.goto(f"{watched.home.url}/engage/report?window_start={starts(SENDING)}")
    sending = page.locator(".sending")
    first = sending.inner_text()
    expect(sending).not_to_have_text(first)
    expect(sending).to_contain_text(re.compile(r"\d+ of \d+ messages gone · \d+ a second · about .+ left"))
    assert violations(page) == []
    set_variable("messages_per_second", "0")
    assert airflow.wait_for(run_id).state == "success"
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("The campaign has moved on.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Sent")
    expect(sending).to_have_count(0)
    seen = len(polls)
    page.wait_for_timeout(3000)
    assert len(polls) == seen > 0


# --- the list


def test_the_list_is_filtered_and_its_chart_is_switched(watched: Watched) -> None:
    watched.open_campaigns()
    frame = watched.frame
    frame.get_by_role("link", name=re.compile(r"Not sent \d")).click()
    table = frame.get_by_role("table", name="One row for each 8-week window")
    expect(table.get_by_role("link", name=DATES, exact=True)).to_be_visible()
    frame.get_by_role("link", name=re.compile(r"^Sent \d")).click()
    expect(table.get_by_role("link", name=DATES, exact=True)).to_have_count(0)
    frame.get_by_role("link", name="Messages", exact=True).last.click()
    expect(frame.get_by_role("application", name="Messages that the provider accepted")).to_be_visible()
    expect(frame.get_by_role("link", name=re.compile(r"^Sent \d"))).to_have_attribute("aria-current", "true")


def test_a_report_is_compared_with_the_chosen_campaign(watched: Watched) -> None:
    page = watched.page
    page.goto(f"{watched.home.url}/engage/report?window_start={START}")
    page.get_by_label("Compare with").select_option(SENT)
    page.get_by_role("button", name="Compare").press("Enter")
    page.wait_for_url(f"**/report?window_start={START}&against={SENT}")
    before = WINDOW.previous()
    expect(
        page.get_by_role("heading", name=f"Compared with the campaign of {days(before.start, before.end)}")
    ).to_be_visible()
    loss = page.get_by_role("table", name="How many customers are left").get_by_role("link").first
    if loss.count():
        expect(loss).to_have_attribute("href", re.compile(r"messages\?window_start=.*&(reason|status)="))


@pytest.mark.parametrize("watched", [USER], indirect=True)
def test_a_user_starts_a_dry_run_with_the_keyboard(
    watched: Watched, airflow: Airflow, campaigns: Campaigns, computed: object
) -> None:
    page = watched.page
    page.goto(f"{watched.home.url}/engage/campaigns")
    page.get_by_role("button", name="Run a campaign…").press("Enter")
    dialog = page.get_by_role("dialog", name="Run a campaign")
    expect(dialog).to_contain_text("A message that is out cannot be taken back.")
    dialog.get_by_label("Window").select_option(starts(ASKED))
    dialog.get_by_label("Dry run").press("Space")
    dialog.get_by_text("Synthetic data, for a trial").click()
    dialog.get_by_label("Write synthetic customers").press("Space")
    dialog.get_by_label("Synthetic customers", exact=True).evaluate("field => { field.min = ''; field.value = '0'; }")
    dialog.get_by_role("button", name="Start the run").press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("The DAG refuses a parameter of the run")
    expect(dialog.get_by_role("alert")).to_contain_text("customers")
    watched.errors.clear()  # the browser counts the answer of 400 as one
    dialog.get_by_label("Synthetic customers", exact=True).fill("300")
    known = set(airflow.runs())
    dialog.get_by_role("button", name="Start the run").press("Enter")
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Started: ")
    [run_id] = set(airflow.runs()) - known
    assert airflow.wait_for(run_id).state == "success"
    details = airflow.request("GET", f"dags/{DAG_ID}/dagRuns/{run_id}")
    assert (details["triggering_user_name"], details["conf"]) == (
        USER,
        {"window_start": starts(ASKED), "dry_run": True, "seed": True, "customers": 300},
    )
    assert USER in {one["owner"] for one in audit(airflow, "engage.start_run")}
    page.reload()
    row = page.get_by_role("row", name=days(ASKED.start, ASKED.end))
    expect(row).to_contain_text("Dry run")
    expect(row).to_contain_text(f"run by {USER}")


@pytest.mark.parametrize("watched", [VIEWER], indirect=True)
def test_a_viewer_is_offered_no_run(watched: Watched) -> None:
    watched.open_campaigns()
    expect(watched.frame.get_by_role("heading", name="Campaigns", exact=True)).to_be_visible()
    expect(watched.frame.get_by_role("button", name="Run a campaign…")).to_have_count(0)


def test_in_a_runs_tab_a_report_offers_no_other_campaign(watched: Watched, airflow: Airflow, computed: object) -> None:
    run_id = computed.run_id
    watched.page.goto(f"{watched.home.url}/dags/{DAG_ID}/runs/{run_id}/plugin/engage-report")
    frame = watched.frame
    expect(frame.get_by_role("heading", name="Compared with the campaign of")).to_be_visible()
    expect(frame.get_by_label("Compare with")).to_have_count(0)
    expect(frame.locator(".sub")).to_contain_text("Run by ")
