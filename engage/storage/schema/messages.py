"""The ledger of messages, its counts, and the codes that messages carry."""

from __future__ import annotations

import sqlalchemy as sa

from engage.statuses import ExperimentArm, MessageStatus, ProviderFact
from engage.storage.schema.columns import metadata, moment, one_of

message = sa.Table(
    "message",
    metadata,
    moment("window_start", nullable=False),
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
    moment("queued_at", nullable=False),
    moment("sending_at"),
    sa.Column(
        "handed_over_at",
        sa.DateTime(timezone=True),
        comment="from when on the provider may have it; null while it is only claimed",
    ),
    moment("unknown_at"),
    moment("accepted_at"),
    moment("sent_at"),
    moment("settled_at"),  # delivered, undelivered, failed or skipped
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
    one_of("status", MessageStatus),
    one_of("fact", ProviderFact),
    one_of("arm", ExperimentArm),
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
    moment("window_start", nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("fact", sa.Text),
    sa.Column("taken", sa.Boolean, nullable=False, comment="whether the provider has accepted them"),
    sa.Column("messages", sa.BigInteger, nullable=False, comment="negative if messages have left the group"),
    sa.Column("segments", sa.BigInteger, nullable=False, comment="of the messages with a body"),
    moment("first_claim_at"),
    moment("last_claim_at"),
    comment="The ledger counted: one row per change of a group of messages, for adding up. A trigger on message "
    "writes it with each change, and folds the rows of a window now and then.",
)

offer_code = sa.Table(
    "offer_code",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("offer", sa.Text, nullable=False, comment="the pool that a campaign takes its codes from"),
    moment("added_at", nullable=False),
    moment("expires_at", comment="from then on it is not redeemed; null is never"),
    moment("window_start", comment="the campaign whose message has it; null while it is free"),
    sa.Column("customer_id", sa.BigInteger, comment="null while it is free, and once the customer is erased"),
    sa.Column("segment", sa.Text, comment="of the message, for counts that outlive the customer"),
    sa.Column("variant", sa.Text, comment="as segment"),
    moment("redeemed_at"),
    sa.CheckConstraint(
        "window_start IS NOT NULL OR coalesce(customer_id::text, segment, variant) IS NULL", name="given"
    ),
    sa.CheckConstraint("redeemed_at IS NULL OR window_start IS NOT NULL", name="redeemed"),
    sa.Index(
        "offer_code_message_idx",
        "window_start",
        "customer_id",
        unique=True,
        postgresql_include=["segment", "variant", "redeemed_at"],  # a report counts them from the index alone
        postgresql_where=sa.text("window_start IS NOT NULL"),
    ),
    sa.Index("offer_code_free_idx", "offer", postgresql_where=sa.text("window_start IS NULL")),
    comment="One row per code of an offer. A code goes into one message at most, and is redeemed once.",
)
