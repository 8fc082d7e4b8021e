"""What the guard found about a campaign, and the run that was told to ignore it."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE campaign ADD COLUMN guard jsonb;
COMMENT ON COLUMN campaign.guard IS 'what engage.guard found, and the run that was told to ignore it';
"""

DOWNGRADE = "ALTER TABLE campaign DROP COLUMN guard;"


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
