"""Every state of a message, with its time and the moves between them; suppressed phones; who halted a campaign."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UPGRADE = r"""
ALTER TABLE customer ADD CONSTRAINT customer_phone_check CHECK (phone ~ '^\+[1-9][0-9]{1,14}$');
COMMENT ON COLUMN customer.phone_hash IS 'engage.phone.phone_hash of phone; null with it';

CREATE TABLE suppression (
    phone_hash bytea NOT NULL,
    reason text NOT NULL,
    source text NOT NULL,
    suppressed_at timestamptz NOT NULL,
    CONSTRAINT suppression_pkey PRIMARY KEY (phone_hash),
    CONSTRAINT suppression_reason_check CHECK (reason IN ('stop', 'provider', 'erasure'))
);
COMMENT ON TABLE suppression IS 'One row per phone that is never texted again. It outlives the customer''s row, and holds no number.';
COMMENT ON COLUMN suppression.reason IS 'stop: they said so; provider: it refuses; erasure: forgotten';
COMMENT ON COLUMN suppression.source IS 'how Engage learnt of it';

ALTER TABLE campaign
    ADD COLUMN finished_at timestamptz,
    ADD COLUMN halted_by text,
    ADD COLUMN halted_why text,
    ADD COLUMN resumed_at timestamptz;

ALTER TABLE message
    ADD COLUMN segments smallint,
    ADD COLUMN error_code integer,
    ADD COLUMN unknown_at timestamptz,
    ADD COLUMN accepted_at timestamptz,
    ADD COLUMN sent_at timestamptz,
    ADD COLUMN settled_by text,
    ADD COLUMN settled_why text,
    DROP CONSTRAINT message_status_check,
    ADD CONSTRAINT message_status_check CHECK (status IN (
        'queued', 'sending', 'accepted', 'sent', 'unknown', 'delivered', 'undelivered', 'failed', 'skipped'));
COMMENT ON COLUMN message.segments IS 'how many the provider charges for the body';
COMMENT ON COLUMN message.error IS 'what went wrong; holds no phone number';
COMMENT ON COLUMN message.error_code IS 'the provider''s own number for it';
COMMENT ON COLUMN message.settled_by IS 'the person who settled an unknown one';
UPDATE message SET accepted_at = settled_at, settled_at = NULL WHERE status = 'accepted';
UPDATE message SET unknown_at = settled_at, settled_at = NULL WHERE status = 'unknown';

CREATE FUNCTION message_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE check_violation USING MESSAGE = format('a message cannot move from %s to %s', OLD.status, NEW.status);
END $$;
-- the condition decides, so that a move that is allowed calls no function
CREATE TRIGGER message_move BEFORE UPDATE OF status ON message FOR EACH ROW
WHEN (OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
    ('queued', 'sending'), ('queued', 'skipped'),
    ('sending', 'accepted'), ('sending', 'sent'), ('sending', 'delivered'), ('sending', 'undelivered'),
    ('sending', 'failed'), ('sending', 'queued'), ('sending', 'unknown'),
    ('accepted', 'sent'), ('accepted', 'delivered'), ('accepted', 'undelivered'), ('accepted', 'failed'),
    ('sent', 'delivered'), ('sent', 'undelivered'), ('sent', 'failed'),
    ('unknown', 'accepted'), ('unknown', 'sent'), ('unknown', 'delivered'), ('unknown', 'undelivered'),
    ('unknown', 'failed')))
EXECUTE FUNCTION message_move();
"""

DOWNGRADE = """
DROP TRIGGER message_move ON message;
DROP FUNCTION message_move();
UPDATE message SET status = 'accepted' WHERE status IN ('sent', 'delivered', 'undelivered');
UPDATE message SET status = 'unknown', error = coalesce(error, 'failed') WHERE status = 'failed';
UPDATE message SET settled_at = coalesce(settled_at, accepted_at, unknown_at);
ALTER TABLE message
    DROP COLUMN segments,
    DROP COLUMN error_code,
    DROP COLUMN unknown_at,
    DROP COLUMN accepted_at,
    DROP COLUMN sent_at,
    DROP COLUMN settled_by,
    DROP COLUMN settled_why,
    DROP CONSTRAINT message_status_check,
    ADD CONSTRAINT message_status_check CHECK (status IN ('queued', 'sending', 'accepted', 'unknown', 'skipped'));
COMMENT ON COLUMN message.error IS 'what went wrong when the outcome is unknown';
ALTER TABLE campaign DROP COLUMN finished_at, DROP COLUMN halted_by, DROP COLUMN halted_why,
    DROP COLUMN resumed_at;
DROP TABLE suppression;
ALTER TABLE customer DROP CONSTRAINT customer_phone_check;
COMMENT ON COLUMN customer.phone_hash IS 'engage.customer.phone_hash of phone; null with it';
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
