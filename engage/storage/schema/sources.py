"""How far each source of events is read."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from engage.storage.schema.columns import metadata, moment

source_pull = sa.Table(
    "source_pull",
    metadata,
    sa.Column("source", sa.Text, nullable=False, comment="the connection's name"),
    sa.Column("kind", sa.Text, nullable=False, comment="the events' type, as over HTTP"),
    moment("window_start", nullable=False),
    sa.Column("part", sa.Text, nullable=False, comment="the first day of a slice of a query, or a file's name"),
    sa.Column("version", sa.Text, nullable=False, comment="changes with the file, or with the query"),
    sa.Column("counted", sa.BigInteger, nullable=False, comment="rows that the source itself counts"),
    sa.Column("rows_read", sa.BigInteger, nullable=False, comment="by the last reading"),
    sa.Column("stored", sa.BigInteger, nullable=False, comment="rows that became events, by all readings"),
    sa.Column("outside", sa.BigInteger, nullable=False, comment="rows of another time than the window's"),
    sa.Column("rejected", JSONB, nullable=False, comment="rows that are no right event, by reason"),
    moment("first_at", comment="the earliest time in it"),
    moment("last_at", comment="the latest time in it"),
    moment("began_at", nullable=False, comment="when its first reading began"),
    moment("finished_at", comment="when its last reading was complete; null if it was broken off"),
    sa.PrimaryKeyConstraint("source", "kind", "window_start", "part"),
    comment="One row per window and part of a source of events: how far it is read. Each chunk of rows is written "
    "in one transaction with its event ids and this row.",
)
