"""Where a campaign's budget cut its list."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0032"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    words = "where the budget cut the list, by segment; null if it did not"
    op.add_column("campaign", sa.Column("budget_cut", JSONB, comment=words))


def downgrade() -> None:
    op.drop_column("campaign", "budget_cut")
