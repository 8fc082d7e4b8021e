"""What a person sees: Airflow's pages in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from engage.airflow_names import DAG_ID
from engage.local import demo
from tests.e2e.browser import log_in, picture
from tests.e2e.support import Airflow, Campaigns, past_window

PARAMS = ("Seed", "Synthetic customers", "Random seed", "Window start", "Dry run", "Send late", "Ignore guard")


def test_a_person_logs_in_triggers_a_run_from_the_form_and_sees_what_became_of_its_tasks(
    airflow: Airflow, campaigns: Campaigns, page: Page
) -> None:
    window = past_window(7)
    log_in(page, airflow)
    page.get_by_role("link", name="Dags").first.click()
    page.locator(f"a[href$='/dags/{DAG_ID}']").first.click()  # not the link to a run that an asset's event has
    expect(page.get_by_role("heading", name=DAG_ID)).to_be_visible()
    page.get_by_role("button", name="Trigger").first.click()

    form = page.get_by_role("dialog")
    for param in PARAMS:
        expect(form.get_by_text(re.compile(rf"^{param}\W*$")).first).to_be_visible()
    customers = form.get_by_role("spinbutton", name="Synthetic customers")
    expect(customers).to_have_value("10000")
    customers.fill("300")
    switch(form, "Seed")
    form.locator("input[type=date]").fill(window.start.date().isoformat())
    picture(page, "trigger.png")
    form.get_by_role("button", name="Trigger").click()

    page.wait_for_url("**/runs/manual__*")
    run_id = page.url.rsplit("/", 1)[1]
    states = {task: "skipped" if task in {"measure", "approve"} else "success" for task in demo.TASKS}
    for task, state in states.items():
        expect(page.get_by_role("row", name=task)).to_contain_text(state.capitalize())
        expect(page.locator(f"a[href$='/runs/{run_id}/tasks/{task}'] svg").first).to_be_visible()
    page.get_by_role("button", name="Show Graph").click()
    drawn = ("seed", "extract", "aggregate", "bucket", "measure", "approve", "message")
    expect(page.locator(".react-flow__node")).to_have_text([re.compile(f"{task}.*{states[task]}") for task in drawn])
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    picture(page, "dag.png")

    found = campaigns.of(window)
    assert found is not None
    assert found["run_id"] == run_id
    assert found["customers"] >= 300
    seeded = "SELECT count(DISTINCT customer_id) FROM app_session WHERE started_at >= :start AND started_at < :end"
    assert campaigns.value(seeded, start=window.start, end=window.end) == 300


def switch(form: Locator, name: str) -> None:
    """Turn a switch on. The checkbox behind it is hidden; what a person clicks is the label around it."""
    checkbox = form.page.get_by_role("checkbox", name=name)
    form.locator("label").filter(has=checkbox).click()
    expect(checkbox).to_be_checked()
