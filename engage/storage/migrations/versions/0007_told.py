"""Which runs have asked about which list, and up to when somebody was told of what went wrong."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE campaign
  ADD COLUMN asked jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN told_at timestamptz;
UPDATE campaign SET told_at = greatest(
  halted_at, (SELECT max(unknown_at) FROM message WHERE message.window_start = campaign.window_start));
UPDATE campaign SET asked = jsonb_build_object(run_id, 'before 0007') WHERE approval = 'rejected' AND run_id IS NOT NULL;
COMMENT ON COLUMN campaign.asked IS 'runs that have asked for approval, and when the list that each asked about was made';
COMMENT ON COLUMN campaign.told_at IS 'up to when somebody was told of messages of unknown fate and of the brake';
"""

DOWNGRADE = "ALTER TABLE campaign DROP COLUMN asked, DROP COLUMN told_at;"


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
