"""The addresses of pages, relative to each other."""

from __future__ import annotations

from urllib.parse import urlencode

from engage import formats
from engage.window import Window


def messages(window: Window, **filters: str | None) -> str:
    """The list of a window's messages, filtered by ``status``, ``reason``, ``segment`` or ``error_code``."""
    return _address("messages", window, filters)


def report(window: Window, **more: str | None) -> str:
    """A campaign's report."""
    return _address("report", window, more)


def approval(window: Window, **more: str | None) -> str:
    """The page on which a campaign's list is approved."""
    return _address("approval", window, more)


def _address(page: str, window: Window, more: dict[str, str | None]) -> str:
    given = {name: value for name, value in more.items() if value is not None}
    return f"{page}?{urlencode({'window_start': formats.iso_day(window.start)} | given)}"
