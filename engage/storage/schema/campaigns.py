"""The tables of campaigns: the record, what customers did, and the segments that they are in."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from engage.statuses import ApprovalState, CampaignStatus, ExperimentArm, RunMode
from engage.storage.schema.columns import metadata, moment, one_of

campaign = sa.Table(
    "campaign",
    metadata,
    sa.Column("window_start", sa.DateTime(timezone=True), primary_key=True),
    moment("window_end", nullable=False),
    sa.Column("run_id", sa.Text, comment="the last Airflow run that computed it, or 'cli'"),
    sa.Column("triggered_by", sa.Text, comment="who triggered run_id; null for the scheduler"),
    sa.Column("status", sa.Text, nullable=False),
    moment("settings_at", comment="when its run read the settings"),
    sa.Column("settings", JSONB, nullable=False, comment="snapshot of the settings that extract took"),
    sa.Column("events", JSONB, nullable=False, comment="valid events in the window, by kind"),
    sa.Column("rejected", JSONB, nullable=False, comment="rejected events, by reason"),
    sa.Column("customers", sa.BigInteger, comment="rows of customer_activity"),
    sa.Column("buckets", JSONB, comment="customers by bucket"),
    sa.Column("timings", JSONB, nullable=False, server_default=sa.text("'{}'"), comment="seconds by step"),
    moment("opened_at", nullable=False),
    moment("frozen_at"),
    moment("finished_at"),
    moment("halted_at"),
    sa.Column("halted_by", sa.Text),
    sa.Column("halted_why", sa.Text),
    moment("resumed_at"),
    sa.Column("sender_token", sa.Integer, nullable=False, server_default="0", comment="fences out older senders"),
    sa.Column("guard", JSONB, comment="the guard's findings, and the run that ignored them"),
    sa.Column("approval", sa.Text, comment="the state of the approver's answer; null if no run asked"),
    moment("approval_at"),
    sa.Column("approval_by", sa.Text, comment="the approver; null if the time ran out"),
    sa.Column("approval_reason", sa.Text, comment="why the approver rejected the list"),
    sa.Column(
        "approval_checked",
        JSONB,
        nullable=False,
        server_default=sa.text("'{}'"),
        comment="users who passed the check of approvers, each with the time at which the list was made",
    ),
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
    sa.Column(
        "pulled",
        JSONB(none_as_null=True),
        comment="what extract pulled from engage_source: rows by kind of event; null without a source",
    ),
    sa.Column(
        "history_kept",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="whether its customer_activity keeps the history that decided it, although the windows before were "
        "computed anew",
    ),
    sa.Column(
        "resolved",
        JSONB(none_as_null=True),
        comment="the numbers that shares of the customers in settings became, by threshold or line; null until bucket",
    ),
    sa.Column(
        "budget_cut",
        JSONB(none_as_null=True),
        comment="where the budget cut the list, by segment; null if it did not",
    ),
    sa.Column(
        "model_id",
        sa.BigInteger,
        sa.ForeignKey("model.model_id", name="campaign_model_id_fkey"),
        comment="the training by which aggregate scored its customers; null if it did not",
    ),
    one_of("status", CampaignStatus),
    one_of("approval", ApprovalState),
    one_of("mode", RunMode),
    comment="One row per window for which a run has started.",
)

customer_activity = sa.Table(
    "customer_activity",
    metadata,
    moment("window_start", nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("sessions", sa.BigInteger, nullable=False),
    sa.Column("purchases", sa.BigInteger, nullable=False),
    sa.Column("total_spend_cents", sa.BigInteger, nullable=False),
    sa.Column("avg_weekly_sessions", sa.Double, nullable=False),
    # the order is that in which Postgres reads a row fastest: columns that are never null first
    moment("registered_at", comment="as in customer when it was computed; null if a version before 0019 computed it"),
    sa.Column(
        "viewed",
        sa.BigInteger,
        nullable=False,
        comment="app events in the window; 0 if a version before 0019 computed it",
    ),
    sa.Column("liked", sa.BigInteger, nullable=False, comment="as viewed"),
    sa.Column("added_to_basket", sa.BigInteger, nullable=False, comment="as viewed"),
    moment("last_session_at", comment="by the window's end; carried on from the window before. Null if none is known"),
    moment("first_purchase_at", comment="as last_session_at"),
    moment("last_purchase_at", comment="as last_session_at"),
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
    sa.Column(
        "refunded_cents",
        sa.BigInteger,
        nullable=False,
        comment="by which refunds in the window lower total_spend_cents, at most to zero; 0 before version 0021",
    ),
    sa.Column(
        "purchases_to_date",
        sa.BigInteger,
        comment="in this window and the windows before it, as far as they are known; null if a version before 0026 "
        "computed it",
    ),
    sa.Column(
        "spend_3_windows_cents",
        sa.BigInteger,
        comment="as purchases_to_date, in this window and the two before it; after refunds",
    ),
    sa.Column("sessions_3_windows", sa.BigInteger, comment="as spend_3_windows_cents"),
    sa.Column("windows_active", sa.BigInteger, comment="as purchases_to_date: windows with a session or a purchase"),
    sa.Column(
        "return_score",
        sa.Double,
        comment="the chance of a purchase in the next window, by campaign.model_id; null without a model",
    ),
    sa.Column("return_percentile", sa.Double, comment="percent of the window's customers with a lower return_score"),
    sa.PrimaryKeyConstraint("customer_id", "window_start"),
    comment="One row per window and customer registered before its end, also without any event.",
    postgresql_partition_by="LIST (window_start)",
)

customer_bucket = sa.Table(
    "customer_bucket",
    metadata,
    moment("window_start", nullable=False),
    sa.Column("customer_id", sa.BigInteger, nullable=False),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("total_spend_cents", sa.BigInteger, nullable=False, comment="as compared with the threshold"),
    sa.Column("avg_weekly_sessions", sa.Double, nullable=False, comment="as compared with the threshold"),
    sa.PrimaryKeyConstraint("customer_id", "window_start"),
    comment="One row per window and customer: the segment. The values that decided it are in customer_activity, the "
    "rules in campaign.settings.",
    postgresql_partition_by="LIST (window_start)",
)

campaign_lift = sa.Table(
    "campaign_lift",
    metadata,
    moment("window_start", nullable=False),
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
    moment("measured_at", nullable=False),
    sa.PrimaryKeyConstraint("window_start", "segment", "arm", "variant"),
    one_of("arm", ExperimentArm),
    sa.CheckConstraint("bought_again BETWEEN 0 AND customers", name="buyers"),
    comment="What the customers of each arm did in the window after their campaign's: counts, means and covariances, "
    "from which every lift is computed. Kept for good.",
)

customer_history = sa.table(
    "customer_history",
    *(
        sa.column(name, sa.BigInteger)
        for name in (
            "customer_id",
            "spend_cents",
            "sessions",
            "purchases_to_date",
            "spend_3_windows_cents",
            "sessions_3_windows",
            "windows_active",
            "days_since_last_purchase",
            "days_since_first_purchase",
        )
    ),
    sa.column("window_start", sa.DateTime(timezone=True)),
)
"""A view for analysts (migration 0026): one row per customer of the newest campaign whose customers are in segments."""
