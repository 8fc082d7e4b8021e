"""Indexes by which the pages find a customer: the words of the name, and the last digits of the phone."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX customer_name_words_idx ON customer USING gin (to_tsvector('simple', name))")
    op.execute("CREATE INDEX customer_phone_reversed_idx ON customer (reverse(phone) text_pattern_ops)")


def downgrade() -> None:
    op.execute("DROP INDEX customer_name_words_idx, customer_phone_reversed_idx")
