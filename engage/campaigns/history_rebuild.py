"""Compute again what each window carries on from the windows before it, window by window.

It reads the results of campaigns alone, so it works long after the events are deleted. The result is what ``aggregate``
would carry on if every window were computed in order. A campaign whose customers are in segments keeps the columns that
its rules compare, as they explain the segments; one whose customers have a return score keeps all of them, as they
explain the score. The windows after it add up anew (``campaign.history_kept``). An open
campaign gets all columns when it is computed anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from engage.campaigns import campaign, history
from engage.campaigns.campaign import Campaign
from engage.segments import FIELDS
from engage.storage import connection, partitions
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import customer_activity
from engage.window import Window

_COLUMNS = {name: field.column for name, field in FIELDS.items()} | {"spend_change": "previous_total_spend_cents"}


@dataclass(frozen=True)
class RebuiltWindow:
    """How many customers of a window have new numbers, and how many keep older ones, which decided their segment."""

    window: Window
    changed: int
    kept: int


def rebuild(engine: sa.Engine, start: Window | None = None) -> Iterator[RebuiltWindow]:
    """Recompute the windows from ``start`` on, by default all, in order. Each is one transaction; twice is as once.

    It takes turns with the steps of each campaign. A window that no ``aggregate`` has computed is left out.
    """
    window = _first(engine, campaign_table.c.window_start >= start.start if start else sa.true())
    while window is not None:
        if (done := _rebuild(engine, window)) is not None:
            yield done
        window = _first(engine, campaign_table.c.window_start > window.start)


def _first(engine: sa.Engine, condition: sa.ColumnElement[bool]) -> Window | None:
    """The first window with a campaign and this condition. A run may have opened it a moment ago."""
    with engine.connect() as conn:
        found = conn.execute(sa.select(sa.func.min(campaign_table.c.window_start)).where(condition)).scalar_one()
    return Window(found) if found else None


def _rebuild(engine: sa.Engine, window: Window) -> RebuiltWindow | None:
    with engine.begin() as conn:
        connection.tune(conn)
        found = campaign.locked(conn, window)
        campaign.hold_results(conn, window.previous())
        rows = partitions.find(conn, customer_activity, window)
        if found.customers is None or rows is None:
            return None
        keeps = _deciding(found)
        anew = history.anew(rows, window, history.before(conn, window))
        changed = _write(conn, rows, anew, [name for name in history.COLUMNS if name not in keeps])
        kept = _differing(conn, rows, anew, sorted(keeps)) if keeps else 0
        campaign.update(conn, window, history_kept=kept > 0)
        return RebuiltWindow(window, changed, kept)


def _deciding(found: Campaign) -> set[str]:
    """The carried on columns that decided scores, or segments."""
    if found.model_id is not None:
        return set(history.COLUMNS)
    if found.buckets is None or found.settings is None:
        return set()
    named = (one.field for segment in found.settings.segments.segments for one in segment.conditions())
    return {_COLUMNS[name] for name in named} & set(history.COLUMNS)


def _write(conn: sa.Connection, rows: sa.Table, anew: sa.Subquery, names: list[str]) -> int:
    """Write the columns into the rows in which one of them differs; returns the number of these rows.

    Rows that stay as they are cost no write. So a second rebuild is one comparison.
    """
    if not names:
        return 0
    same = rows.c.customer_id == anew.c.customer_id
    values = {name: anew.c[name] for name in names}
    return conn.execute(sa.update(rows).values(values).where(same, _differ(rows, anew, names))).rowcount


def _differing(conn: sa.Connection, rows: sa.Table, anew: sa.Subquery, names: list[str]) -> int:
    same = rows.c.customer_id == anew.c.customer_id
    query = sa.select(sa.func.count()).select_from(rows.join(anew, same)).where(_differ(rows, anew, names))
    return conn.execute(query).scalar_one()


def _differ(rows: sa.Table, anew: sa.Subquery, names: list[str]) -> sa.ColumnElement[bool]:
    return sa.or_(*(rows.c[name].is_distinct_from(anew.c[name]) for name in names))
