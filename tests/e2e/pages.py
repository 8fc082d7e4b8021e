"""Engage's pages in a browser: the campaigns that tests look at, what a page asked for, and what axe-core finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Page, Request

from engage.formats import days
from tests.e2e.browser import PATIENCE_MS, let_in, picture
from tests.e2e.support import Airflow, past_window

WINDOW = past_window(7)
"""The window of the fixture ``computed``."""
START = f"{WINDOW.start:%Y-%m-%d}"
DATES = days(WINDOW.start, WINDOW.end)
SENT = f"{WINDOW.previous().start:%Y-%m-%d}"
"""The start of the campaign before, which was sent."""
WAITING = WINDOW.previous().previous()
"""The window of a campaign whose messages wait."""
WAITS = f"{WAITING.start:%Y-%m-%d}"
EVIL = "<script>document.title='owned'</script></script><img src=x onerror=\"document.title='owned'\">"
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Watched:
    """A browser page, and everything that it asked for or complained of."""

    def __init__(self, page: Page, airflow: Airflow) -> None:
        self.page, self.home = page, airflow.stack.home
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "/engage/" in json.dumps(message.location):
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.home.url, "data:", "blob:", "about:")):
            self.elsewhere.append(request.url)

    @property
    def frame(self) -> FrameLocator:
        """Engage's page inside Airflow's."""
        return self.page.frame_locator("iframe")

    def open_at(self, address: str, width: int) -> Page:
        """Open one of Engage's pages at a width."""
        self.page.set_viewport_size({"width": width, "height": 1000})
        self.page.goto(f"{self.home.url}/engage/{address}")
        return self.page

    def open_campaigns(self) -> None:
        """Go where the link in the navigation leads."""
        self.page.goto(f"{self.home.url}/plugin/engage")


@contextmanager
def watching(
    browser: Browser, airflow: Airflow, user: str, theme: Literal["light", "dark"] = "light"
) -> Iterator[Watched]:
    """A browser page in which the user is logged in. It may ask no other host by the end of the block."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US", color_scheme=theme)
    page.set_default_timeout(PATIENCE_MS)
    found = Watched(page, airflow)
    let_in(page, airflow, user)
    yield found
    page.close()
    assert found.elsewhere == []


def violations(page: Page) -> list[str]:
    """What axe-core finds on the page outside of frames, each with the first place."""
    page.evaluate(AXE)
    options: dict[str, Any] = {"runOnly": RULES, "iframes": False}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary']}" for one in found]


def both_themes(page: Page, name: str, height: int) -> None:
    """Save the page in light and in dark, as high as there is something to see."""
    page.set_viewport_size({"width": 1280, "height": height})
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function("theme => document.documentElement.classList.contains(theme)", arg=theme)
        picture(page, f"{name}-{theme}.png")
    page.emulate_media(color_scheme="light")
