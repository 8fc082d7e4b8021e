"""Why a message did not arrive, in terms that every provider shares, beside the provider's own number."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE message ADD COLUMN fact text;
UPDATE message SET fact = known.fact
FROM (VALUES
  (21610, 'opted_out'), (30007, 'filtered'), (30032, 'sender_not_registered'), (30034, 'sender_not_registered'),
  (21211, 'number_invalid'), (21217, 'number_invalid'), (30005, 'number_invalid'), (21614, 'not_mobile'),
  (30006, 'not_mobile'), (21214, 'unreachable'), (21612, 'unreachable'), (30003, 'unreachable'), (30004, 'blocked'),
  (21408, 'region_not_permitted'), (21617, 'text_too_long')) AS known (error_code, fact)
WHERE message.error_code = known.error_code AND message.status IN ('undelivered', 'failed');
ALTER TABLE message ADD CONSTRAINT message_fact_check CHECK (fact IN (
  'opted_out', 'filtered', 'sender_not_registered', 'number_invalid', 'not_mobile', 'unreachable', 'blocked',
  'region_not_permitted', 'text_too_long'));
COMMENT ON COLUMN message.fact IS 'why it did not arrive, whatever the provider''s number for it';
"""

DOWNGRADE = "ALTER TABLE message DROP COLUMN fact;"


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
