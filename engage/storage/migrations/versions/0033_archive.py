"""What is in the archive of events, and who is to be erased from it."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

ARCHIVED = "One row per window and raw log in the archive."
ERASURE = "One row per forgotten customer whose events the archive may still hold. Deleted once it does not."


def moment(name, nullable=True, comment=None):
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def upgrade() -> None:
    op.create_table(
        "archived_log",
        sa.Column("log", sa.Text, nullable=False, comment="the raw log's name"),
        moment("window_start", nullable=False),
        moment("archived_at", nullable=False, comment="when it was archived first"),
        moment("dropped_at", comment="since when Postgres does not have the events any more"),
        moment("restored_at", comment="when the archive's events were last brought back"),
        sa.PrimaryKeyConstraint("log", "window_start"),
        comment=ARCHIVED,
    )
    op.create_table(
        "archive_erasure",
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        moment("requested_at", nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "requested_at"),
        comment=ERASURE,
    )


def downgrade() -> None:
    op.drop_table("archive_erasure")
    op.drop_table("archived_log")
