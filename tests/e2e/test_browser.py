"""What a person sees: Airflow's pages in a real browser.

With ENGAGE_SCREENSHOT_DIR=docs/images the pages are also saved as pictures there, for the documentation.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from engage import demo, local
from engage.airflow_api import DAG
from tests.e2e.support import Airflow, Campaigns, past_window

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE_MS = 60_000
PARAMS = ("Seed", "Synthetic customers", "Random seed", "Window start", "Dry run", "Send late", "Ignore guard")


@pytest.fixture
def page() -> Iterator[Page]:
    if CHROMIUM is None:
        missing = "NOT TESTED: what a person sees in Airflow. There is no chromium, chromium-browser or google-chrome."
        if os.environ.get("ENGAGE_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1400, "height": 900}, locale="en-US")
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield page
        browser.close()


def test_a_person_logs_in_triggers_a_run_from_the_form_and_sees_five_green_tasks(
    airflow: Airflow, campaigns: Campaigns, page: Page
) -> None:
    window = past_window(7)
    log_in(page, airflow)
    page.get_by_role("link", name="Dags").first.click()
    page.get_by_role("link", name=DAG).first.click()
    expect(page.get_by_role("heading", name=DAG)).to_be_visible()
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
    for task in demo.TASKS:
        expect(page.get_by_role("row", name=task)).to_contain_text("Success")
        expect(page.locator(f"a[href$='/runs/{run_id}/tasks/{task}'] svg").first).to_be_visible()
    page.get_by_role("button", name="Show Graph").click()
    expect(page.locator(".react-flow__node")).to_have_text([re.compile(f"{task}.*success") for task in demo.TASKS])
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    picture(page, "dag.png")

    found = campaigns.of(window)
    assert found is not None
    assert found["run_id"] == run_id
    assert found["customers"] >= 300
    seeded = "SELECT count(DISTINCT customer_id) FROM app_session WHERE started_at >= :start AND started_at < :end"
    assert campaigns.value(seeded, start=window.start, end=window.end) == 300


def log_in(page: Page, airflow: Airflow) -> None:
    home = airflow.stack.home
    page.goto(home.url)
    page.get_by_label("Username").fill(local.ADMIN)
    page.locator("input[type=password]").fill(home.secret("password"))
    page.get_by_role("button", name="Sign in").click()


def switch(form: Locator, name: str) -> None:
    """Turn a switch on. The checkbox behind it is hidden; what a person clicks is the label around it."""
    checkbox = form.page.get_by_role("checkbox", name=name)
    form.locator("label").filter(has=checkbox).click()
    expect(checkbox).to_be_checked()


def picture(page: Page, name: str) -> None:
    """Save the page where ENGAGE_SCREENSHOT_DIR says, if it does."""
    if folder := os.environ.get("ENGAGE_SCREENSHOT_DIR"):
        page.screenshot(path=Path(folder) / name, animations="disabled")
