"""Keys begin with what differs: within a window's partition every row has the same window_start."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RESULTS = ("customer_activity", "customer_bucket", "message")


def _key(columns: str) -> None:
    for table in RESULTS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY ({columns})")


def upgrade() -> None:
    _key("customer_id, window_start")
    op.execute("DROP INDEX message_window_start_phone_hash_idx")
    op.execute(
        "CREATE UNIQUE INDEX message_phone_hash_window_start_idx ON message (phone_hash, window_start) WHERE reason IS NULL"
    )


def downgrade() -> None:
    _key("window_start, customer_id")
    op.execute("DROP INDEX message_phone_hash_window_start_idx")
    op.execute(
        "CREATE UNIQUE INDEX message_window_start_phone_hash_idx ON message (window_start, phone_hash) WHERE reason IS NULL"
    )
