"""Comments of tables and columns name no module of the code and no person without a role."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UPGRADE = """
COMMENT ON COLUMN customer.phone_hash IS 'HMAC of phone under ENGAGE_HASH_KEY; null with it';
COMMENT ON COLUMN campaign.settings IS 'snapshot of the settings that extract took';
COMMENT ON COLUMN campaign.guard IS 'what the guard found, and the run that was told to ignore it';
COMMENT ON COLUMN campaign.told_at IS 'up to when alerts have reported unknown outcomes and the brake';
COMMENT ON TABLE intake_batch IS 'One row per accepted batch of events, written with its events. Expires after seven days.';
"""

DOWNGRADE = """
COMMENT ON COLUMN customer.phone_hash IS 'engage.phone.phone_hash of phone; null with it';
COMMENT ON COLUMN campaign.settings IS 'snapshot of engage.settings.Settings';
COMMENT ON COLUMN campaign.guard IS 'what engage.guard found, and the run that was told to ignore it';
COMMENT ON COLUMN campaign.told_at IS 'up to when somebody was told of messages of unknown fate and of the brake';
COMMENT ON TABLE intake_batch IS 'One row per accepted batch of events, written with its events. Expires: see engage.maintain.';
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
