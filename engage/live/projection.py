"""The projection of a running window: each customer's numbers at its end, if all goes on at the pace so far."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.storage.schema import live_activity
from engage.window import LENGTH, WEEKS, Window

PROJECTED = live_activity.to_metadata(sa.MetaData(), name="live_projection")
"""The projected customers. The table exists only while they are counted."""

_OF_THE_WINDOW = ("sessions", "purchases", "total_spend_cents", "viewed", "liked", "added_to_basket", "refunded_cents")
"""Counts and amounts of the window alone."""
_SUMS = {
    "purchases_to_date": "purchases",
    "spend_3_windows_cents": "total_spend_cents",
    "sessions_3_windows": "sessions",
}
"""Sums over windows, each with its part of this window."""
_RECENT = ("last_session_at", "last_purchase_at")


def rows(so_far: sa.Table, window: Window, as_of: datetime) -> sa.Select[tuple[object, ...]]:
    """``so_far``, which is like ``live_activity``, with every customer's numbers as they will be at the window's end.

    What the window counts is multiplied by its length and divided by the time that is over, and rounded. The part of
    earlier windows in a sum stays. The last session and the last purchase keep their distance: as long before the
    window's end as they are before ``as_of`` now. All else stays: the windows before, the return score, and the number
    of active windows.
    """
    factor = sa.literal(LENGTH / (as_of - window.start), sa.Double)
    left = sa.literal(window.end - as_of, sa.Interval)

    def scaled(name: str) -> sa.ColumnElement[int]:
        return sa.cast(sa.func.round(sa.cast(so_far.c[name], sa.Double) * factor), sa.BigInteger)

    changed: dict[str, sa.ColumnElement[Any]] = {name: scaled(name) for name in _OF_THE_WINDOW}
    changed["avg_weekly_sessions"] = sa.cast(scaled("sessions"), sa.Double) / sa.literal(float(WEEKS), sa.Double)
    changed |= {name: so_far.c[name] - so_far.c[own] + scaled(own) for name, own in _SUMS.items()}
    changed |= {name: so_far.c[name] + left for name in _RECENT}
    return sa.select(*(changed.get(column.name, column).label(column.name) for column in so_far.c))
