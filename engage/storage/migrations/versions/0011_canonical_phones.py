"""Phones in their canonical form only. Needs ENGAGE_HASH_KEY, unless all customers are synthetic."""

from alembic import context, op

from engage.storage.migrations import canonical_phones

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    given = context.config.attributes
    canonical_phones.merge(op.get_bind(), given.get("hash_key"), given.get("as_of"))
    op.execute("COMMENT ON COLUMN customer.phone IS 'in the canonical form of E.164, or null'")


def downgrade() -> None:
    op.execute("COMMENT ON COLUMN customer.phone IS 'E.164, or null'")
