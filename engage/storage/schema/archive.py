"""What is in the archive, and who is to be erased from it."""

from __future__ import annotations

import sqlalchemy as sa

from engage.storage.schema.columns import metadata, moment

archived_log = sa.Table(
    "archived_log",
    metadata,
    sa.Column("log", sa.Text, nullable=False, comment="the raw log's name"),
    moment("window_start", nullable=False),
    moment("archived_at", nullable=False, comment="when it was archived first"),
    moment("dropped_at", comment="since when Postgres does not have the events any more"),
    moment("restored_at", comment="when the archive's events were last brought back"),
    sa.PrimaryKeyConstraint("log", "window_start"),
    comment="One row per window and raw log in the archive.",
)

archive_erasure = sa.Table(
    "archive_erasure",
    metadata,
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    moment("requested_at", nullable=False),
    sa.PrimaryKeyConstraint("customer_id", "requested_at"),
    comment="One row per forgotten customer whose events the archive may still hold. Deleted once it does not.",
)
