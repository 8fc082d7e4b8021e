"""The tables, as SQLAlchemy Core metadata. Each table's ``comment`` says what one row stands for.

Money is integer cents. Every time is ``timestamptz``, written and read as UTC.
Migrations build these tables; a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from engage.statuses import (
    AlertKind,
    ApiScope,
    AppEventKind,
    ApprovalState,
    CampaignStatus,
    ExperimentArm,
    MessageStatus,
    ProviderFact,
    RunMode,
    SuppressionReason,
    TextClass,
)
from engage.texts.phone import E164

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


def _time(name: str, *, nullable: bool = True, comment: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


customer = sa.Table(
    "customer",
    metadata,
    sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
    _time("registered_at", nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("phone", sa.Text, comment="in the canonical form of E.164, or null"),
    sa.Column("phone_hash", sa.LargeBinary, comment="HMAC of phone under ENGAGE_HASH_KEY; null if phone is"),
    sa.Column("locale", sa.Text),
    sa.Column("time_zone", sa.Text, comment="IANA name"),
    _time("consent_at"),
    sa.Column("consent_source", sa.Text),
    _time("opted_out_at"),
    sa.Column("synthetic", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.CheckConstraint("(phone IS NULL) = (phone_hash IS NULL)", name="phone_hash"),
    sa.CheckConstraint(f"phone ~ '{E164}'", name="phone"),
    # an opt-out holds for all customers with the phone; few customers have one
    sa.Index("customer_opted_out_phone_hash_idx", "phone_hash", postgresql_where=sa.text("opted_out_at IS NOT NULL")),
    comment="One row per customer.",
)

NAME_WORDS = sa.func.to_tsvector(sa.text("'simple'"), customer.c.name)
"""The words of a customer's name, for a search."""
REVERSED_PHONE = sa.func.reverse(customer.c.phone)
"""A customer's phone from its last digit on, for a search by the last digits."""
sa.Index("customer_name_words_idx", NAME_WORDS, postgresql_using="gin")
sa.Index(
    "customer_phone_reversed_idx",
    REVERSED_PHONE.label("reversed"),
    postgresql_ops={"reversed": "text_pattern_ops"},
)

suppression = sa.Table(
    "suppression",
    metadata,
    sa.Column("phone_hash", sa.LargeBinary, primary_key=True),
    sa.Column(
        "reason",
        sa.Text,
        nullable=False,
        comment="stop: an opt-out by keyword or in the app; revocation: an opt-out in other words; "
        "provider: it refuses; dead_number: takes no texts; erasure: customer erased",
    ),
    sa.Column("source", sa.Text, nullable=False, comment="where the reason comes from"),
    _time("suppressed_at", nullable=False),
    _one_of("reason", SuppressionReason),
    comment="One row per phone that gets no texts. A row outlives the customer's, and holds no phone number.",
)

app_session = sa.Table(
    "app_session",
    metadata,
    sa.Column("customer_id", sa.BigInteger),
    _time("started_at"),
    comment="One row per session of the app. A raw log: bad rows stay in it and are counted. Partitioned by "
    "started_at along the 8-week grid, then by hash of customer_id. No key or index, so that intake is fast.",
    postgresql_partition_by="RANGE (started_at)",
)

