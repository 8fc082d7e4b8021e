"""The distribution of a computed campaign's customers, kept until it is computed anew."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE campaign ADD COLUMN distribution jsonb;
COMMENT ON COLUMN campaign.distribution IS
  'customers counted by bins of spend and sessions; null if they were not counted since they were computed';

CREATE FUNCTION forget_distribution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.distribution := NULL;
    RETURN NEW;
END $$;
-- a trigger, so that an earlier version that computes the campaign anew leaves no old distribution
CREATE TRIGGER campaign_computed_anew BEFORE UPDATE OF buckets ON campaign FOR EACH ROW
    WHEN (NEW.buckets IS NULL OR jsonb_typeof(NEW.buckets) = 'null') EXECUTE FUNCTION forget_distribution();
"""

DOWNGRADE = """
DROP TRIGGER campaign_computed_anew ON campaign;
DROP FUNCTION forget_distribution();
ALTER TABLE campaign DROP COLUMN distribution;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
