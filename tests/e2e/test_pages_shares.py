"""A threshold that is a share of the customers, set by slider, used by a run, and read in the report."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from tests.e2e.pages import START, WINDOW, Watched, violations
from tests.e2e.segments_page import Variables, as_op, card, draft, opened, seen, set_button
from tests.e2e.support import USER, VIEWER, Airflow, Campaigns

LOW = "Low spend threshold"


def kind(page: Page | FrameLocator) -> Locator:
    return page.get_by_label(f"{LOW}, how it is set")


def words(page: Page | FrameLocator) -> Locator:
    return page.locator("[data-threshold=low_spend_threshold] [data-share]")


@as_op
def test_an_op_sets_a_share_by_slider_and_reads_its_number_in_the_report(
    watched: Watched, airflow: Airflow, campaigns: Campaigns, variables: Variables
) -> None:
    page = opened(watched)
    kind(page).select_option("lowest %")
    expect(words(page)).to_contain_text("lowest 20% = below $")
    page.get_by_role("slider", name="Low spend").press("ArrowRight")
    expect(page.get_by_label(LOW, exact=True)).to_have_value("21")
    expect(words(page)).to_contain_text("lowest 21% = below $")
    shown = words(page).inner_text()
    match = re.search(r"lowest 21% = below (\S+): (\d+) customers", shown)
    assert match is not None
    number, customers = match.groups()
    expect(page.locator("[data-then=BOOST]")).to_have_text(customers)
    assert violations(page) == []
    set_button(page).click()
    dialog = page.get_by_role("dialog", name="Set these for the next campaign?")
    expect(dialog.get_by_role("row", name=LOW)).to_contain_text("lowest 21%")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Saved: ")
    assert variables("low_spend_threshold") == "lowest 21%"

    assert airflow.run(window_start=START, dry_run=True).state == "success"
    kept = campaigns.of(WINDOW)
    assert kept is not None
    assert kept["settings"]["low_spend_threshold"] == "lowest 21%"
    assert str(kept["buckets"]["BOOST"]) == customers
    page.goto(f"{watched.home.url}/engage/report?window_start={START}")
    expect(page.locator("#main")).to_contain_text(f"{LOW}: lowest 21% = below {number}: {customers} customers.")
    page.goto(f"{watched.home.url}/engage/campaigns")
    expect(page.locator("#main")).to_contain_text(f"< lowest 21% = {number}")


@as_op
def test_a_share_becomes_the_number_that_it_was(watched: Watched, computed: object) -> None:
    page = opened(watched)
    kind(page).select_option("highest count")
    expect(words(page)).to_contain_text("highest 30 = below $")
    kind(page).select_option("a number")
    expect(words(page)).to_be_empty()
    assert float(page.get_by_label(LOW, exact=True).input_value()) > 0
    kind(page).select_option("lowest %")
    page.get_by_label(LOW, exact=True).fill("0")
    expect(page.get_by_label(LOW, exact=True)).to_have_accessible_description(
        re.compile("0% is no share; a share is more than 0% and at most 100%")
    )
    expect(set_button(page)).to_be_disabled()
    page.get_by_label(LOW, exact=True).fill("highest 5%")  # as in an Airflow Variable
    page.get_by_label(LOW, exact=True).blur()
    expect(kind(page)).to_have_value("highest %")
    expect(page.get_by_label(LOW, exact=True)).to_have_value("5")


@as_op
def test_a_rule_asks_for_a_share_with_the_keyboard_alone(watched: Watched, computed: object) -> None:
    page = opened(watched)
    page.get_by_label("Comparison of condition 1 of BOOST").focus()
    page.keyboard.type("in")
    amount = page.get_by_label("Number of condition 1 of BOOST", exact=True)
    expect(amount).to_have_value("20")
    page.keyboard.press("Tab")
    page.keyboard.type("highest %")
    expect(page.get_by_label("Kind of share of condition 1 of BOOST")).to_have_value("highest %")
    expect(amount).to_have_value("10")
    expect(card(page, 0).locator("[data-share]").first).to_contain_text("highest 10% = more than $")
    rules = draft(page)
    assert isinstance(rules, dict)
    assert rules["segments"][0] == {"name": "BOOST", "when": ["total_spend in highest 10%"]}
    page.get_by_label("Comparison of condition 1 of BOOST").select_option("below")
    expect(page.get_by_label("Number or threshold of condition 1 of BOOST")).to_have_value("")
    expect(page.locator("#counts")).not_to_have_attribute("aria-busy", "true")  # it is pale meanwhile
    assert violations(page) == []


@pytest.mark.parametrize("watched", [VIEWER, USER], indirect=True)
def test_who_may_not_edit_variables_tries_a_share_and_sets_nothing(watched: Watched, computed: object) -> None:
    page = opened(watched)
    before = seen(page)
    kind(page).select_option("lowest %")
    expect(words(page)).to_contain_text("lowest 20% = below $")
    expect(page.locator("[data-then=BOOST]")).not_to_have_text(before["BOOST"])
    expect(set_button(page)).to_have_count(0)
    page.goto(f"{watched.home.url}/engage/settings#low_spend_threshold")
    expect(page.get_by_label(LOW, exact=True)).to_have_attribute("readonly", "")
