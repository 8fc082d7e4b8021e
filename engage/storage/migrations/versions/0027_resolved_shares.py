"""The numbers that shares of the customers, such as ``lowest 20%``, became in a campaign."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE campaign ADD COLUMN resolved jsonb;
COMMENT ON COLUMN campaign.resolved IS
  'the numbers that shares of the customers in settings became, by threshold or line; null until bucket';

-- the trigger of 0017 calls it when buckets become null: they are no longer those of the present numbers
CREATE OR REPLACE FUNCTION forget_distribution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.distribution := NULL;
    NEW.resolved := NULL;
    RETURN NEW;
END $$;
"""

DOWNGRADE = """
CREATE OR REPLACE FUNCTION forget_distribution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.distribution := NULL;
    RETURN NEW;
END $$;
ALTER TABLE campaign DROP COLUMN resolved;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
