"""The texts on the page *Segments* in a real browser: several, in several languages, and none lost."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.e2e.pages import Watched, violations
from tests.e2e.segments_page import (
    Variables,
    as_op,
    card,
    opened,
    saved,
    set_button,
)
from tests.e2e.support import Airflow

# --- texts


@as_op
def test_a_text_is_edited_beside_its_segment_also_in_another_language(watched: Watched, variables: Variables) -> None:
    page = opened(watched)
    first = card(page, 0)
    first.get_by_label("Text for BOOST", exact=True).fill("Hi {{ first_name }} – we miss you")
    expect(first.locator("[data-preview]")).to_contain_text("EN DASH")
    expect(first.locator("[data-preview]")).to_contain_text("we miss you Reply STOP to opt out.")
    second_customer = first.locator("[data-shows]").nth(1)
    second_customer.click()
    expect(second_customer).to_have_attribute("aria-pressed", "true")
    first.get_by_role("button", name="Add a language to BOOST").click()
    first.get_by_label("Language of a text for BOOST").fill("es")
    first.get_by_label("Language of a text for BOOST").blur()
    first.get_by_label("Text for BOOST in es").fill("Hola {{ nadie }}")
    expect(first.locator("[data-text-error]")).to_contain_text("{{ nadie }} is no placeholder")
    first.get_by_label("Text for BOOST in es").fill("Hola {{ first_name }}. Responde STOP.")
    expect(first.locator("[data-preview]")).to_contain_text("Also in es")
    expect(second_customer).to_have_attribute("aria-pressed", "true")
    set_button(page).click()
    page.get_by_role("dialog").get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Saved: ")
    assert json.loads(str(variables("messages"))) == {"BOOST": {"es": "Hola {{ first_name }}. Responde STOP."}}
    assert variables("message_boost") == "Hi {{ first_name }} – we miss you"


@as_op
def test_a_text_to_compare_is_written_beside_the_first_one(watched: Watched, variables: Variables) -> None:
    page = opened(watched)
    first = card(page, 0)
    first.get_by_role("button", name="Add a text to compare to BOOST").click()
    expect(first.get_by_label("Text b for BOOST", exact=True)).to_be_focused()
    expect(first.locator("[data-text-error]")).to_contain_text("the text of segment BOOST b: it takes a text of 1 to")
    first.get_by_label("Text b for BOOST", exact=True).fill("Come back {{ first_name }}. Reply STOP.")
    expect(first.locator("[data-preview]")).to_contain_text("Text b")
    expect(first.locator("[data-preview]")).to_contain_text("Chance chooses one of the texts.")
    first.get_by_role("button", name="Add a text to compare to BOOST").click()
    expect(first.get_by_label("Text c for BOOST", exact=True)).to_be_focused()
    first.get_by_role("button", name="Remove text c from BOOST").click()
    first.get_by_role("button", name="Add a language to BOOST").click()
    language = first.locator("[data-language]").last
    language.get_by_label("Which text of BOOST").select_option("b")
    language.locator("[data-tag]").fill("es")
    language.locator("[data-tag]").blur()
    first.get_by_label("Text b for BOOST in es").fill("Vuelve. Responde STOP.")
    expect(first.locator("[data-preview]")).to_contain_text("Also in es")
    assert violations(page) == []
    saved(page)
    assert json.loads(str(variables("messages"))) == {
        "BOOST": {"b": {"default": "Come back {{ first_name }}. Reply STOP.", "es": "Vuelve. Responde STOP."}}
    }
    expect(card(page, 0).get_by_label("Text b for BOOST", exact=True)).to_have_value(
        "Come back {{ first_name }}. Reply STOP."
    )


@as_op
def test_texts_that_the_user_did_not_change_are_kept(watched: Watched, airflow: Airflow, variables: Variables) -> None:
    boost = {"a": {"es": "Hola. Responde STOP."}, "b": "Text b. Reply STOP.", "c": {"en": "Text c. Reply STOP."}}
    airflow.set_variable("engage_messages", json.dumps({"BOOST": boost}))
    page = opened(watched)
    expect(card(page, 0).get_by_label("Text for BOOST in es")).to_have_value("Hola. Responde STOP.")
    expect(card(page, 0).get_by_label("Text b for BOOST", exact=True)).to_have_value("Text b. Reply STOP.")
    expect(card(page, 0).get_by_label("Text c for BOOST in en")).to_have_value("Text c. Reply STOP.")
    assert page.get_by_role("button", name="Take back all changes").is_hidden()
    card(page, 1).get_by_role("button", name="Add a language to REWARD").click()
    card(page, 1).get_by_label("Language of a text for REWARD").fill("fr")
    card(page, 1).get_by_label("Language of a text for REWARD").blur()
    card(page, 1).get_by_label("Text for REWARD in fr").fill("Merci. Reply STOP.")
    saved(page)
    b = {"default": "Text b. Reply STOP."}
    assert json.loads(str(variables("messages"))) == {
        "BOOST": boost | {"b": b},
        "REWARD": {"fr": "Merci. Reply STOP."},
    }
    page = opened(watched)
    expect(page.get_by_label("Text c for BOOST in en")).to_have_value("Text c. Reply STOP.")
    card(page, 0).get_by_label("Text for BOOST in es").fill("Hola otra vez. Responde STOP.")
    saved(page)
    assert json.loads(str(variables("messages")))["BOOST"] == boost | {
        "a": {"es": "Hola otra vez. Responde STOP."},
        "b": b,
    }


@as_op
def test_a_first_text_among_the_others_is_edited_in_its_own_field(
    watched: Watched, airflow: Airflow, variables: Variables
) -> None:
    airflow.set_variable(
        "engage_messages", json.dumps({"BOOST": {"a": "Text a. Reply STOP.", "b": "Text b. Reply STOP."}})
    )
    page = opened(watched)
    own = card(page, 0).get_by_label("Text for BOOST", exact=True)
    expect(own).to_have_value("Text a. Reply STOP.")
    own.fill("Another text a. Reply STOP.")
    expect(card(page, 0).locator("[data-preview]")).to_contain_text("Another text a.")
    saved(page)
    assert variables("message_boost") == "Another text a. Reply STOP."
    assert json.loads(str(variables("messages"))) == {"BOOST": {"b": {"default": "Text b. Reply STOP."}}}


@as_op
def test_two_texts_in_one_place_are_refused_and_none_is_lost(
    watched: Watched, airflow: Airflow, variables: Variables
) -> None:
    boost = {"b": {"default": "Text b. Reply STOP."}, "c": {"default": "Text c. Reply STOP."}}
    airflow.set_variable("engage_messages", json.dumps({"BOOST": boost}))
    page = opened(watched)
    first = card(page, 0)
    first.locator("[data-language]").last.get_by_label("Which text of BOOST").select_option("b")
    expect(first.locator("[data-text-error]")).to_contain_text("segment BOOST b: the language default stands twice")
    expect(set_button(page)).to_be_disabled()
    first.locator("[data-language]").last.locator("[data-tag]").fill("es")
    first.locator("[data-language]").last.locator("[data-tag]").blur()
    expect(first.locator("[data-text-error]")).to_be_empty()
    saved(page)
    texts = {"default": "Text b. Reply STOP.", "es": "Text c. Reply STOP."}
    assert json.loads(str(variables("messages"))) == {"BOOST": {"b": texts}}
