"""The customers of a window in their segments: by its campaign or, while the window is running, so far.

Reports and pages that try out rules read customers through this. What queues or sends messages never does: it reads the
tables of campaigns.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from engage.campaigns import campaign, live_window
from engage.settings import Settings
from engage.storage import partitions
from engage.storage.schema import customer_activity, live_activity
from engage.window import Window


@dataclass(frozen=True)
class WindowCustomers:
    """A window whose customers are in segments. ``settings``: by which they are, with the numbers of their shares."""

    rows: sa.Table
    """Like ``customer_activity``."""
    settings: Settings
    customers: int
    scored: bool
    """Whether the rows have return scores."""
    live: bool
    """Whether the window is still running, so that these are its numbers so far."""


def find(conn: sa.Connection, window: Window) -> WindowCustomers | None:
    """The window's customers; None if they are in no segments."""
    found = campaign.find(conn, window)
    if found and found.settings and found.buckets is not None:
        rows = partitions.of(customer_activity, window)
        scored = found.model_id is not None
        return WindowCustomers(rows, found.settings, found.customers or 0, scored, live=False)
    so_far = live_window.find(conn)
    if so_far is None or so_far.window != window:
        return None
    rows = partitions.of(live_activity, window)
    return WindowCustomers(rows, so_far.settings, so_far.customers, so_far.scored, live=True)


def rows(conn: sa.Connection, window: Window) -> sa.Table:
    """The activity of the window's customers, which a campaign or the live window has computed."""
    found = find(conn, window)
    return found.rows if found else partitions.of(customer_activity, window)
