"""The page *Segments* in a real browser: rules built with mouse and keyboard, counted, set and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, expect

from engage.local.stack import ADMIN
from engage.settings import Settings
from tests.e2e.pages import START, WINDOW, Watched, both_themes, violations, watching
from tests.e2e.segments_page import (
    LAPSING,
    Variables,
    as_op,
    card,
    draft,
    drag_to_the_top,
    names,
    opened,
    seen,
    set_button,
)
from tests.e2e.support import Airflow, Campaigns


@pytest.fixture(scope="module")
def liked(airflow: Airflow, campaigns: Campaigns, computed: object) -> Iterator[None]:
    """Some customers of the campaign have liked an item, and the campaign knows."""
    with campaigns.engine.begin() as conn:
        conn.execute(
            sa.text(
                "INSERT INTO app_event (customer_id, occurred_at, kind, item_id) "
                "SELECT customer_id, :at, 'liked', 'taco-17' FROM customer WHERE customer_id % 3 = 0"
            ),
            {"at": WINDOW.start},
        )
    assert airflow.run(window_start=START, dry_run=True).state == "success"
    yield
    with campaigns.engine.begin() as conn:
        conn.execute(sa.text("DELETE FROM app_event WHERE item_id = 'taco-17'"))
    assert airflow.run(window_start=START, dry_run=True).state == "success"


# --- building rules


@as_op
def test_an_op_builds_a_segment_with_the_mouse_and_sees_what_a_run_makes_of_it(
    watched: Watched, airflow: Airflow, campaigns: Campaigns, variables: Variables, liked: None
) -> None:
    watched.page.goto(f"{watched.home.url}/plugin/engage/engage/segments?window_start={START}")
    page = watched.frame
    expect(set_button(page)).to_be_disabled()  # nothing has changed
    page.get_by_role("button", name="Add a segment").click()
    new = card(page, 2)
    new.get_by_label("Name of segment 3").fill("LAPSING")
    new.get_by_label("Name of segment 3").blur()
    new.get_by_label("Field of condition 1 of LAPSING").select_option("Days since the last purchase")
    new.get_by_label("Comparison of condition 1 of LAPSING").select_option("more than")
    new.get_by_label("Number of condition 1 of LAPSING", exact=True).fill("5")
    new.get_by_label("Number or threshold of condition 1 of LAPSING").select_option("make it a threshold…")
    dialog = page.get_by_role("dialog", name="Make this number a threshold")
    dialog.get_by_label("Name").fill("lapsing_days")
    dialog.get_by_role("button", name="Make it one").click()
    expect(page.get_by_label("Lapsing days threshold", exact=True)).to_have_value("5")
    new.get_by_role("button", name="Add an any-of group to LAPSING").click()
    new.get_by_label("Field of condition 2 of LAPSING").select_option("Items liked")
    new.get_by_role("button", name="Add a condition to a group of LAPSING").click()
    new.get_by_label("Field of condition 3 of LAPSING").select_option("Items put in the basket")
    new.get_by_label("Text for LAPSING", exact=True).fill("We miss you, {{ first_name }}. Reply STOP to opt out.")
    drag_to_the_top(watched.page, page, new)
    expect(page.locator("[data-then=LAPSING]")).not_to_have_text("0")
    expect(card(page, 0).get_by_text("may be texted")).to_be_visible()
    expect(card(page, 0).locator("[data-example]:visible")).to_contain_text("We miss you, ")
    expect(page.locator("#counts")).not_to_have_attribute("aria-busy", "true")
    shown = seen(page)
    page.get_by_role("heading", name="Segments", level=1).scroll_into_view_if_needed()
    both_themes(watched.page, "segments", 900)

    set_button(page).click()
    dialog = page.get_by_role("dialog", name="Set these for the next campaign?")
    expect(dialog.get_by_role("row", name="Lapsing days threshold")).to_contain_text("nothing")
    expect(dialog.get_by_role("row", name="Segments and their rules")).to_contain_text("LAPSING: Days since")
    dialog.get_by_role("button", name="Set", exact=True).click()
    toast = page.get_by_role("region", name="Notifications")
    expect(toast).to_contain_text("Saved: “Segments and their rules”")
    assert json.loads(str(variables("segments"))) == LAPSING
    assert variables("lapsing_days_threshold") == "5"
    assert variables("message_lapsing") == "We miss you, {{ first_name }}. Reply STOP to opt out."
    expect(set_button(page)).to_be_disabled()

    assert airflow.run(window_start=START, dry_run=True).state == "success"
    fresh = campaigns.of(WINDOW)
    assert fresh is not None
    assert {name: f"{customers:,}" for name, customers in fresh["buckets"].items()} == shown

    toast.get_by_role("button", name="Undo").click()
    expect(toast).to_contain_text("Taken back: ")
    assert json.loads(str(variables("segments"))) == Settings().segments.to_json()
    assert [variables(name) for name in ("lapsing_days_threshold", "message_lapsing")] == [None, None]
    expect(page.locator("[data-segment]")).to_have_count(2)


@as_op
def test_the_same_segment_is_built_with_the_keyboard_alone(watched: Watched, liked: None) -> None:
    page = opened(watched)
    press = page.keyboard.press

    def tab(name: str) -> None:
        """Tab until the element with this name has the focus."""
        for _ in range(80):
            focused = page.evaluate(
                "document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"
            )
            if focused and focused.strip() == name:
                return
            press("Tab")
        raise AssertionError(f"Tab never comes to {name}.")

    def choose(name: str, starts: str) -> None:
        tab(name)
        page.keyboard.type(starts)

    tab("Add a segment")
    press("Enter")
    page.keyboard.type("LAPSING")  # over the name that is selected
    choose("Field of condition 1 of LAPSING", "Days since the last p")
    choose("Comparison of condition 1 of LAPSING", "more")
    tab("Number of condition 1 of LAPSING")
    press("ControlOrMeta+a")
    page.keyboard.type("5")
    press("Shift+Tab")
    press("m")  # as "make it a threshold…" begins
    page.keyboard.type("lapsing_days")
    press("Enter")
    expect(page.get_by_label("Number or threshold of condition 1 of LAPSING")).to_be_focused()
    tab("Add an any-of group to LAPSING")
    press("Enter")
    choose("Field of condition 2 of LAPSING", "Items l")
    tab("Add a condition to a group of LAPSING")
    press("Enter")
    choose("Field of condition 3 of LAPSING", "Items p")
    page.get_by_label("Name of segment 3").focus()
    for _ in range(2):
        tab("Move up LAPSING")
        press("Enter")
    expect(page.get_by_role("button", name="Move down LAPSING")).to_be_focused()  # up is no longer possible
    expect(page.locator("#moved-to")).to_have_text("LAPSING is number 1 of 3.")
    assert draft(page) == LAPSING
    expect(page.locator("#said")).to_contain_text("LAPSING ")
    expect(page.locator("#said")).not_to_contain_text("LAPSING 0")
    tab("Remove condition 3 of LAPSING")
    press("Enter")
    expect(page.get_by_label("Field of condition 2 of LAPSING")).to_be_focused()
    page.get_by_role("button", name="Remove LAPSING").focus()
    press("Enter")
    expect(page.get_by_role("button", name="Remove BOOST")).to_be_focused()
    expect(page.get_by_role("button", name="Take back all changes")).not_to_be_visible()  # nothing is left to take back
    press("Enter")
    assert names(page) == ["REWARD"]
    page.get_by_role("button", name="Take back all changes").focus()
    press("Enter")
    assert names(page) == ["BOOST", "REWARD"]
    expect(set_button(page)).to_be_disabled()


@as_op
def test_rules_are_pasted_as_json(watched: Watched, variables: Variables) -> None:
    page = opened(watched)
    page.get_by_role("button", name="Paste or copy as JSON").click()
    field = page.get_by_label("Copy these rules, or paste others")
    use = page.get_by_role("button", name="Use these")
    field.fill('{"segments": [{"name": "QUIET", "when": ["sessions << 1"]}]}')
    use.click()
    expect(field).to_have_accessible_description(
        "Segment QUIET: condition 1 ('sessions << 1'): << is no operator; the operators are <, <=, >, >=, =, !=."
    )
    field.fill(json.dumps(LAPSING))
    use.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert names(page) == ["LAPSING", "BOOST", "REWARD"]
    number = page.get_by_label("Lapsing days threshold", exact=True)
    expect(number).to_have_attribute("aria-invalid", "true")  # there is none yet
    expect(set_button(page)).to_be_disabled()
    number.fill("28")
    expect(set_button(page)).to_be_enabled()
    assert draft(page) == LAPSING
    page.get_by_role("button", name="Paste or copy as JSON").click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Copied.")


@as_op
def test_pasted_rules_keep_the_texts_that_are_not_set_yet(watched: Watched) -> None:
    page = opened(watched)
    card(page, 1).get_by_label("Text for REWARD", exact=True).fill("Soon more. Reply STOP.")
    card(page, 1).get_by_role("button", name="Add a language to REWARD").click()
    card(page, 1).get_by_label("Language of a text for REWARD").fill("es")
    page.get_by_role("button", name="Paste or copy as JSON").click()
    page.get_by_label("Copy these rules, or paste others").fill(json.dumps(LAPSING))
    page.get_by_role("button", name="Use these").click()
    expect(card(page, 2).get_by_label("Text for REWARD", exact=True)).to_have_value("Soon more. Reply STOP.")
    expect(card(page, 2).get_by_label("Language of a text for REWARD")).to_have_value("es")


# --- thresholds


@as_op
def test_the_arrow_keys_pass_the_choice_of_a_new_threshold_without_its_dialog(watched: Watched) -> None:
    page = opened(watched)
    choice = page.get_by_label("Number or threshold of condition 1 of BOOST")
    dialog = page.get_by_role("dialog", name="Make this number a threshold")
    for leave in ("Enter", "Tab"):
        choice.focus()
        page.keyboard.press("End")
        expect(choice).to_have_value("new")
        expect(dialog).to_have_count(0)
        page.keyboard.press(leave)
        expect(dialog).to_be_visible()
        expect(dialog.get_by_label("Name")).to_be_focused()
        page.keyboard.press("Escape")
        expect(choice).to_have_value("low_spend_threshold")


def test_a_threshold_is_moved_with_the_keyboard_and_the_counts_follow(watched: Watched) -> None:
    page = opened(watched)
    before = seen(page)
    page.get_by_role("slider", name="High activity").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_label("High activity threshold", exact=True)).to_have_value("4.875")
    expect(page.locator("[data-then=REWARD]")).not_to_have_text(before["REWARD"])
    page.get_by_role("slider", name="Low spend").press("ArrowRight")
    expect(page.get_by_label("Low spend threshold", exact=True)).to_have_value("101")
    expect(page.locator("#said")).to_contain_text("customers would move")


def test_a_threshold_that_cannot_be_right_is_explained_beside_it(watched: Watched) -> None:
    page = opened(watched)
    field = page.get_by_label("Low spend threshold", exact=True)
    counts = page.locator("#counts").inner_text()
    field.fill("1.005")
    expect(field).to_have_accessible_description(
        "“Low spend threshold” is '1.005', which is not allowed: it takes a number from 0 to 1000000000 "
        "with at most 2 decimals, or a share of the customers such as lowest 20%, highest 10% or lowest 5000."
    )
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(set_button(page)).to_be_disabled()
    assert page.locator("#counts").inner_text() == counts
    field.fill("1")
    expect(field).not_to_have_attribute("aria-invalid", "true")


@as_op
def test_a_wrong_number_is_explained_at_its_row_and_the_results_stay(watched: Watched) -> None:
    page = opened(watched)
    counts = page.locator("#counts").inner_text()
    card(page, 1).get_by_role("button", name="Add a condition to REWARD").click()
    number = page.get_by_label("Number of condition 2 of REWARD", exact=True)
    expect(set_button(page)).to_be_enabled()
    number.fill("many")
    expect(page.locator("#segment-1-row-1-error")).to_contain_text("Many is neither a number nor a threshold")
    expect(number).to_have_attribute("aria-invalid", "true")
    expect(set_button(page)).to_be_disabled()
    assert page.locator("#counts").inner_text() == counts
    name = page.get_by_label("Name of segment 2")
    name.fill("BOOST")
    expect(page.locator("#segment-1-name-error")).to_contain_text("Two segments have the name BOOST")
    assert violations(page) == []


# --- how it looks


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible_in_both_themes_and_fits_a_phone(
    browser: Browser, airflow: Airflow, theme: Literal["light", "dark"], width: int
) -> None:
    with watching(browser, airflow, ADMIN, theme) as found:
        found.page.set_viewport_size({"width": width, "height": 900})
        page = opened(found)
        page.get_by_role("button", name="Paste or copy as JSON").click()
        page.get_by_label("Copy these rules, or paste others").fill(json.dumps(LAPSING))
        page.get_by_role("button", name="Use these").click()
        page.get_by_label("Lapsing days threshold", exact=True).fill("5")
        expect(set_button(page)).to_be_enabled()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        set_button(page).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert violations(page) == []
        assert found.errors == []


def test_it_can_be_read_without_a_script(browser: Browser, airflow: Airflow, computed: object) -> None:
    context = browser.new_context(java_script_enabled=False)
    home = airflow.stack.home
    context.add_cookies([{"name": "_token", "value": airflow.token(ADMIN), "url": home.url}])
    page = context.new_page()
    page.goto(f"{home.url}/engage/segments?window_start={START}")
    expect(page.get_by_text("Spend below low_spend_threshold")).to_be_visible()
    expect(page.get_by_role("heading", name="REWARD")).to_be_visible()
    expect(page.get_by_role("button", name="Add a segment")).to_have_count(0)
    context.close()
