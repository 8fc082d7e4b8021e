"""An opt-out in other words than a keyword is a reason of its own: a later consent in the app ends it.

The opt-outs of before stay as they are. Their rows do not tell whether a STOP by keyword followed the other words.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE suppression DROP CONSTRAINT suppression_reason_check;
ALTER TABLE suppression ADD CONSTRAINT suppression_reason_check
    CHECK (reason IN ('stop', 'revocation', 'provider', 'erasure'));
COMMENT ON COLUMN suppression.reason IS 'stop: an opt-out by keyword or in the app; revocation: an opt-out in other words; provider: it refuses; erasure: customer erased';
"""

DOWNGRADE = """
ALTER TABLE suppression DROP CONSTRAINT suppression_reason_check;
UPDATE suppression SET reason = 'stop' WHERE reason = 'revocation';
ALTER TABLE suppression ADD CONSTRAINT suppression_reason_check CHECK (reason IN ('stop', 'provider', 'erasure'));
COMMENT ON COLUMN suppression.reason IS 'stop: an opt-out; provider: it refuses; erasure: customer erased';
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
