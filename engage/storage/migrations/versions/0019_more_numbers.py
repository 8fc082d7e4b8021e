"""More numbers of each customer, for segments: times, app events, the window before; and names of items."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# a constant default fills the rows of earlier versions without rewriting them; new rows always have their own value
UPGRADE = """
ALTER TABLE customer_activity
    ADD COLUMN registered_at timestamptz,
    ADD COLUMN viewed bigint NOT NULL DEFAULT 0,
    ADD COLUMN liked bigint NOT NULL DEFAULT 0,
    ADD COLUMN added_to_basket bigint NOT NULL DEFAULT 0,
    ADD COLUMN last_session_at timestamptz,
    ADD COLUMN first_purchase_at timestamptz,
    ADD COLUMN last_purchase_at timestamptz,
    ADD COLUMN previous_total_spend_cents bigint,
    ADD COLUMN previous_sessions bigint,
    ADD COLUMN previous_segment text,
    ADD COLUMN favourite_item text;
ALTER TABLE customer_activity
    ALTER COLUMN viewed DROP DEFAULT,
    ALTER COLUMN liked DROP DEFAULT,
    ALTER COLUMN added_to_basket DROP DEFAULT;
COMMENT ON COLUMN customer_activity.registered_at IS
  'as in customer when it was computed; null if a version before 0019 computed it';
COMMENT ON COLUMN customer_activity.viewed IS 'app events in the window; 0 if a version before 0019 computed it';
COMMENT ON COLUMN customer_activity.liked IS 'as viewed';
COMMENT ON COLUMN customer_activity.added_to_basket IS 'as viewed';
COMMENT ON COLUMN customer_activity.last_session_at IS
  'by the window''s end; carried on from the window before. Null if none is known';
COMMENT ON COLUMN customer_activity.first_purchase_at IS 'as last_session_at';
COMMENT ON COLUMN customer_activity.last_purchase_at IS 'as last_session_at';
COMMENT ON COLUMN customer_activity.previous_total_spend_cents IS
  'in the campaign of the window before; null if the customer is not in it';
COMMENT ON COLUMN customer_activity.previous_sessions IS 'as previous_total_spend_cents';
COMMENT ON COLUMN customer_activity.previous_segment IS 'as previous_total_spend_cents';
COMMENT ON COLUMN customer_activity.favourite_item IS
  'the item most often viewed or liked in the window; null if there is none, or no text names it';

ALTER TABLE customer_bucket
    ADD COLUMN last_session_at timestamptz,
    ADD COLUMN first_purchase_at timestamptz,
    ADD COLUMN last_purchase_at timestamptz;
COMMENT ON TABLE customer_bucket IS 'One row per window and customer: the segment, and what the next window carries on. The values that decided it are in customer_activity, the rules in campaign.settings.';
COMMENT ON COLUMN customer_bucket.last_session_at IS
  'as in customer_activity, from where the next window carries it on';
COMMENT ON COLUMN customer_bucket.first_purchase_at IS 'as last_session_at';
COMMENT ON COLUMN customer_bucket.last_purchase_at IS 'as last_session_at';

UPDATE campaign SET distribution = NULL; -- its cells now name their segment; a page counts it again

CREATE TABLE item (
    item_id text NOT NULL,
    name text NOT NULL,
    CONSTRAINT item_pkey PRIMARY KEY (item_id)
);
COMMENT ON TABLE item IS 'One row per item of the app that has a readable name. Optional: a text shows other items by their id.';
COMMENT ON COLUMN item.item_id IS 'as in app_event';

COMMENT ON TABLE app_event IS 'One row per other event of the app. A raw log, partitioned like app_session, by occurred_at.';
"""

DOWNGRADE = """
COMMENT ON TABLE app_event IS 'One row per other event of the app. A raw log, partitioned like app_session, by occurred_at. No campaign reads it yet.';
DROP TABLE item;
UPDATE campaign SET distribution = NULL;
COMMENT ON TABLE customer_bucket IS 'One row per window and customer: the bucket, and the values that decided it. The thresholds are in campaign.settings.';
ALTER TABLE customer_bucket
    DROP COLUMN last_session_at,
    DROP COLUMN first_purchase_at,
    DROP COLUMN last_purchase_at;
ALTER TABLE customer_activity
    DROP COLUMN registered_at,
    DROP COLUMN viewed,
    DROP COLUMN liked,
    DROP COLUMN added_to_basket,
    DROP COLUMN last_session_at,
    DROP COLUMN first_purchase_at,
    DROP COLUMN last_purchase_at,
    DROP COLUMN previous_total_spend_cents,
    DROP COLUMN previous_sessions,
    DROP COLUMN previous_segment,
    DROP COLUMN favourite_item;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
