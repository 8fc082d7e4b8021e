"""First tables: customers, raw events, and what a campaign computes and sends."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CREATE = """
CREATE TABLE customer (
    customer_id bigint NOT NULL,
    registered_at timestamptz NOT NULL,
    name text,
    phone text,
    phone_hash bytea,
    locale text,
    time_zone text,
    consent_at timestamptz,
    consent_source text,
    opted_out_at timestamptz,
    synthetic boolean NOT NULL DEFAULT false,
    CONSTRAINT customer_pkey PRIMARY KEY (customer_id),
    CONSTRAINT customer_phone_hash_check CHECK ((phone IS NULL) = (phone_hash IS NULL))
);
CREATE INDEX customer_opted_out_phone_hash_idx ON customer (phone_hash) WHERE opted_out_at IS NOT NULL;
COMMENT ON TABLE customer IS 'One row per customer.';
COMMENT ON COLUMN customer.phone IS 'E.164, or null';
COMMENT ON COLUMN customer.phone_hash IS 'engage.customer.phone_hash of phone; null with it';
COMMENT ON COLUMN customer.time_zone IS 'IANA name';

CREATE TABLE app_session (
    customer_id bigint,
    started_at timestamptz
) PARTITION BY RANGE (started_at);
CREATE TABLE app_session_default PARTITION OF app_session DEFAULT;
COMMENT ON TABLE app_session IS 'One row per opening of the app. A raw log: bad rows stay in it and are counted. Partitioned by started_at along the 8-week grid, then by hash of customer_id. No key, no index: see docs/decisions.';

CREATE TABLE purchase (
    customer_id bigint,
    purchased_at timestamptz,
    amount_cents bigint
) PARTITION BY RANGE (purchased_at);
CREATE TABLE purchase_default PARTITION OF purchase DEFAULT;
COMMENT ON TABLE purchase IS 'One row per purchase. A raw log, partitioned as app_session is, by purchased_at.';

CREATE TABLE campaign (
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    run_id text,
    status text NOT NULL,
    settings jsonb NOT NULL,
    events jsonb NOT NULL,
    rejected jsonb NOT NULL,
    customers bigint,
    buckets jsonb,
    timings jsonb NOT NULL DEFAULT '{}',
    opened_at timestamptz NOT NULL,
    frozen_at timestamptz,
    halted_at timestamptz,
    sender_token integer NOT NULL DEFAULT 0,
    CONSTRAINT campaign_pkey PRIMARY KEY (window_start),
    CONSTRAINT campaign_status_check
        CHECK (status IN ('extracted', 'aggregated', 'bucketed', 'queued', 'sending', 'complete'))
);
COMMENT ON TABLE campaign IS 'One row per window that a run has opened.';
COMMENT ON COLUMN campaign.run_id IS 'the Airflow run that computed it last, or ''cli''';
COMMENT ON COLUMN campaign.settings IS 'snapshot of engage.settings.Settings';
COMMENT ON COLUMN campaign.events IS 'valid events in the window, by kind';
COMMENT ON COLUMN campaign.rejected IS 'events not counted, by reason';
COMMENT ON COLUMN campaign.customers IS 'rows of customer_activity';
COMMENT ON COLUMN campaign.buckets IS 'customers by bucket';
COMMENT ON COLUMN campaign.timings IS 'seconds by step';
COMMENT ON COLUMN campaign.sender_token IS 'fences senders';

CREATE TABLE customer_activity (
    window_start timestamptz NOT NULL,
    customer_id bigint NOT NULL,
    sessions bigint NOT NULL,
    purchases bigint NOT NULL,
    total_spend_cents bigint NOT NULL,
    avg_weekly_sessions double precision NOT NULL,
    CONSTRAINT customer_activity_pkey PRIMARY KEY (window_start, customer_id)
) PARTITION BY LIST (window_start);
COMMENT ON TABLE customer_activity IS 'One row per window and customer registered before its end, zeros included.';

CREATE TABLE customer_bucket (
    window_start timestamptz NOT NULL,
    customer_id bigint NOT NULL,
    bucket text NOT NULL,
    total_spend_cents bigint NOT NULL,
    avg_weekly_sessions double precision NOT NULL,
    CONSTRAINT customer_bucket_pkey PRIMARY KEY (window_start, customer_id)
) PARTITION BY LIST (window_start);
COMMENT ON TABLE customer_bucket IS 'One row per window and customer: the bucket, and the values that put it there. The thresholds they were compared with are in campaign.settings.';
COMMENT ON COLUMN customer_bucket.total_spend_cents IS 'the value compared, in cents';
COMMENT ON COLUMN customer_bucket.avg_weekly_sessions IS 'the value compared';

CREATE TABLE message (
    window_start timestamptz NOT NULL,
    customer_id bigint NOT NULL,
    bucket text NOT NULL,
    status text NOT NULL,
    reason text,
    phone_hash bytea,
    provider text,
    provider_message_id text,
    sender_token integer,
    body text,
    error text,
    queued_at timestamptz NOT NULL,
    sending_at timestamptz,
    settled_at timestamptz,
    CONSTRAINT message_pkey PRIMARY KEY (window_start, customer_id),
    CONSTRAINT message_status_check CHECK (status IN ('queued', 'sending', 'accepted', 'unknown', 'skipped')),
    CONSTRAINT message_reason_check CHECK ((status = 'skipped') = (reason IS NOT NULL))
) PARTITION BY LIST (window_start);
CREATE UNIQUE INDEX message_window_start_phone_hash_idx ON message (window_start, phone_hash) WHERE reason IS NULL;
COMMENT ON TABLE message IS 'The ledger: one row per window and customer in a bucket that is texted. One phone, one message.';
COMMENT ON COLUMN message.reason IS 'why a message is skipped; null for all others';
COMMENT ON COLUMN message.sender_token IS 'campaign.sender_token of the sender that claimed it';
COMMENT ON COLUMN message.body IS 'the text as handed to the provider';
COMMENT ON COLUMN message.error IS 'what went wrong when the outcome is unknown';
"""

DROP = "DROP TABLE message, customer_bucket, customer_activity, campaign, purchase, app_session, customer;"


def upgrade() -> None:
    op.execute(CREATE)


def downgrade() -> None:
    op.execute(DROP)
