"""The page ``/docs`` of the HTTP service in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from engage.service import api_keys
from engage.statuses import ApiScope
from tests.e2e.pages import violations
from tests.e2e.support import Airflow


@pytest.fixture
def key(airflow: Airflow) -> str:
    """An API key that may see the page."""
    with airflow.stack.database() as engine, engine.begin() as conn:
        return api_keys.create(conn, "a browser", [ApiScope.READ], 0, as_of=datetime.now(UTC))


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_accessible_and_asks_no_other_host(
    browser: Browser, airflow: Airflow, key: str, theme: str, width: int
) -> None:
    home = airflow.stack.home
    page = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme=theme,
        http_credentials={"username": "any", "password": key},
    )
    asked, errors = watched(page)
    answer = page.goto(f"{home.service_url}/docs")
    assert answer is not None
    assert answer.status == 200
    expect(page.get_by_role("heading", level=1)).to_have_text("Engage: HTTP API")
    assert page.evaluate("getComputedStyle(document.querySelector('pre')).borderRadius") == "8px"  # the style is let in
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    page.get_by_role("navigation").get_by_role("link", name="Opt a customer out").click()
    expect(page.get_by_role("heading", name="Opt a customer out")).to_be_in_viewport()
    page.close()
    assert {url.removeprefix(home.service_url).partition("#")[0] for url in asked} == {"/docs"}
    assert errors == []


def test_the_page_can_be_used_from_the_keyboard(browser: Browser, airflow: Airflow, key: str) -> None:
    page = browser.new_page(http_credentials={"username": "any", "password": key})
    page.goto(f"{airflow.stack.home.service_url}/docs")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="openapi.json")).to_be_focused()
    page.close()


def watched(page: Page) -> tuple[list[str], list[str]]:
    """The addresses that a page asks for, and the errors in its console. Both lists grow."""
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    return asked, errors
