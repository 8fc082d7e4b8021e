"""Test messages to phones of the staff."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE test_send (
    test_send_id uuid NOT NULL,
    requested_at timestamptz NOT NULL,
    requested_by text NOT NULL,
    segment text NOT NULL,
    locale text NOT NULL,
    variant text NOT NULL,
    phone_end text NOT NULL,
    phone text,
    body text,
    phone_hash bytea,
    segments smallint NOT NULL,
    status text NOT NULL,
    provider text,
    provider_message_id text,
    error text,
    sent_at timestamptz,
    settled_at timestamptz,
    CONSTRAINT test_send_pkey PRIMARY KEY (test_send_id),
    CONSTRAINT test_send_status_check CHECK (status IN ('waiting', 'sending', 'accepted', 'failed', 'unknown', 'refused')),
    CONSTRAINT test_send_phone_check CHECK ((status = 'waiting') = (phone IS NOT NULL)),
    CONSTRAINT test_send_body_check CHECK ((status = 'waiting') = (body IS NOT NULL))
);
CREATE INDEX test_send_requested_at_idx ON test_send (requested_at);
COMMENT ON TABLE test_send IS 'One row per test message. It is in no ledger, count or cap, and holds no text once it is sent.';
COMMENT ON COLUMN test_send.test_send_id IS 'made by the page, so that a click counts once';
COMMENT ON COLUMN test_send.locale IS 'language of the text; empty for the one of all others';
COMMENT ON COLUMN test_send.variant IS 'which of the segment''s texts';
COMMENT ON COLUMN test_send.phone_end IS 'last two digits of the number';
COMMENT ON COLUMN test_send.phone IS 'the number while the message waits; null afterwards';
COMMENT ON COLUMN test_send.body IS 'the text while the message waits; null afterwards';
COMMENT ON COLUMN test_send.phone_hash IS 'null while the message waits';
COMMENT ON COLUMN test_send.segments IS 'SMS segments of the body';
COMMENT ON COLUMN test_send.error IS 'why it was not sent; holds no phone number';
COMMENT ON COLUMN test_send.sent_at IS 'from when on the provider may have it';
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP TABLE test_send")
