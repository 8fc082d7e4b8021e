"""When a claimed message was handed over, apart from the claim; and phones that take no texts are suppressed.

After a crash, what was only claimed goes back to the queue.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE message ADD COLUMN handed_over_at timestamptz;
UPDATE message SET handed_over_at = sending_at WHERE status = 'sending';
COMMENT ON COLUMN message.handed_over_at IS 'from when on the provider may have it; null while it is only claimed';

ALTER TABLE message DROP CONSTRAINT message_fact_check;
ALTER TABLE message ADD CONSTRAINT message_fact_check CHECK (fact IN (
  'opted_out', 'filtered', 'sender_not_registered', 'sender_limit_reached', 'number_invalid', 'not_mobile',
  'unreachable', 'blocked', 'region_not_permitted', 'text_too_long'));
UPDATE message SET fact = 'sender_limit_reached'
WHERE error_code IN (30022, 30023, 30027) AND status IN ('undelivered', 'failed');

ALTER TABLE suppression DROP CONSTRAINT suppression_reason_check;
ALTER TABLE suppression ADD CONSTRAINT suppression_reason_check
  CHECK (reason IN ('stop', 'revocation', 'provider', 'dead_number', 'erasure'));
COMMENT ON COLUMN suppression.reason IS
  'stop: an opt-out by keyword or in the app; revocation: an opt-out in other words; '
  'provider: it refuses; dead_number: takes no texts; erasure: customer erased';
INSERT INTO suppression (phone_hash, reason, source, suppressed_at)
SELECT phone_hash, 'dead_number', 'an earlier message', max(coalesce(settled_at, queued_at))
FROM message
WHERE fact IN ('number_invalid', 'not_mobile') AND status IN ('undelivered', 'failed') AND phone_hash IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM message later WHERE later.phone_hash = message.phone_hash AND later.status = 'delivered'
      AND coalesce(later.settled_at, later.queued_at) > coalesce(message.settled_at, message.queued_at))
GROUP BY phone_hash
ON CONFLICT DO NOTHING;
"""

DOWNGRADE = """
DELETE FROM suppression WHERE reason = 'dead_number';
ALTER TABLE suppression DROP CONSTRAINT suppression_reason_check;
ALTER TABLE suppression ADD CONSTRAINT suppression_reason_check
  CHECK (reason IN ('stop', 'revocation', 'provider', 'erasure'));
COMMENT ON COLUMN suppression.reason IS
  'stop: an opt-out by keyword or in the app; revocation: an opt-out in other words; '
  'provider: it refuses; erasure: customer erased';
UPDATE message SET fact = NULL WHERE fact = 'sender_limit_reached';
ALTER TABLE message DROP CONSTRAINT message_fact_check;
ALTER TABLE message ADD CONSTRAINT message_fact_check CHECK (fact IN (
  'opted_out', 'filtered', 'sender_not_registered', 'number_invalid', 'not_mobile', 'unreachable', 'blocked',
  'region_not_permitted', 'text_too_long'));
ALTER TABLE message DROP COLUMN handed_over_at;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
