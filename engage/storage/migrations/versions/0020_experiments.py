"""Experiments: the arm and the text of each message, what each arm did in the next window, and offer codes."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

UPGRADE = r"""
ALTER TABLE message
    ADD COLUMN arm text,
    ADD COLUMN variant text,
    ADD CONSTRAINT message_arm_check CHECK (arm IN ('texted', 'holdout'));
COMMENT ON COLUMN message.arm IS 'the group that chance put the customer in, whatever came later; null if the customer is not in the experiment';
COMMENT ON COLUMN message.variant IS 'which of the segment''s texts; null in the holdout';

CREATE FUNCTION keep_arm() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'customer % is in the group % and stays in it', OLD.customer_id, OLD.arm
        USING ERRCODE = 'check_violation';
END
$$;
CREATE TRIGGER message_arm BEFORE UPDATE OF arm ON message
    FOR EACH ROW WHEN (OLD.arm IS DISTINCT FROM NEW.arm) EXECUTE FUNCTION keep_arm();

ALTER TABLE campaign ADD COLUMN variants jsonb;
COMMENT ON COLUMN campaign.variants IS 'for each segment with several texts: the share of each, and why; null until the queue is made';

CREATE TABLE campaign_lift (
    window_start timestamptz NOT NULL,
    segment text NOT NULL,
    arm text NOT NULL,
    variant text NOT NULL,
    customers bigint NOT NULL,
    bought_again bigint NOT NULL,
    spend jsonb NOT NULL,
    sessions jsonb NOT NULL,
    measured_at timestamptz NOT NULL,
    CONSTRAINT campaign_lift_pkey PRIMARY KEY (window_start, segment, arm, variant),
    CONSTRAINT campaign_lift_arm_check CHECK (arm IN ('texted', 'holdout')),
    CONSTRAINT campaign_lift_buyers_check CHECK (bought_again BETWEEN 0 AND customers)
);
COMMENT ON TABLE campaign_lift IS 'What the customers of each arm did in the window after their campaign''s: counts, means and covariances, from which every lift is computed. Kept for good.';
COMMENT ON COLUMN campaign_lift.variant IS 'which of the segment''s texts; empty for the holdout';
COMMENT ON COLUMN campaign_lift.bought_again IS 'customers with a purchase in the next window';
COMMENT ON COLUMN campaign_lift.spend IS 'means and covariances in cents: of the next window, then of the three windows before it';
COMMENT ON COLUMN campaign_lift.sessions IS 'as spend, of sessions';

CREATE TABLE offer_code (
    code text NOT NULL,
    offer text NOT NULL,
    added_at timestamptz NOT NULL,
    expires_at timestamptz,
    window_start timestamptz,
    customer_id bigint,
    segment text,
    variant text,
    redeemed_at timestamptz,
    CONSTRAINT offer_code_pkey PRIMARY KEY (code),
    CONSTRAINT offer_code_given_check CHECK (window_start IS NOT NULL OR coalesce(customer_id::text, segment, variant) IS NULL),
    CONSTRAINT offer_code_redeemed_check CHECK (redeemed_at IS NULL OR window_start IS NOT NULL)
);
-- a report counts a campaign's codes from the index alone
CREATE UNIQUE INDEX offer_code_message_idx ON offer_code (window_start, customer_id)
    INCLUDE (segment, variant, redeemed_at) WHERE window_start IS NOT NULL;
CREATE INDEX offer_code_free_idx ON offer_code (offer) WHERE window_start IS NULL;
COMMENT ON TABLE offer_code IS 'One row per code of an offer. A code goes into one message at most, and is redeemed once.';
COMMENT ON COLUMN offer_code.offer IS 'the pool that a campaign takes its codes from';
COMMENT ON COLUMN offer_code.expires_at IS 'from then on it is not redeemed; null is never';
COMMENT ON COLUMN offer_code.window_start IS 'the campaign whose message has it; null while it is free';
COMMENT ON COLUMN offer_code.customer_id IS 'null while it is free, and once the customer is erased';
COMMENT ON COLUMN offer_code.segment IS 'of the message, for counts that outlive the customer';
COMMENT ON COLUMN offer_code.variant IS 'as segment';
"""

DOWNGRADE = """
DROP TABLE offer_code;
DROP TABLE campaign_lift;
ALTER TABLE campaign DROP COLUMN variants;
DROP TRIGGER message_arm ON message;
DROP FUNCTION keep_arm();
ALTER TABLE message DROP COLUMN arm, DROP COLUMN variant;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
