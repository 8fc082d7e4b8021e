"""A customer's history over windows: four columns that each window carries on, and a view of the newest window.

The windows of earlier versions have no such numbers until ``engage history rebuild`` fills them. What a window carries on
now comes from ``customer_activity`` alone, so ``customer_bucket`` needs no copy of the times.
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE customer_activity
    ADD COLUMN purchases_to_date bigint,
    ADD COLUMN spend_3_windows_cents bigint,
    ADD COLUMN sessions_3_windows bigint,
    ADD COLUMN windows_active bigint;
COMMENT ON COLUMN customer_activity.purchases_to_date IS
  'in this window and the windows before it, as far as they are known; null if a version before 0026 computed it';
COMMENT ON COLUMN customer_activity.spend_3_windows_cents IS
  'as purchases_to_date, in this window and the two before it; after refunds';
COMMENT ON COLUMN customer_activity.sessions_3_windows IS 'as spend_3_windows_cents';
COMMENT ON COLUMN customer_activity.windows_active IS 'as purchases_to_date: windows with a session or a purchase';

ALTER TABLE campaign ADD COLUMN history_kept boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN campaign.history_kept IS
  'whether its customer_activity keeps the history that decided it, although the windows before were computed anew';

ALTER TABLE customer_bucket
    DROP COLUMN last_session_at,
    DROP COLUMN first_purchase_at,
    DROP COLUMN last_purchase_at;
COMMENT ON TABLE customer_bucket IS 'One row per window and customer: the segment. The values that decided it are in customer_activity, the rules in campaign.settings.';

CREATE VIEW customer_history AS
SELECT a.customer_id, a.window_start,
       a.total_spend_cents AS spend_cents, a.sessions,
       a.purchases_to_date, a.spend_3_windows_cents, a.sessions_3_windows, a.windows_active,
       floor(extract(epoch FROM c.window_end - a.last_purchase_at) / 86400)::bigint AS days_since_last_purchase,
       floor(extract(epoch FROM c.window_end - a.first_purchase_at) / 86400)::bigint AS days_since_first_purchase
  FROM customer_activity a JOIN campaign c ON c.window_start = a.window_start
 WHERE a.window_start = (SELECT max(window_start) FROM campaign WHERE buckets IS NOT NULL AND buckets <> 'null')
   AND a.customer_id > 0;
COMMENT ON VIEW customer_history IS
  'One row per customer of the newest campaign whose customers are in segments: what the customer did up to the end of its window. Days are whole days before that end. For analysts.';
"""

DOWNGRADE = """
DROP VIEW customer_history;
COMMENT ON TABLE customer_bucket IS 'One row per window and customer: the segment, and what the next window carries on. The values that decided it are in customer_activity, the rules in campaign.settings.';
ALTER TABLE customer_bucket
    ADD COLUMN last_session_at timestamptz,
    ADD COLUMN first_purchase_at timestamptz,
    ADD COLUMN last_purchase_at timestamptz;
COMMENT ON COLUMN customer_bucket.last_session_at IS
  'as in customer_activity, from where the next window carries it on';
COMMENT ON COLUMN customer_bucket.first_purchase_at IS 'as last_session_at';
COMMENT ON COLUMN customer_bucket.last_purchase_at IS 'as last_session_at';
UPDATE customer_bucket b
   SET last_session_at = a.last_session_at, first_purchase_at = a.first_purchase_at, last_purchase_at = a.last_purchase_at
  FROM customer_activity a WHERE a.window_start = b.window_start AND a.customer_id = b.customer_id;
ALTER TABLE campaign DROP COLUMN history_kept;
ALTER TABLE customer_activity
    DROP COLUMN purchases_to_date,
    DROP COLUMN spend_3_windows_cents,
    DROP COLUMN sessions_3_windows,
    DROP COLUMN windows_active;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
