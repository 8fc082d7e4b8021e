"""A person at a real browser: how they come in, and what they see, kept as a picture if that is wanted.

With ENGAGE_SCREENSHOT_DIR=docs/images the pages are also saved as pictures there, for the documentation.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.sync_api import Page

from engage.local import stack
from tests.e2e.support import Airflow

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


def log_in(page: Page, airflow: Airflow) -> None:
    home = airflow.stack.home
    page.goto(home.url)
    page.get_by_label("Username").fill(stack.ADMIN)
    page.locator("input[type=password]").fill(home.secret("password"))
    page.get_by_role("button", name="Sign in").click()


def let_in(page: Page, airflow: Airflow, user: str = stack.ADMIN) -> None:
    """What the form of ``log_in`` leaves in the browser, without a page to load."""
    page.context.add_cookies([{"name": "_token", "value": airflow.token(user), "url": airflow.stack.home.url}])


def picture(page: Page, name: str) -> None:
    """Save the page where ENGAGE_SCREENSHOT_DIR says, if it does."""
    if folder := os.environ.get("ENGAGE_SCREENSHOT_DIR"):
        page.screenshot(path=Path(folder) / name, animations="disabled")
