"""The tables, as SQLAlchemy Core metadata. Each one's ``comment`` says its grain: what one row stands for.

Money is integer cents. Every time is ``timestamptz``, written and read as UTC.
Migrations build these tables; a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from engage.statuses import (
    ApiScope,
    AppEventKind,
    ApprovalState,
    CampaignStatus,
    MessageStatus,
    ProviderFact,
    SuppressionReason,
    TextClass,
)

metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


def _one_of(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    """The check that a column holds one of an enum's values."""
    return sa.CheckConstraint(f"{column} IN {tuple(value.value for value in values)!r}", name=column)


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


customer = sa.Table(
    "customer",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    _time("registered_at", nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("phone", sa.Text, comment="E.164, or null"),
    sa.Column("phone_hash", sa.LargeBinary, comment="HMAC of phone under ENGAGE_HASH_KEY; null with it"),
    sa.Column("locale", sa.Text),
    sa.Column("time_zone", sa.Text, comment="IANA name"),
    _time("consent_at"),
    sa.Column("consent_source", sa.Text),
    _time("opted_out_at"),
    sa.Column("synthetic", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.CheckConstraint("(phone IS NULL) = (phone_hash IS NULL)", name="phone_hash"),
    sa.CheckConstraint(r"phone ~ '^\+[1-9][0-9]{1,14}$'", name="phone"),
    # an opt-out belongs to a phone; few customers have one
    sa.Index("customer_opted_out_phone_hash_idx", "phone_hash", postgresql_where=sa.text("opted_out_at IS NOT NULL")),
    comment="One row per customer.",
)

suppression = sa.Table(
    "suppression",
    metadata,
    sa.Column("phone_hash", sa.LargeBinary, primary_key=True),
    sa.Column(
        "reason", sa.Text, nullable=False, comment="stop: they said so; provider: it refuses; erasure: forgotten"
    ),
    sa.Column("source", sa.Text, nullable=False, comment="how Engage learnt of it"),
    _time("suppressed_at", nullable=False),
    _one_of("reason", SuppressionReason),
    comment="One row per phone that is never texted again. It outlives the customer's row, and holds no number.",
)

app_session = sa.Table(
    "app_session",
    metadata,
    sa.Column("customer_id", sa.BigInteger),
    _time("started_at"),
    comment="One row per opening of the app. A raw log: bad rows stay in it and are counted. Partitioned by "
    "started_at along the 8-week grid, then by hash of customer_id. No key, no index: see docs/decisions.",
    postgresql_partition_by="RANGE (started_at)",
)

purchase = sa.Table(
    "purchase",
    metadata,
    sa.Column("customer_id", sa.BigInteger),
    _time("purchased_at"),
    sa.Column("amount_cents", sa.BigInteger),
    comment="One row per purchase. A raw log, partitioned as app_session is, by purchased_at.",
    postgresql_partition_by="RANGE (purchased_at)",
)

app_event = sa.Table(
    "app_event",
    metadata,
    sa.Column("customer_id", sa.BigInteger),
    _time("occurred_at"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("item_id", sa.Text),
    _one_of("kind", AppEventKind),
    comment="One row per other event of the app. A raw log, partitioned as app_session is, by occurred_at. "
    "No campaign reads it yet.",
    postgresql_partition_by="RANGE (occurred_at)",
)

EVENT_TIMES = {app_session: app_session.c.started_at, purchase: purchase.c.purchased_at}
"""The tables of events that a campaign counts, and the column of each that says when the event happened."""
LOG_TIMES = EVENT_TIMES | {app_event: app_event.c.occurred_at}
"""As ``EVENT_TIMES``, of all raw logs."""

campaign = sa.Table(
    "campaign",
    metadata,
    sa.Column("window_start", sa.DateTime(timezone=True), primary_key=True),
    _time("window_end", nullable=False),
    sa.Column("run_id", sa.Text, comment="the Airflow run that computed it last, or 'cli'"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("settings", JSONB, nullable=False, comment="snapshot of the settings that extract took"),
    sa.Column("events", JSONB, nullable=False, comment="valid events in the window, by kind"),
    sa.Column("rejected", JSONB, nullable=False, comment="events not counted, by reason"),
    sa.Column("customers", sa.BigInteger, comment="rows of customer_activity"),
    sa.Column("buckets", JSONB, comment="customers by bucket"),
    sa.Column("timings", JSONB, nullable=False, server_default=sa.text("'{}'"), comment="seconds by step"),
    _time("opened_at", nullable=False),
    _time("frozen_at"),
    _time("finished_at"),
    _time("halted_at"),
    sa.Column("halted_by", sa.Text),
    sa.Column("halted_why", sa.Text),
    _time("resumed_at"),
    sa.Column("sender_token", sa.Integer, nullable=False, server_default="0", comment="fences senders"),
    sa.Column("guard", JSONB, comment="what the guard found, and the run that was told to ignore it"),
    sa.Column("approval", sa.Text, comment="whether somebody was asked to approve of its messages, and the answer"),
    _time("approval_at"),
    sa.Column("approval_by", sa.Text, comment="who answered; null for a time-out"),
    sa.Column(
        "asked",
        JSONB,
        nullable=False,
        server_default=sa.text("'{}'"),
        comment="runs that have asked for approval, and when the list that each asked about was made",
    ),
    sa.Column(
        "told_at",
        sa.DateTime(timezone=True),
        comment="up to when alerts have reported unknown outcomes and the brake",
    ),
    _one_of("status", CampaignStatus),
    _one_of("approval", ApprovalState),
    comment="One row per window that a run has opened.",
)

customer_activity = sa.Table(
    "customer_activity",
    metadata,
    _time("window_start", nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("sessions", sa.BigInteger, nullable=False),
    sa.Column("purchases", sa.BigInteger, nullable=False),
    sa.Column("total_spend_cents", sa.BigInteger, nullable=False),
    sa.Column("avg_weekly_sessions", sa.Double, nullable=False),
    sa.PrimaryKeyConstraint("customer_id", "window_start"),
    comment="One row per window and customer registered before its end, zeros included.",
    postgresql_partition_by="LIST (window_start)",
)

customer_bucket = sa.Table(
    "customer_bucket",
    metadata,
    _time("window_start", nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("total_spend_cents", sa.BigInteger, nullable=False, comment="the value compared, in cents"),
    sa.Column("avg_weekly_sessions", sa.Double, nullable=False, comment="the value compared"),
    sa.PrimaryKeyConstraint("customer_id", "window_start"),
    comment="One row per window and customer: the bucket, and the values that put it there. "
    "The thresholds they were compared with are in campaign.settings.",
    postgresql_partition_by="LIST (window_start)",
)

message = sa.Table(
    "message",
    metadata,
    _time("window_start", nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, comment="why a message is skipped; null for all others"),
    sa.Column("phone_hash", sa.LargeBinary),
    sa.Column("provider", sa.Text),
    sa.Column("provider_message_id", sa.Text),
    sa.Column("sender_token", sa.Integer, comment="campaign.sender_token of the sender that claimed it"),
    sa.Column("body", sa.Text, comment="the text as handed to the provider"),
    sa.Column("segments", sa.SmallInteger, comment="how many the provider charges for the body"),
    sa.Column("error", sa.Text, comment="what went wrong; holds no phone number"),
    sa.Column("error_code", sa.Integer, comment="the provider's own number for it"),
    sa.Column("fact", sa.Text, comment="why it did not arrive, whatever the provider's number for it"),
    _time("queued_at", nullable=False),
    _time("sending_at"),
    _time("unknown_at"),
    _time("accepted_at"),
    _time("sent_at"),
    _time("settled_at"),  # delivered, undelivered, failed or skipped
    sa.Column("settled_by", sa.Text, comment="the person who settled an unknown one"),
    sa.Column("settled_why", sa.Text),
    sa.PrimaryKeyConstraint("customer_id", "window_start"),
    _one_of("status", MessageStatus),
    _one_of("fact", ProviderFact),
    sa.CheckConstraint("(status = 'skipped') = (reason IS NOT NULL)", name="reason"),
    # "not skipped", said through `reason`: an index that reads `status` would be written to with every change of it,
    # even of rows whose next state finds room beside them (heap-only)
    sa.Index(
        "message_phone_hash_window_start_idx",
        "phone_hash",
        "window_start",
        unique=True,
        postgresql_where=sa.text("reason IS NULL"),
    ),
    comment="The ledger: one row per window and customer in a bucket that is texted. One phone, one message.",
    postgresql_partition_by="LIST (window_start)",
)

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True, comment="the part of the key that is no secret"),
    sa.Column("name", sa.Text, nullable=False, comment="who uses it"),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False, comment="SHA-256 of the whole key"),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False),
    sa.Column("requests_per_second", sa.Integer, nullable=False, comment="0 is no limit"),
    _time("created_at", nullable=False),
    _time("revoked_at"),
    sa.CheckConstraint(f"scopes <@ ARRAY{[scope.value for scope in ApiScope]!r}", name="scopes"),
    comment="One row per key of the HTTP service, revoked ones included.",
)

intake_batch = sa.Table(
    "intake_batch",
    metadata,
    sa.Column("key_id", sa.Text, nullable=False, comment="the api_key that sent it"),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False, comment="SHA-256 of what was sent"),
    _time("accepted_at", nullable=False),
    sa.Column("answer", JSONB, nullable=False, comment="what was answered, and is again"),
    sa.PrimaryKeyConstraint("key_id", "idempotency_key"),
    # rows come in the order of time, so a few pages of index find the expired ones
    sa.Index("intake_batch_accepted_at_idx", "accepted_at", postgresql_using="brin"),
    comment="One row per accepted batch of events, written with its events. Expires after seven days.",
)

inbound_sms = sa.Table(
    "inbound_sms",
    metadata,
    sa.Column("provider_message_id", sa.Text, primary_key=True),
    sa.Column("phone_hash", sa.LargeBinary, nullable=False),
    sa.Column("text_class", sa.Text, nullable=False, comment="what the text asks for; revocation: in other words"),
    _time("received_at", nullable=False),
    _one_of("text_class", TextClass),
    comment="One row per text that somebody sent to us, without the text: each is acted upon once.",
)
