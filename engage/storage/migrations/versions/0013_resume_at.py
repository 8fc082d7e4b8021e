"""A campaign keeps when its sender goes on, so that a sender that rests is not taken for a lost one."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE campaign ADD COLUMN resume_at timestamptz;
COMMENT ON COLUMN campaign.resume_at IS 'when its sender goes on with messages that have to wait';
"""

DOWNGRADE = "ALTER TABLE campaign DROP COLUMN resume_at;"


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
