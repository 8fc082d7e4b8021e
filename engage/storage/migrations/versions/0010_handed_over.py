"""When a claimed message was handed over, apart from the claim: what was not goes back to the queue after a crash."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE message ADD COLUMN handed_over_at timestamptz;
UPDATE message SET handed_over_at = sending_at WHERE status = 'sending';
COMMENT ON COLUMN message.handed_over_at IS 'from when on the provider may have it; null while it is only claimed';
"""

DOWNGRADE = "ALTER TABLE message DROP COLUMN handed_over_at;"


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
