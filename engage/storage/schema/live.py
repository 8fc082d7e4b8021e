"""The tables of the live window: what customers have done so far in the window that is still running.

They are kept apart from those of campaigns. Nothing that queues or sends messages reads them.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from engage.storage.schema.campaigns import customer_activity, customer_bucket
from engage.storage.schema.columns import metadata, moment

live_window = sa.Table(
    "live_window",
    metadata,
    sa.Column("window_start", sa.DateTime(timezone=True), primary_key=True),
    moment("as_of", nullable=False, comment="later events do not count"),
    sa.Column("settings", JSONB, nullable=False, comment="snapshot of the settings at as_of"),
    sa.Column("resolved", JSONB, nullable=False, comment="the numbers that shares of the customers became so far"),
    sa.Column("events", JSONB, nullable=False, comment="valid events so far, by kind"),
    sa.Column("customers", sa.BigInteger, nullable=False, comment="rows of live_activity"),
    sa.Column("total_spend_cents", sa.BigInteger, nullable=False, comment="of all customers so far, after refunds"),
    sa.Column("buckets", JSONB, nullable=False, comment="customers by segment so far"),
    sa.Column(
        "projection",
        JSONB(none_as_null=True),
        comment="counts at the window's end at the pace so far; null while too little of the window is over",
    ),
    sa.Column("guard", JSONB, nullable=False, comment="the guard's findings so far, which stop nothing"),
    sa.Column("scored", sa.Boolean, nullable=False, comment="whether live_activity has return scores"),
    sa.Column("seconds", sa.Double, nullable=False, comment="how long it took to compute"),
    comment="One row at most: the running window as computed last. Its campaign replaces it once the window is over.",
)


def _like(table: sa.Table, name: str, comment: str) -> sa.Table:
    """A table with the columns and partitions of a campaign's, so that a step's query can fill it."""
    found = table.to_metadata(metadata, name=name)
    found.primary_key.name = f"{name}_pkey"
    found.comment = comment
    return found


live_activity = _like(
    customer_activity,
    "live_activity",
    "One row per customer of the live window, as customer_activity will have it if nothing more happens.",
)
live_bucket = _like(
    customer_bucket,
    "live_bucket",
    "One row per customer of the live window: the segment so far. No message is made from it.",
)
