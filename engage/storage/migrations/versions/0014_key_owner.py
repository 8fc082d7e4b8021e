"""Idempotency belongs to the owner of an API key; a key may expire; metrics have a scope of their own."""

import sqlalchemy as sa
from alembic import context, op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

UPGRADE = """
ALTER TABLE api_key ADD COLUMN owner text, ADD COLUMN expires_at timestamptz;
UPDATE api_key SET owner = name;
ALTER TABLE api_key ALTER COLUMN owner SET NOT NULL, DROP CONSTRAINT api_key_scopes_check;
UPDATE api_key SET scopes = scopes || ARRAY['metrics'] WHERE 'read' = ANY (scopes);
ALTER TABLE api_key
  ADD CONSTRAINT api_key_scopes_check CHECK (scopes <@ ARRAY['events', 'customers', 'read', 'metrics']);
COMMENT ON COLUMN api_key.owner IS 'the client; all keys of one owner share its idempotency keys';
COMMENT ON COLUMN api_key.expires_at IS 'from then on it is refused; null is never';

DELETE FROM intake_batch later USING intake_batch earlier, api_key one, api_key other
WHERE later.key_id = one.key_id AND earlier.key_id = other.key_id AND one.owner = other.owner
  AND later.idempotency_key = earlier.idempotency_key
  AND (later.accepted_at, later.key_id) > (earlier.accepted_at, earlier.key_id);
UPDATE intake_batch SET key_id = api_key.owner FROM api_key WHERE api_key.key_id = intake_batch.key_id;
ALTER TABLE intake_batch RENAME COLUMN key_id TO owner;
COMMENT ON COLUMN intake_batch.owner IS 'the client that sent it, as api_key.owner names it';
"""

REVOKE_EXPIRED = "UPDATE api_key SET revoked_at = coalesce(revoked_at, expires_at) WHERE expires_at <= :as_of"

DOWNGRADE = """
ALTER TABLE intake_batch RENAME COLUMN owner TO key_id;
UPDATE intake_batch SET key_id = known.key_id
FROM (SELECT owner, max(key_id) AS key_id FROM api_key GROUP BY owner) AS known WHERE known.owner = intake_batch.key_id;
COMMENT ON COLUMN intake_batch.key_id IS 'the API key of the client that sent it';
ALTER TABLE api_key DROP COLUMN owner, DROP COLUMN expires_at, DROP CONSTRAINT api_key_scopes_check;
UPDATE api_key SET scopes = array_remove(scopes, 'metrics');
ALTER TABLE api_key ADD CONSTRAINT api_key_scopes_check CHECK (scopes <@ ARRAY['events', 'customers', 'read']);
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    as_of = context.config.attributes["as_of"]
    op.execute(sa.text(REVOKE_EXPIRED).bindparams(as_of=as_of))
    op.execute(DOWNGRADE)
