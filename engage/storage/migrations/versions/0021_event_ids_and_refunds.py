"""Event ids: an event that carries one counts once, whatever its batch. Refunds, which lower the spend."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE event_id (
    event_key uuid NOT NULL,
    accepted_at timestamptz NOT NULL,
    CONSTRAINT event_id_pkey PRIMARY KEY (event_key)
);
CREATE INDEX event_id_accepted_at_idx ON event_id USING brin (accepted_at);
COMMENT ON TABLE event_id IS 'One row per event that was accepted with an id of its own, written with the event. Expires after two windows. Events without an id have no row.';
COMMENT ON COLUMN event_id.event_key IS 'a digest of the event''s kind, its client and its id';

CREATE TABLE refund (
    customer_id bigint,
    refunded_at timestamptz,
    amount_cents bigint
) PARTITION BY RANGE (refunded_at);
CREATE TABLE refund_default PARTITION OF refund DEFAULT;
COMMENT ON TABLE refund IS 'One row per refund. A raw log, partitioned like app_session, by refunded_at.';
COMMENT ON COLUMN refund.amount_cents IS 'what the customer got back, above 0';

-- a constant default fills the rows of earlier versions without rewriting them; new rows always have their own value
ALTER TABLE customer_activity ADD COLUMN refunded_cents bigint NOT NULL DEFAULT 0;
ALTER TABLE customer_activity ALTER COLUMN refunded_cents DROP DEFAULT;
COMMENT ON COLUMN customer_activity.refunded_cents IS
  'by which refunds in the window lower total_spend_cents, at most to zero; 0 before version 0021';
"""

DOWNGRADE = """
ALTER TABLE customer_activity DROP COLUMN refunded_cents;
DROP TABLE refund;
DROP TABLE event_id;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
