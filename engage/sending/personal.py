"""What a personal text says of its recipient: the columns to read, and the placeholders' values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from engage.storage.schema import customer, customer_activity, item
from engage.texts import template
from engage.window import Window


def columns(
    favourite_item: sa.ColumnElement[str | None], activity: sa.FromClause = customer_activity
) -> tuple[sa.ColumnElement[Any], ...]:
    """What to read of a customer joined with the window's row of ``activity``, and the favourite's id."""
    name = sa.select(item.c.name).where(item.c.item_id == favourite_item).scalar_subquery()
    return (
        customer.c.name,
        activity.c.total_spend_cents,
        activity.c.avg_weekly_sessions,
        activity.c.purchases,
        activity.c.last_purchase_at,
        sa.func.coalesce(name, favourite_item).label("favourite_item"),
    )


COLUMNS = columns(customer_activity.c.favourite_item)


def values(row: Any, window: Window, offer_code: str) -> dict[str, str]:
    """Each placeholder's value for a row with ``COLUMNS``; a preview has a sample for ``offer_code``."""
    last = row.last_purchase_at
    return template.values(
        row.name,
        total_spend_cents=row.total_spend_cents,
        avg_weekly_sessions=row.avg_weekly_sessions,
        purchases=row.purchases,
        days_since_last_purchase=None if last is None else (window.end - last) // timedelta(days=1),
        favourite_item=row.favourite_item,
        offer_code=offer_code,
    )