purchase = sa.Table(
    "purchase",
    metadata,
    sa.Column("customer_id", sa.BigInteger),
    _time("purchased_at"),
    sa.Column("amount_cents", sa.BigInteger),
    comment="One row per purchase. A raw log, partitioned like app_session, by purchased_at.",
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

campaign = sa.Table(
    "campaign",
    metadata,
    sa.Column("window_start", sa.DateTime(timezone=True), primary_key=True),
    _time("window_end", nullable=False),
    sa.Column("run_id", sa.Text, comment="the last Airflow run that computed it, or 'cli'"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("settings", JSONB, nullable=False, comment="snapshot of the settings that extract took"),
    sa.Column("events", JSONB, nullable=False, comment="valid events in the window, by kind"),
    sa.Column("rejected", JSONB, nullable=False, comment="rejected events, by reason"),
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
    sa.Column("sender_token", sa.Integer, nullable=False, server_default="0", comment="fences out older senders"),
    sa.Column("guard", JSONB, comment="the guard's findings, and the run that ignored them"),
    sa.Column("approval", sa.Text, comment="the state of the approver's answer; null if no run asked"),
    _time("approval_at"),
    sa.Column("approval_by", sa.Text, comment="the approver; null if the time ran out"),
    sa.Column(
        "asked",
        JSONB,
        nullable=False,
        server_default=sa.text("'{}'"),
        comment="runs that asked for approval, each with the time at which its list was made",
    ),
    sa.Column(
        "resume_at",
        sa.DateTime(timezone=True),
        comment="when its sender goes on with messages that have to wait",
    ),
    sa.Column("mode", sa.Text, comment="what the last run may do with its messages; null if that is not known"),
    sa.Column(
        "distribution",
        JSONB(none_as_null=True),
        comment="customers counted by bins of spend and sessions; null if they were not counted since they were "
        "computed",
    ),
    sa.Column(
        "variants",
        JSONB(none_as_null=True),
        comment="for each segment with several texts: the share of each, and why; null until the queue is made",
    ),
    _one_of("status", CampaignStatus),
    _one_of("approval", ApprovalState),
    _one_of("mode", RunMode),
    comment="One row per window for which a run has started.",
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
    # the order is that in which Postgres reads a row fastest: columns that are never null first
    _time("registered_at", comment="as in customer when it was computed; null if a version before 0019 computed it"),
    sa.Column(
        "viewed",
        sa.BigInteger,
        nullable=False,
        comment="app events in the window; 0 if a version before 0019 computed it",
    ),
    sa.Column("liked", sa.BigInteger, nullable=False, comment="as viewed"),
    sa.Column("added_to_basket", sa.BigInteger, nullable=False, comment="as viewed"),
    _time("last_session_at", comment="by the window's end; carried on from the window before. Null if none is known"),
    _time("first_purchase_at", comment="as last_session_at"),
    _time("last_purchase_at", comment="as last_session_at"),
    sa.Column(
        "previous_total_spend_cents",
        sa.BigInteger,
        comment="in the campaign of the window before; null if the customer is not in it",
    ),
    sa.Column("previous_sessions", sa.BigInteger, comment="as previous_total_spend_cents"),
    sa.Column("previous_segment", sa.Text, comment="as previous_total_spend_cents"),
    sa.Column(
        "favourite_item",
        sa.Text,
        comment="the item most often viewed or liked in the window; null if there is none, or no text names it",
    ),
    sa.PrimaryKeyConstraint("customer_id", "window_start"),
    comment="One row per window and customer registered before its end, also without any event.",
    postgresql_partition_by="LIST (window_start)",
)

customer_bucket = sa.Table(
    "customer_bucket",
    metadata,
    _time("window_start", nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("total_spend_cents", sa.BigInteger, nullable=False, comment="as compared with the threshold"),
    sa.Column("avg_weekly_sessions", sa.Double, nullable=False, comment="as compared with the threshold"),
    _time("last_session_at", comment="as in customer_activity, from where the next window carries it on"),
    _time("first_purchase_at", comment="as last_session_at"),
    _time("last_purchase_at", comment="as last_session_at"),
    sa.PrimaryKeyConstraint("customer_id", "window_start"),
    comment="One row per window and customer: the segment, and what the next window carries on. "
    "The values that decided it are in customer_activity, the rules in campaign.settings.",
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
    sa.Column("body", sa.Text, comment="the text that the provider got"),
    sa.Column("segments", sa.SmallInteger, comment="SMS segments of the body, by which the provider charges"),
    sa.Column("error", sa.Text, comment="what went wrong; holds no phone number"),
    sa.Column("error_code", sa.Integer, comment="the provider's number of the error"),
    sa.Column("fact", sa.Text, comment="why it did not arrive, whatever the provider's number for it"),
    _time("queued_at", nullable=False),
    _time("sending_at"),
    sa.Column(
        "handed_over_at",
        sa.DateTime(timezone=True),
        comment="from when on the provider may have it; null while it is only claimed",
    ),
    _time("unknown_at"),
    _time("accepted_at"),
    _time("sent_at"),
    _time("settled_at"),  # delivered, undelivered, failed or skipped
    sa.Column("settled_by", sa.Text, comment="the operator who settled an unknown outcome"),
    sa.Column("settled_why", sa.Text),
    sa.Column(
        "arm",
        sa.Text,
        comment="the group that chance put the customer in, whatever came later; null if the customer is not in the "
        "experiment",
    ),
    sa.Column("variant", sa.Text, comment="which of the segment's texts; null in the holdout"),
    sa.PrimaryKeyConstraint("customer_id", "window_start"),
    _one_of("status", MessageStatus),
    _one_of("fact", ProviderFact),
    _one_of("arm", ExperimentArm),
    sa.CheckConstraint(f"(status = '{MessageStatus.SKIPPED}') = (reason IS NOT NULL)", name="reason"),
    # it reads `reason`, not `status`: changing a column that an index reads is never a heap-only update
    sa.Index(
        "message_phone_hash_window_start_idx",
        "phone_hash",
        "window_start",
        unique=True,
        postgresql_where=sa.text("reason IS NULL"),
    ),
    comment="The ledger: one row per window and customer in a texted bucket. One phone gets one message.",
    postgresql_partition_by="LIST (window_start)",
)

message_count = sa.Table(
    "message_count",
    metadata,
    sa.Column("change_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _time("window_start", nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("fact", sa.Text),
    sa.Column("taken", sa.Boolean, nullable=False, comment="whether the provider has accepted them"),
    sa.Column("messages", sa.BigInteger, nullable=False, comment="negative if messages have left the group"),
    sa.Column("segments", sa.BigInteger, nullable=False, comment="of the messages with a body"),
    _time("first_claim_at"),
    _time("last_claim_at"),
    comment="The ledger counted: one row per change of a group of messages, for adding up. A trigger on message "
    "writes it with each change, and folds the rows of a window now and then.",
)

campaign_lift = sa.Table(
    "campaign_lift",
    metadata,
    _time("window_start", nullable=False),
    sa.Column("segment", sa.Text, nullable=False),
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False, comment="which of the segment's texts; empty for the holdout"),
    sa.Column("customers", sa.BigInteger, nullable=False),
    sa.Column("bought_again", sa.BigInteger, nullable=False, comment="customers with a purchase in the next window"),
    sa.Column(
        "spend",
        JSONB,
        nullable=False,
        comment="means and covariances in cents: of the next window, then of the three windows before it",
    ),
    sa.Column("sessions", JSONB, nullable=False, comment="as spend, of sessions"),
    _time("measured_at", nullable=False),
    sa.PrimaryKeyConstraint("window_start", "segment", "arm", "variant"),
    _one_of("arm", ExperimentArm),
    sa.CheckConstraint("bought_again BETWEEN 0 AND customers", name="buyers"),
    comment="What the customers of each arm did in the window after their campaign's: counts, means and covariances, "
    "from which every lift is computed. Kept for good.",
)

offer_code = sa.Table(
    "offer_code",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("offer", sa.Text, nullable=False, comment="the pool that a campaign takes its codes from"),
    _time("added_at", nullable=False),
    _time("expires_at", comment="from then on it is not redeemed; null is never"),
    _time("window_start", comment="the campaign whose message has it; null while it is free"),
    sa.Column("customer_id", sa.BigInteger, comment="null while it is free, and once the customer is erased"),
    sa.Column("segment", sa.Text, comment="of the message, for counts that outlive the customer"),
    sa.Column("variant", sa.Text, comment="as segment"),
    _time("redeemed_at"),
    sa.CheckConstraint(
        "window_start IS NOT NULL OR coalesce(customer_id::text, segment, variant) IS NULL", name="given"
    ),
    sa.CheckConstraint("redeemed_at IS NULL OR window_start IS NOT NULL", name="redeemed"),
    sa.Index(
        "offer_code_message_idx",
        "window_start",
        "customer_id",
        unique=True,
        postgresql_where=sa.text("window_start IS NOT NULL"),
    ),
    sa.Index("offer_code_free_idx", "offer", postgresql_where=sa.text("window_start IS NULL")),
    comment="One row per code of an offer. A code goes into one message at most, and is redeemed once.",
)

RESULTS = (customer_activity, customer_bucket, message)
"""The tables of campaigns, each with a partition per window."""

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True, comment="the public part of the key"),
    sa.Column("name", sa.Text, nullable=False, comment="the client that uses it"),
    sa.Column("owner", sa.Text, nullable=False, comment="the client; all keys of one owner share its idempotency keys"),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False, comment="SHA-256 of the whole key"),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False),
    sa.Column("requests_per_second", sa.Integer, nullable=False, comment="rate limit; 0 is none"),
    _time("created_at", nullable=False),
    _time("revoked_at"),
    _time("expires_at", comment="from then on it is refused; null is never"),
    sa.CheckConstraint(f"scopes <@ ARRAY{[scope.value for scope in ApiScope]!r}", name="scopes"),
    comment="One row per key of the HTTP service, revoked ones included.",
)

