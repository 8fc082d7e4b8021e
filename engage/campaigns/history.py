"""A customer's history over windows: what each window carries on from the window before it.

A window's sums are its own counts and the sums of the window before. So each window reads one window, however many
there are. A window whose customers are in no segments ends the chain: the next one knows only itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.campaigns import campaign
from engage.storage import partitions
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import customer_activity, customer_bucket
from engage.window import Window

CARRIED_ON = (
    "last_session_at",
    "first_purchase_at",
    "last_purchase_at",
    "previous_total_spend_cents",
    "previous_sessions",
    "previous_segment",
)
"""Columns of ``customer_activity`` with what the window before knows of a customer."""
SUMS = ("purchases_to_date", "spend_3_windows_cents", "sessions_3_windows", "windows_active")
"""Columns of ``customer_activity`` that add up windows."""
COLUMNS = (*CARRIED_ON, *SUMS)


@dataclass(frozen=True)
class Own:
    """What a customer did in a window itself, as columns of a query. A time is null if nothing happened."""

    sessions: sa.ColumnElement[int]
    purchases: sa.ColumnElement[int]
    total_spend_cents: sa.ColumnElement[int]
    last_session_at: sa.ColumnElement[datetime]
    first_purchase_at: sa.ColumnElement[datetime]
    last_purchase_at: sa.ColumnElement[datetime]

    @property
    def active(self) -> sa.ColumnElement[int]:
        """1 with a session or a purchase, or else 0."""
        return sa.cast(sa.case((sa.or_(self.sessions > 0, self.purchases > 0), 1), else_=0), sa.BigInteger)


def own_of(rows: sa.FromClause, window: Window) -> Own:
    """The window's own part of its rows of ``customer_activity``.

    The first purchase of the window is not kept beside an earlier one. If the windows before turn out to have none,
    the earlier one stays.
    """
    within = {
        name: sa.case((rows.c[name] >= window.start, rows.c[name])) for name in ("last_session_at", "last_purchase_at")
    }
    first = sa.case((rows.c.purchases > 0, rows.c.first_purchase_at))
    return Own(rows.c.sessions, rows.c.purchases, rows.c.total_spend_cents, first_purchase_at=first, **within)


def known(own: Own, earlier: sa.FromClause | None) -> list[sa.ColumnElement[Any]]:
    """The columns ``CARRIED_ON`` of a window. ``earlier`` is what ``before`` gives, joined, or None."""
    found: list[sa.ColumnElement[Any]]
    if earlier is None:
        nothing = (sa.cast(sa.null(), kind) for kind in (sa.BigInteger, sa.BigInteger, sa.Text))
        found = [own.last_session_at, own.first_purchase_at, own.last_purchase_at, *nothing]
    else:
        found = [
            sa.func.coalesce(own.last_session_at, earlier.c.last_session_at),
            sa.func.coalesce(earlier.c.first_purchase_at, own.first_purchase_at),
            sa.func.coalesce(own.last_purchase_at, earlier.c.last_purchase_at),
            earlier.c.total_spend_cents,
            earlier.c.sessions,
            earlier.c.bucket,
        ]
    return [column.label(name) for column, name in zip(found, CARRIED_ON, strict=True)]


def sums(own: Own, earlier: sa.FromClause | None) -> list[sa.ColumnElement[int]]:
    """The columns ``SUMS`` of a window, as ``known``."""

    def plus(count: sa.ColumnElement[int], *names: str) -> sa.ColumnElement[int]:
        handed_on = [sa.func.coalesce(earlier.c[name], 0) for name in names] if earlier is not None else []
        return sum(handed_on, start=count)

    found = [
        plus(own.purchases, "purchases_to_date"),
        plus(own.total_spend_cents, "total_spend_cents", "previous_total_spend_cents"),
        plus(own.sessions, "sessions", "previous_sessions"),
        plus(own.active, "windows_active"),
    ]
    return [column.label(name) for column, name in zip(found, SUMS, strict=True)]


def before(conn: sa.Connection, window: Window) -> sa.Subquery | None:
    """What the window before hands on, one row per customer; None if its customers are in no segments."""
    previous = window.previous()
    if campaign.settings_of_results(conn, previous) is None:  # its rows, if it has any, are out of date
        return None
    rows = partitions.find(conn, customer_activity, previous)
    segments = partitions.find(conn, customer_bucket, previous)
    if rows is None or segments is None:
        return None
    source: sa.FromClause = rows.join(segments, segments.c.customer_id == rows.c.customer_id)
    handed_on: dict[str, sa.ColumnElement[Any]] = {name: rows.c[name] for name in COLUMNS}
    if _keeps(conn, previous):
        added_up = anew(rows, previous, before(conn, previous))
        source = source.join(added_up, added_up.c.customer_id == rows.c.customer_id)
        handed_on = {name: added_up.c[name] for name in COLUMNS}
    if without_sums(conn, previous):  # its own counts are the known part
        own = own_of(rows, previous)
        handed_on["purchases_to_date"] = sa.func.coalesce(handed_on["purchases_to_date"], own.purchases)
        handed_on["windows_active"] = sa.func.coalesce(handed_on["windows_active"], own.active)
    theirs = (rows.c.customer_id, rows.c.total_spend_cents, rows.c.sessions, segments.c.bucket)
    values = (column.label(name) for name, column in handed_on.items())
    return sa.select(*theirs, *values).select_from(source).subquery("before")


def anew(rows: sa.Table, window: Window, earlier: sa.FromClause | None) -> sa.Subquery:
    """``customer_id`` and the ``COLUMNS`` of a computed window, from its own counts and what ``before`` gives."""
    own = own_of(rows, window)
    source: sa.FromClause = rows
    if earlier is not None:
        source = rows.outerjoin(earlier, earlier.c.customer_id == rows.c.customer_id)
    columns = (*known(own, earlier), *sums(own, earlier))
    return sa.select(rows.c.customer_id, *columns).select_from(source).subquery("anew")


def without_sums(conn: sa.Connection, window: Window) -> bool:
    """Whether a version before 0026 computed the window. One row shows it."""
    if (rows := partitions.find(conn, customer_activity, window)) is None:
        return False
    found = conn.execute(sa.select(rows.c.purchases_to_date).limit(1)).first()
    return found is not None and found.purchases_to_date is None


def _keeps(conn: sa.Connection, window: Window) -> bool:
    """Whether the window's rows keep the history that decided them, so that it has to be added up anew."""
    query = sa.select(campaign_table.c.history_kept).where(campaign_table.c.window_start == window.start)
    return bool(conn.execute(query).scalar_one())
