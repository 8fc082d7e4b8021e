"""What the HTTP service needs: other events of the app, API keys, idempotency keys, texts from customers."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE app_event (
    customer_id bigint,
    occurred_at timestamptz,
    kind text NOT NULL,
    item_id text,
    CONSTRAINT app_event_kind_check CHECK (kind IN ('viewed', 'liked', 'added_to_basket'))
) PARTITION BY RANGE (occurred_at);
CREATE TABLE app_event_default PARTITION OF app_event DEFAULT;
COMMENT ON TABLE app_event IS 'One row per other event of the app. A raw log, partitioned as app_session is, by occurred_at. No campaign reads it yet.';

CREATE TABLE api_key (
    key_id text NOT NULL,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    requests_per_second integer NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT api_key_pkey PRIMARY KEY (key_id),
    CONSTRAINT api_key_scopes_check CHECK (scopes <@ ARRAY['events', 'customers', 'read'])
);
COMMENT ON TABLE api_key IS 'One row per key of the HTTP service, revoked ones included.';
COMMENT ON COLUMN api_key.key_id IS 'the part of the key that is no secret';
COMMENT ON COLUMN api_key.name IS 'who uses it';
COMMENT ON COLUMN api_key.secret_hash IS 'SHA-256 of the whole key';
COMMENT ON COLUMN api_key.requests_per_second IS '0 is no limit';

CREATE TABLE intake_batch (
    key_id text NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    accepted_at timestamptz NOT NULL,
    answer jsonb NOT NULL,
    CONSTRAINT intake_batch_pkey PRIMARY KEY (key_id, idempotency_key)
);
CREATE INDEX intake_batch_accepted_at_idx ON intake_batch USING brin (accepted_at);
COMMENT ON TABLE intake_batch IS 'One row per accepted batch of events, written with its events. Expires: see engage.maintain.';
COMMENT ON COLUMN intake_batch.key_id IS 'the api_key that sent it';
COMMENT ON COLUMN intake_batch.fingerprint IS 'SHA-256 of what was sent';
COMMENT ON COLUMN intake_batch.answer IS 'what was answered, and is again';

CREATE TABLE inbound_sms (
    provider_message_id text NOT NULL,
    phone_hash bytea NOT NULL,
    text_class text NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT inbound_sms_pkey PRIMARY KEY (provider_message_id),
    CONSTRAINT inbound_sms_text_class_check CHECK (text_class IN ('stop', 'start', 'help', 'revocation', 'other'))
);
COMMENT ON TABLE inbound_sms IS 'One row per text that somebody sent to us, without the text: each is acted upon once.';
COMMENT ON COLUMN inbound_sms.text_class IS 'what the text asks for; revocation: in other words';
"""

DOWNGRADE = "DROP TABLE inbound_sms, intake_batch, api_key, app_event;"


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