intake_batch = sa.Table(
    "intake_batch",
    metadata,
    sa.Column("owner", sa.Text, nullable=False, comment="the client that sent it, as api_key.owner names it"),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False, comment="SHA-256 of the request"),
    _time("accepted_at", nullable=False),
    sa.Column("answer", JSONB, nullable=False, comment="the answer, which a repeated request gets again"),
    sa.PrimaryKeyConstraint("owner", "idempotency_key"),
    # rows arrive in order of time, so a small BRIN index finds the expired ones
    sa.Index("intake_batch_accepted_at_idx", "accepted_at", postgresql_using="brin"),
    comment="One row per accepted batch of events, written with its events. Expires after seven days.",
)

inbound_sms = sa.Table(
    "inbound_sms",
    metadata,
    sa.Column("provider_message_id", sa.Text, primary_key=True),
    sa.Column("phone_hash", sa.LargeBinary, nullable=False),
    sa.Column("text_class", sa.Text, nullable=False, comment="the request; revocation: an opt-out in other words"),
    _time("received_at", nullable=False),
    _one_of("text_class", TextClass),
    comment="One row per text from a customer, without its wording. Engage acts on each text once.",
)

alert = sa.Table(
    "alert",
    metadata,
    sa.Column("alert_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    _time("window_start"),
    sa.Column("detail", JSONB, nullable=False, comment="what its text needs; holds no customer data"),
    sa.Column("link", sa.Text, comment="the log of the task, if a task raised it"),
    sa.Column("incident", sa.Text, comment="names the incident; a second alert of it is not raised"),
    _time("raised_at", nullable=False),
    _time("mailed_at"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("last_error", sa.Text, comment="the kind of error of the last attempt to mail it"),
    sa.UniqueConstraint("incident", name="alert_incident_key"),
    _one_of("kind", AlertKind),
    comment="The outbox of alerts to the operators. One row per alert, written with the fact that it reports.",
)
