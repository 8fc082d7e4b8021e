"""Whether somebody was asked to approve of a campaign's messages, and what they answered."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE campaign
  ADD COLUMN approval text,
  ADD COLUMN approval_at timestamptz,
  ADD COLUMN approval_by text,
  ADD CONSTRAINT campaign_approval_check CHECK (approval IN ('requested', 'approved', 'rejected'));
COMMENT ON COLUMN campaign.approval IS 'whether somebody was asked to approve of its messages, and the answer';
COMMENT ON COLUMN campaign.approval_by IS 'who answered; null for a time-out';
"""

DOWNGRADE = "ALTER TABLE campaign DROP COLUMN approval, DROP COLUMN approval_at, DROP COLUMN approval_by;"


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
