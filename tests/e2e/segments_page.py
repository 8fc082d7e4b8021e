"""The page *Segments* as its browser tests open, read and use it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from tests.e2e.pages import START, Watched
from tests.e2e.support import OP

as_op = pytest.mark.parametrize("watched", [OP], indirect=True)
OWN = ("segments", "messages", "lapsing_days_threshold", "message_lapsing", "message_quiet")
LAPSING = {
    "segments": [
        {
            "name": "LAPSING",
            "when": [
                "days_since_last_purchase > lapsing_days_threshold",
                {"any": ["liked > 0", "added_to_basket > 0"]},
            ],
        },
        {"name": "BOOST", "when": ["total_spend < low_spend_threshold"]},
        {"name": "REWARD", "when": ["avg_weekly_sessions > high_activity_threshold"]},
    ],
    "otherwise": "NONE",
}
Variables = Callable[[str], str | None]
FOCUSED = "document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"


def opened(watched: Watched) -> Page:
    watched.page.goto(f"{watched.home.url}/engage/segments?window_start={START}")
    expect(watched.page.get_by_role("heading", name="Segments", level=1)).to_be_visible()
    expect(watched.page.get_by_text("may be texted").first).to_be_visible()  # the last answer
    return watched.page


def card(page: Page | FrameLocator, number: int) -> Locator:
    return page.locator("[data-segment]").nth(number)


def names(page: Page | FrameLocator) -> list[str]:
    return [one.input_value() for one in page.locator("[data-segment] [data-name]").all()]


def set_button(page: Page | FrameLocator) -> Locator:
    return page.get_by_role("button", name="Set for the next campaign")


def seen(page: Page | FrameLocator) -> dict[str, str]:
    return {str(one.get_attribute("data-then")): one.inner_text() for one in page.locator("[data-then]").all()}


def draft(page: Page) -> object:
    """The rules as the page's JSON shows them."""
    page.get_by_role("button", name="Paste or copy as JSON").click()
    text = page.get_by_label("Copy these rules, or paste others").input_value()
    page.keyboard.press("Escape")
    return json.loads(text)


def drag_to_the_top(page: Page, frame: Page | FrameLocator, dragged: Locator) -> None:
    """Drag a segment by its handle until it is the first one. Near its edge the page scrolls."""
    name = dragged.locator("[data-name]").input_value()
    grip = dragged.locator(".grip")
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    top = frame.locator("#main").evaluate("main => window.frameElement?.getBoundingClientRect().top ?? 0")
    for step in range(200):
        if names(frame)[0] == name:
            break
        page.mouse.move(box["x"] + 5 + step % 2, top + 20)
    page.mouse.up()
    assert names(frame)[0] == name


def saved(page: Page) -> None:
    set_button(page).click()
    page.get_by_role("dialog").get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("Saved: ")
