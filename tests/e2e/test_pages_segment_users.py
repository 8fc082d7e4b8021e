"""The page *Segments* in a real browser: users without rights, and users who edit at once."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.pages import EVIL, START, Watched
from tests.e2e.segments_page import (
    Variables,
    as_op,
    card,
    opened,
    seen,
    set_button,
)
from tests.e2e.support import USER, VIEWER, Airflow

# --- users


@pytest.mark.parametrize("watched", [VIEWER, USER], indirect=True)
def test_who_may_not_edit_variables_looks_and_sets_nothing(watched: Watched) -> None:
    page = opened(watched)
    before = seen(page)
    page.get_by_label("Low spend threshold", exact=True).fill("250")
    expect(page.locator("[data-then=BOOST]")).not_to_have_text(before["BOOST"])
    expect(set_button(page)).to_have_count(0)
    assert page.locator("[data-post]").count() == 0


def refused(watched: Watched, why: str) -> Locator:
    """The dialog after the first press of *Set*, which another user's change has stopped."""
    set_button(watched.page).click()
    dialog = watched.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text(why)
    watched.errors.clear()  # the browser counts the answer of 409 as one
    return dialog


def set_again(dialog: Locator) -> None:
    """Press *Set* once more, now that the other user's change is shown."""
    dialog.get_by_role("button", name="Set", exact=True).click()
    expect(dialog.page.get_by_role("region", name="Notifications")).to_contain_text("Saved: ")


@as_op
def test_what_another_user_has_set_meanwhile_is_shown_and_not_overwritten(
    watched: Watched, airflow: Airflow, variables: Variables
) -> None:
    page = opened(watched)
    page.get_by_label("Low spend threshold", exact=True).fill("150")
    airflow.set_variable("engage_low_spend_threshold", "90")
    dialog = refused(watched, "another user has changed “Low spend threshold”")
    assert variables("low_spend_threshold") == "90"
    expect(dialog.get_by_role("row", name="Low spend threshold")).to_contain_text("90")
    set_again(dialog)
    assert variables("low_spend_threshold") == "150"


@as_op
def test_languages_that_another_user_has_set_meanwhile_are_kept(
    watched: Watched, airflow: Airflow, variables: Variables
) -> None:
    page = opened(watched)
    card(page, 0).get_by_role("button", name="Add a language to BOOST").click()
    card(page, 0).get_by_label("Language of a text for BOOST").fill("es")
    card(page, 0).get_by_label("Language of a text for BOOST").blur()
    card(page, 0).get_by_label("Text for BOOST in es").fill("Hola. Responde STOP.")
    airflow.set_variable("engage_messages", json.dumps({"REWARD": {"fr": "Merci. Reply STOP."}}))
    dialog = refused(watched, "another user has changed")
    expect(card(page, 1).locator("[data-language-text]")).to_have_value("Merci. Reply STOP.")
    set_again(dialog)
    assert json.loads(str(variables("messages"))) == {
        "BOOST": {"es": "Hola. Responde STOP."},
        "REWARD": {"fr": "Merci. Reply STOP."},
    }


@as_op
def test_a_first_text_that_another_user_has_set_meanwhile_is_kept(
    watched: Watched, airflow: Airflow, variables: Variables
) -> None:
    boost = {"a": {"default": "Text a. Reply STOP."}, "b": {"default": "Text b. Reply STOP."}}
    airflow.set_variable("engage_messages", json.dumps({"BOOST": boost}))
    page = opened(watched)
    card(page, 1).get_by_role("button", name="Add a language to REWARD").click()
    card(page, 1).get_by_label("Language of a text for REWARD").fill("fr")
    card(page, 1).get_by_label("Language of a text for REWARD").blur()
    card(page, 1).get_by_label("Text for REWARD in fr").fill("Merci. Reply STOP.")
    boost |= {"a": {"default": "Another user's text. Reply STOP."}}
    airflow.set_variable("engage_messages", json.dumps({"BOOST": boost}))
    dialog = refused(watched, "another user has changed")
    expect(card(page, 0).locator("[data-text]")).to_have_value("Another user's text. Reply STOP.")
    set_again(dialog)
    assert json.loads(str(variables("messages"))) == {"BOOST": boost, "REWARD": {"fr": "Merci. Reply STOP."}}


@as_op
def test_unsaved_changes_are_not_lost_without_a_question(watched: Watched) -> None:
    page = opened(watched)
    page.get_by_label("Low spend threshold", exact=True).fill("150")
    page.get_by_role("link", name="Activity").click()
    dialog = page.get_by_role("dialog", name="Leave without saving?")
    expect(dialog).to_contain_text("1 change")
    dialog.get_by_role("button", name="Stay").click()
    window = page.get_by_label("Counted over the customers of")
    other = window.locator("option").nth(1).get_attribute("value")
    window.select_option(other)
    dialog.get_by_role("button", name="Stay").click()
    expect(window).to_have_value(START)
    expect(page.get_by_label("Low spend threshold", exact=True)).to_have_value("150")
    window.select_option(other)
    dialog.get_by_role("button", name="Leave").click()
    page.wait_for_url(f"**/segments?window_start={other}")


@as_op
def test_what_users_write_stays_text(watched: Watched) -> None:
    page = opened(watched)
    card(page, 0).get_by_label("Name of segment 1").fill(EVIL[:30])
    card(page, 1).get_by_label("Text for REWARD", exact=True).fill(f"{EVIL} Reply STOP.")
    expect(card(page, 1).locator("[data-preview]")).to_contain_text("Reply STOP")
    expect(page.locator("#segment-0-name-error")).to_contain_text("1 to 30 capital letters")
    assert "owned" not in page.title()
