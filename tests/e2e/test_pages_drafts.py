"""Texts that a model drafts, in a real browser: asked for, edited, approved, rejected, and sent by a campaign."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, expect

from tests.e2e.pages import Watched, violations
from tests.e2e.segments_page import Variables, as_op, card, opened
from tests.e2e.support import OP, USER, VIEWER, Airflow, Campaigns, past_window
from tests.llm_double import BRAND, KEY, MODEL, OFFER, TEXTS, LlmDouble, error, llm_double, written

SENT = past_window(0)
TOO_DEAR = "Taco Town gives 50% off everything tonight, friends. See tacotown.example for more."
MENDED = "Dinner plans? Taco Town has a table for you, and 10% off the next meal."


@as_op
def test_without_a_connection_a_line_says_how_to_add_it(watched: Watched, airflow: Airflow, computed: object) -> None:
    assert airflow.http.get("/api/v2/connections/engage_llm").status_code == 404
    page = opened(watched)
    expect(page.get_by_text("once Airflow has the connection engage_llm")).to_be_visible()
    expect(page.get_by_role("button", name="Propose texts")).to_have_count(0)


@pytest.fixture(scope="module")
def model(airflow: Airflow) -> Iterator[LlmDouble]:
    """A model, and Airflow's connection to it."""
    with llm_double() as double:
        connection = {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": double.port, "password": KEY}
        extra = json.dumps({"model": MODEL})
        airflow.request("POST", "connections", json={"connection_id": "engage_llm", "extra": extra, **connection})
        yield double
        airflow.request("DELETE", "connections/engage_llm")


@pytest.fixture
def drafts(
    model: LlmDouble, campaigns: Campaigns, set_variable: Callable[[str, str], None], variables: Variables
) -> Iterator[LlmDouble]:
    """No draft yet, and a chain with a name. The test's end brings the texts back."""
    model.asked.clear()
    set_variable("brand", BRAND)
    yield model
    with campaigns.engine.begin() as conn:
        for table in ("message_text", "text_proposal"):
            conn.execute(sa.text(f"DELETE FROM {table}"))


def dialog_of(page: Page, segment: str = "BOOST") -> Locator:
    """The drafts of a segment."""
    number = 0 if segment == "BOOST" else 1
    card(page, number).get_by_role("button", name=f"Propose texts for {segment}…").click()
    return page.get_by_role("dialog", name=f"Drafted texts for {segment}")


def asked(dialog: Locator, offer: str = OFFER, count: int = 8) -> Locator:
    dialog.get_by_label("Offer").fill(offer)
    dialog.get_by_label("Texts", exact=True).fill(str(count))
    dialog.get_by_role("button", name="Ask for texts").click()
    expect(dialog.get_by_role("button", name="Ask for texts")).to_be_enabled()
    return dialog


def draft(dialog: Locator, text: str) -> Locator:
    return dialog.locator("[data-draft]").filter(has_text=text)


@as_op
def test_drafts_are_asked_for_edited_approved_and_sent(
    watched: Watched, drafts: LlmDouble, airflow: Airflow, campaigns: Campaigns, variables: Variables
) -> None:
    watched.page.emulate_media(reduced_motion="reduce")
    drafts.answer = lambda one: written([*TEXTS[:3], TOO_DEAR])
    page = opened(watched)
    dialog = asked(dialog_of(page), count=4)
    expect(dialog.get_by_role("heading", name="3 drafts to decide on")).to_be_visible()
    refused = draft(dialog, "50% off everything")
    expect(refused).to_contain_text("It has “50%”, which the offer “10% off the next meal” does not have.")
    expect(refused).to_contain_text("“tacotown.example” reads as a link")
    expect(refused.get_by_role("button", name="Approve")).to_have_count(0)
    expect(draft(dialog, "Hungry again, Ada?").locator("mark")).to_have_text("Ada")
    assert violations(page) == []
    looks_right(page)

    refused.get_by_role("button", name="Edit").click()
    expect(refused.get_by_role("textbox")).to_be_focused()
    refused.get_by_role("textbox").fill(MENDED)
    refused.get_by_role("button", name="Check and keep").click()
    mended = draft(dialog, "Dinner plans?")
    expect(mended).to_contain_text(f"Edited by {OP}")
    assert (variables("messages"), texts_in(campaigns)) == ("{}", {"draft": 4})

    mended.get_by_role("button", name="Approve as text").click()
    expect(dialog).to_contain_text("Text b of BOOST is approved. The next campaign takes it.")
    draft(dialog, "on the grill").get_by_role("button", name="Reject draft").click()
    expect(dialog).to_contain_text("The draft is rejected.")
    assert json.loads(str(variables("messages"))) == {"BOOST": {"b": {"default": MENDED}}}
    assert texts_in(campaigns) == {"draft": 2, "approved": 1, "rejected": 1}
    dialog.get_by_role("button", name="Close").click()
    expect(card(page, 0).get_by_label("Text b for BOOST", exact=True)).to_have_value(MENDED)

    campaigns.remove(SENT)
    run = airflow.run(seed=True, customers=300, rng_seed=1, window_start=f"{SENT.start:%Y-%m-%d}", send_late=True)
    assert run.state == "success"
    bodies = {row[0] for row in campaigns.rows("SELECT body FROM message WHERE window_start = :at", at=SENT.start)}
    assert f"{MENDED} Reply STOP to opt out." in bodies
    unapproved = ("Hungry again", "is waiting", "on the grill", "50% off", "tacotown.example")
    assert [body for body in bodies if body and any(text in body for text in unapproved)] == []
    names = campaigns.rows("SELECT name FROM customer WHERE name IS NOT NULL LIMIT 20")
    assert len(drafts.asked) == 1
    assert [name for (name,) in names if name in drafts.asked[0].raw] == []
    campaigns.remove(SENT)


def looks_right(page: Page) -> None:
    """The drafts in light and dark, wide and narrow: axe-core finds nothing, and nothing is wider than the screen."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert violations(page) == []
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})


def texts_in(campaigns: Campaigns) -> dict[str, int]:
    return {str(row[0]): int(row[1]) for row in campaigns.rows("SELECT status, count(*) FROM message_text GROUP BY 1")}


@as_op
def test_drafts_are_asked_for_and_approved_with_the_keyboard_alone(
    watched: Watched, drafts: LlmDouble, variables: Variables
) -> None:
    drafts.answer = lambda one: written(TEXTS[:2])
    page = opened(watched)
    button = card(page, 1).get_by_role("button", name="Propose texts for REWARD…")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Drafted texts for REWARD")
    expect(dialog.get_by_label("Offer")).to_be_focused()
    page.keyboard.type(OFFER)
    page.keyboard.press("Enter")
    first = draft(dialog, "Hungry again").get_by_role("button", name="Approve as text")
    expect(first).to_be_visible()
    first.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("Text b of REWARD is approved.")
    expect(draft(dialog, "is waiting").get_by_role("button", name="Approve as text c")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    assert json.loads(str(variables("messages"))) == {"REWARD": {"b": {"default": TEXTS[0]}}}


@as_op
def test_an_approval_is_refused_after_another_users_change(
    watched: Watched, drafts: LlmDouble, variables: Variables, airflow: Airflow, campaigns: Campaigns
) -> None:
    drafts.answer = lambda one: written(TEXTS[:1])
    page = opened(watched)
    dialog = asked(dialog_of(page), count=1)
    expect(draft(dialog, "Hungry again")).to_be_visible()
    theirs = json.dumps({"BOOST": {"b": {"default": "A text of another user. Reply STOP to opt out."}}})
    airflow.set_variable("engage_messages", theirs)
    draft(dialog, "Hungry again").get_by_role("button", name="Approve as text").click()
    expect(dialog.get_by_role("alert")).to_contain_text("another user has changed")
    watched.errors.clear()  # the browser counts that answer as one
    assert (variables("messages"), texts_in(campaigns)) == (theirs, {"draft": 1})
    draft(dialog, "Hungry again").get_by_role("button", name="Approve as text").click()
    expect(dialog).to_contain_text("Text c of BOOST is approved.")
    assert set(json.loads(str(variables("messages")))["BOOST"]) == {"b", "c"}


@as_op
def test_a_model_that_fails_says_why_and_leaves_no_draft(
    watched: Watched, drafts: LlmDouble, campaigns: Campaigns
) -> None:
    drafts.answer = lambda one: error(401, f"Incorrect API key provided: {KEY}")
    page = opened(watched)
    dialog = asked(dialog_of(page))
    expect(dialog.get_by_role("alert")).to_contain_text("refuses the key of the connection engage_llm (401)")
    assert (len(drafts.asked), texts_in(campaigns)) == (1, {})
    assert KEY not in page.content()


@pytest.mark.parametrize("watched", [VIEWER, USER], indirect=True)
def test_who_may_not_set_the_texts_sees_no_drafts(watched: Watched, model: LlmDouble) -> None:
    page = opened(watched)
    expect(page.get_by_role("button", name="Propose texts")).to_have_count(0)
    expect(page.get_by_text("engage_llm")).to_have_count(0)
    assert page.locator("#drafts-dialog").count() == 0
