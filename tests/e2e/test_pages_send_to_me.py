"""Texts before customers get them, in a real browser: three customers in two languages, and one text to a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, expect

from tests.e2e.pages import Watched, violations
from tests.e2e.segments_page import Variables, as_op, card, opened
from tests.e2e.support import OP, USER, VIEWER, Airflow, Campaigns
from tests.phones import fictional_phone

PHONE, OTHER = fictional_phone(7), fictional_phone(8)


@pytest.fixture(scope="module", autouse=True)
def two_languages(campaigns: Campaigns, computed: object) -> Iterator[None]:
    """A third of the customers speak Spanish."""
    with campaigns.engine.begin() as conn:
        conn.execute(sa.text("UPDATE customer SET locale = CASE WHEN customer_id % 3 = 0 THEN 'es-MX' END"))
    yield
    with campaigns.engine.begin() as conn:
        conn.execute(sa.text("UPDATE customer SET locale = NULL"))


@pytest.fixture
def phones(airflow: Airflow, set_variable: Callable[[str, str], None]) -> None:
    set_variable("test_phones", f"{PHONE}, {OTHER}")


def in_two_languages(page: Page) -> Locator:
    """The card of BOOST with a draft in two languages, once its previews are there."""
    boost = card(page, 0)
    boost.get_by_label("Text for BOOST", exact=True).fill("Hi {{ first_name }}, come back")
    boost.get_by_role("button", name="Add a language to BOOST").click()
    boost.get_by_label("Language of a text for BOOST").fill("es")
    boost.get_by_label("Language of a text for BOOST").blur()
    boost.get_by_label("Text for BOOST in es").fill("Hola {{ first_name }}. Responde STOP.")
    expect(boost.locator("[data-preview]")).to_contain_text("Hola ")
    return boost


def of_language(boost: Locator, name: str) -> Locator:
    """The customers to choose from whose texts are in one language."""
    return boost.get_by_role("group", name=name, exact=True).get_by_role("button")


@as_op
def test_a_draft_is_shown_to_three_customers_in_each_of_two_languages(watched: Watched) -> None:
    watched.page.emulate_media(reduced_motion="reduce")  # no colour is between two others
    page = opened(watched)
    boost = in_two_languages(page)
    seen = set()
    for language, begins in (("All others", "Hi "), ("In es", "Hola ")):
        customers = of_language(boost, language)
        expect(customers).to_have_count(3)
        for one in customers.all():
            one.click()
            expect(one).to_have_attribute("aria-pressed", "true")
            bubble = boost.locator("[data-example]:visible .bubble")
            expect(bubble).to_contain_text(begins)
            expect(bubble).to_contain_text("STOP")
            seen.add(boost.locator("[data-example]:visible").get_attribute("data-example"))
    assert len(seen) == 6
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@as_op
def test_an_op_sends_an_unsaved_text_to_a_phone_and_sees_what_became_of_it(
    watched: Watched, campaigns: Campaigns, phones: None, variables: Variables
) -> None:
    page = opened(watched)
    boost = in_two_languages(page)
    before = ledger(campaigns)
    of_language(boost, "In es").nth(1).click()
    shown = boost.locator("[data-example]:visible .bubble").inner_text()
    boost.get_by_role("button", name="Send to me…").click()
    dialog = page.get_by_role("dialog", name="Send this text to a phone?")
    expect(dialog).to_contain_text(f"TEST {shown}")
    expect(dialog).to_contain_text("The sandbox takes it and delivers nothing")
    assert violations(page) == []
    dialog.get_by_label("Phone").select_option(OTHER)
    dialog.get_by_role("button", name="Send", exact=True).dblclick()
    toast = page.get_by_role("region", name="Notifications")
    accepted = f"The test message to …{OTHER[-2:]} was accepted by the sandbox, which sends no real text."
    expect(toast).to_contain_text(accepted)
    assert variables("messages") == "{}"  # it was not saved
    assert ledger(campaigns) == before
    with campaigns.engine.connect() as conn:
        rows = conn.execute(
            sa.text("SELECT requested_by, segment, locale, variant, phone, body, status FROM test_send")
        )
        assert [tuple(row) for row in rows] == [(OP, "BOOST", "es", "a", None, None, "accepted")]
    page.get_by_role("button", name="Take back all changes").click()
    page.get_by_role("link", name="Activity").click()
    happened = page.get_by_text("sent the text BOOST a in es to a phone for a test")
    expect(happened).to_be_visible()
    expect(page.get_by_text(accepted)).to_be_visible()


def ledger(campaigns: Campaigns) -> list[tuple[object, ...]]:
    with campaigns.engine.connect() as conn:
        query = "SELECT window_start, status, count(*) FROM message GROUP BY 1, 2 ORDER BY 1, 2"
        return [tuple(row) for row in conn.execute(sa.text(query))]


@as_op
def test_a_text_is_sent_with_the_keyboard_alone(watched: Watched, phones: None) -> None:
    page = opened(watched)
    button = card(page, 1).locator("[data-example]:visible").get_by_role("button", name="Send to me…")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Send this text to a phone?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Phone")).to_be_focused()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(dialog.get_by_role("button", name="Send", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Notifications")).to_contain_text(f"…{PHONE[-2:]} was accepted by")


@as_op
def test_without_a_phone_the_dialog_says_where_to_set_one(watched: Watched) -> None:
    page = opened(watched)
    card(page, 0).locator("[data-example]:visible").get_by_role("button", name="Send to me…").click()
    dialog = page.get_by_role("dialog", name="Send this text to a phone?")
    expect(dialog).to_contain_text("No phone is set.")
    expect(dialog.get_by_role("button", name="Send", exact=True)).to_have_count(0)
    dialog.get_by_role("link", name="Phones for test messages").click()
    expect(page.get_by_label("Phones for test messages")).to_be_visible()


@pytest.mark.parametrize("watched", [VIEWER, USER], indirect=True)
def test_who_may_not_set_the_texts_sees_them_and_sends_none(watched: Watched, phones: None) -> None:
    page = opened(watched)
    expect(card(page, 0).locator("[data-example]:visible .bubble")).to_contain_text("STOP")
    expect(page.get_by_role("button", name="Send to me…")).to_have_count(0)
    assert PHONE not in page.content()
    asked = """async () => (await fetch("send-test", { method: "POST", headers: { "Content-Type": "application/json" },
        body: "{}" })).status"""
    assert page.evaluate(asked) in {403, 422}
    watched.errors.clear()  # the browser counts that answer as one
