"""The shares of the customers that settings ask for, resolved in a window: ``lowest 20%`` becomes a number."""

from __future__ import annotations

import sqlalchemy as sa

from engage.campaigns import order_statistics
from engage.segments import Relative, Resolved, share_words
from engage.settings import Settings
from engage.window import Window


def resolve(
    conn: sa.Connection,
    rows: sa.Table,
    window: Window,
    settings: Settings,
    *,
    customers: int,
    used: Settings | None = None,
) -> dict[str, Resolved]:
    """What each share of ``settings.shares`` becomes among the window's ``customers``, whose activity is ``rows``.

    It is a function of the activity and the settings alone, so that a step that runs again finds the same numbers.
    ``used``: the settings that put these customers in segments, whose numbers need not be found again.
    """
    found: dict[tuple[str, Relative], Resolved] = {}
    if used:
        known = {name: one for name, one in used.shares.items() if name in used.resolved}
        found = {(one.field, one.relative): used.resolved[name] for name, one in known.items()}
    for one in settings.shares.values():
        asked = (one.field, one.relative)
        if asked not in found:
            found[asked] = order_statistics.resolve(conn, rows, window.end, *asked, customers=customers)
    return {name: found[one.field, one.relative] for name, one in settings.shares.items()}


def in_words(settings: Settings) -> str:
    """What each share became, as sentences; empty without one. The settings have all numbers."""
    found = ((name, share_words.sentences(one, settings.resolved[name])) for name, one in settings.shares.items())
    return " ".join(f"{name}: {words}" for name, words in found)
