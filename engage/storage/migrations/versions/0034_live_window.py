"""The live window: what customers have done so far in the running window."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

LIKE = {
    "live_activity": (
        "customer_activity",
        "One row per customer of the live window, as customer_activity will have it if nothing more happens.",
    ),
    "live_bucket": (
        "customer_bucket",
        "One row per customer of the live window: the segment so far. No message is made from it.",
    ),
}


def upgrade() -> None:
    op.create_table(
        "live_window",
        sa.Column("window_start", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False, comment="later events do not count"),
        sa.Column("settings", JSONB, nullable=False, comment="snapshot of the settings at as_of"),
        sa.Column("resolved", JSONB, nullable=False, comment="the numbers that shares of the customers became so far"),
        sa.Column("events", JSONB, nullable=False, comment="valid events so far, by kind"),
        sa.Column("customers", sa.BigInteger, nullable=False, comment="rows of live_activity"),
        sa.Column("total_spend_cents", sa.BigInteger, nullable=False, comment="of all customers so far, after refunds"),
        sa.Column("buckets", JSONB, nullable=False, comment="customers by segment so far"),
        sa.Column(
            "projection",
            JSONB,
            comment="counts at the window's end at the pace so far; null while too little of the window is over",
        ),
        sa.Column("guard", JSONB, nullable=False, comment="the guard's findings so far, which stop nothing"),
        sa.Column("scored", sa.Boolean, nullable=False, comment="whether live_activity has return scores"),
        sa.Column("seconds", sa.Double, nullable=False, comment="how long it took to compute"),
        comment="One row at most: the running window as computed last. Its campaign replaces it once the window is "
        "over.",
    )
    for name, (table, comment) in LIKE.items():
        op.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING COMMENTS) PARTITION BY LIST (window_start)")
        op.execute(f"ALTER TABLE {name} ADD PRIMARY KEY (customer_id, window_start)")
        op.create_table_comment(name, comment)


def downgrade() -> None:
    for name in (*LIKE, "live_window"):
        op.drop_table(name)
