"""The raw logs of the app, and the record of accepted batches."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from engage.statuses import AppEventKind
from engage.storage.schema.columns import metadata, moment, one_of

app_session = sa.Table(
    "app_session",
    metadata,
    sa.Column("customer_id", sa.BigInteger),
    moment("started_at"),
    comment="One row per session of the app. A raw log: bad rows stay in it and are counted. Partitioned by "
    "started_at along the 8-week grid, then by hash of customer_id. No key or index, so that intake is fast.",
    postgresql_partition_by="RANGE (started_at)",
)

purchase = sa.Table(
    "purchase",
    metadata,
    sa.Column("customer_id", sa.BigInteger),
    moment("purchased_at"),
    sa.Column("amount_cents", sa.BigInteger),
    comment="One row per purchase. A raw log, partitioned like app_session, by purchased_at.",
    postgresql_partition_by="RANGE (purchased_at)",
)

app_event = sa.Table(
    "app_event",
    metadata,
    sa.Column("customer_id", sa.BigInteger),
    moment("occurred_at"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("item_id", sa.Text),
    one_of("kind", AppEventKind),
    comment="One row per other event of the app. A raw log, partitioned like app_session, by occurred_at.",
    postgresql_partition_by="RANGE (occurred_at)",
)

item = sa.Table(
    "item",
    metadata,
    sa.Column("item_id", sa.Text, primary_key=True, comment="as in app_event"),
    sa.Column("name", sa.Text, nullable=False),
    comment="One row per item of the app that has a readable name. Optional: a text shows other items by their id.",
)

EVENT_TIMES = {app_session: app_session.c.started_at, purchase: purchase.c.purchased_at}
"""The raw logs whose events a campaign's row counts, each with the column that holds the event's time."""
LOG_TIMES = EVENT_TIMES | {app_event: app_event.c.occurred_at}
"""All raw logs, each with the column that holds the event's time."""

FILE_KEY = "file "
"""How the idempotency key of a file of events begins. A client's key has no blank. A file's key never expires."""

intake_batch = sa.Table(
    "intake_batch",
    metadata,
    sa.Column("owner", sa.Text, nullable=False, comment="the client that sent it, as api_key.owner names it"),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False, comment="SHA-256 of the request"),
    moment("accepted_at", nullable=False),
    sa.Column("answer", JSONB, nullable=False, comment="the answer, which a repeated request gets again"),
    sa.PrimaryKeyConstraint("owner", "idempotency_key"),
    # rows arrive in order of time, so a small BRIN index finds the expired ones
    sa.Index("intake_batch_accepted_at_idx", "accepted_at", postgresql_using="brin"),
    comment="One row per accepted batch of events, written with its events. Expires after seven days.",
)
