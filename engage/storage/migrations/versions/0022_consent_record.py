"""The consent record: every change of a customer's consent, in hash chains that show a changed or missing row.

The customers and suppressions of earlier versions begin the record.
"""

from alembic import context, op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE consent_chain (
    chain smallint NOT NULL,
    length bigint NOT NULL,
    last_hash bytea NOT NULL,
    CONSTRAINT consent_chain_pkey PRIMARY KEY (chain)
) WITH (fillfactor = 10); -- each append changes a row in place
COMMENT ON TABLE consent_chain IS 'One row per hash chain of consent_event: its length and its last hash, so that a cut end shows. Its lock orders the writers.';
INSERT INTO consent_chain SELECT n, 0, '' FROM generate_series(0, 127) n;

CREATE TABLE consent_event (
    chain smallint NOT NULL,
    number bigint NOT NULL,
    customer_id bigint,
    phone_hash bytea,
    state text NOT NULL,
    source text NOT NULL,
    wording text,
    evidence text,
    actor text,
    happened_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    blanked bigint,
    salt bytea,
    sealed bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT consent_event_pkey PRIMARY KEY (chain, number),
    CONSTRAINT consent_event_state_check CHECK (state IN (
        'given', 'absent', 'withdrawn', 'opted_out', 'phone_changed', 'resumed',
        'stopped', 'revoked', 'refused', 'dead_number', 'erased')),
    CONSTRAINT consent_event_source_check CHECK (source IN (
        'app', 'import', 'stop', 'start', 'revocation', 'provider', 'operator', 'erasure', 'earlier'))
);
COMMENT ON TABLE consent_event IS 'One row per change of consent, of a customer or of a phone. Append-only: a trigger refuses changes, but for blanking by an erasure. Kept for good.';
COMMENT ON COLUMN consent_event.chain IS 'by the customer, or by the phone if the change is the phone''s';
COMMENT ON COLUMN consent_event.number IS 'place in the chain, from 1 on without a gap';
COMMENT ON COLUMN consent_event.customer_id IS 'null if the change is the phone''s; a random negative number once the customer is erased';
COMMENT ON COLUMN consent_event.phone_hash IS 'HMAC of the phone under ENGAGE_HASH_KEY; of a customer, the phone after the change';
COMMENT ON COLUMN consent_event.wording IS 'what the customer agreed to; null once it is blanked';
COMMENT ON COLUMN consent_event.evidence IS 'where the consent was given, the id of the text, or a reason; null once it is blanked';
COMMENT ON COLUMN consent_event.actor IS 'the API key, the user or the provider; null if the customer sent a text';
COMMENT ON COLUMN consent_event.happened_at IS 'when the customer did it; it counts from then on, but not before recorded_at';
COMMENT ON COLUMN consent_event.blanked IS 'rows that this erasure has blanked';
COMMENT ON COLUMN consent_event.salt IS 'random; null once the row is blanked';
COMMENT ON COLUMN consent_event.sealed IS 'hash of salt, customer_id, wording and evidence; stays when they are blanked';
COMMENT ON COLUMN consent_event.hash IS 'SHA-256 of the hash before it and of this row';
"""

FUNCTIONS = r"""
-- a value with its length before it, so that no two rows give the same bytes. STABLE, as convert_to is: otherwise
-- Postgres would not inline these, and take five times as long
CREATE FUNCTION consent_field(value bytea) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT coalesce(int4send(length(value)) || value, '\xffffffff'::bytea) $$;

CREATE FUNCTION consent_seal(salt bytea, customer_id bigint, wording text, evidence text)
    RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT sha256(salt || consent_field(int8send(customer_id)) || consent_field(convert_to(wording, 'UTF8'))
        || consent_field(convert_to(evidence, 'UTF8'))) $$;

CREATE FUNCTION consent_row(
    chain smallint, number bigint, phone_hash bytea, state text, source text, actor text,
    happened_at timestamptz, recorded_at timestamptz, blanked bigint, sealed bytea
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT int2send(chain) || int8send(number) || consent_field(phone_hash)
        || consent_field(convert_to(state, 'UTF8')) || consent_field(convert_to(source, 'UTF8'))
        || consent_field(convert_to(actor, 'UTF8')) || timestamptz_send(happened_at) || timestamptz_send(recorded_at)
        || consent_field(int8send(blanked)) || consent_field(sealed) $$;

CREATE FUNCTION consent_link(previous bytea, first bytea, fields bytea)
    RETURNS bytea LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$ BEGIN RETURN sha256(coalesce(previous, first) || fields); END $$;

-- the hashes of rows in their order; "first" is the hash that they follow
CREATE AGGREGATE consent_links(first bytea, fields bytea) (SFUNC = consent_link, STYPE = bytea);

CREATE FUNCTION keep_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.salt IS NOT NULL AND coalesce(NEW.salt::text, NEW.wording, NEW.evidence) IS NULL
        AND (NEW.customer_id < 0 OR coalesce(NEW.customer_id, OLD.customer_id) IS NULL)
        AND (NEW.chain, NEW.number, NEW.phone_hash, NEW.state, NEW.source, NEW.actor, NEW.happened_at, NEW.recorded_at,
            NEW.blanked, NEW.sealed, NEW.hash) IS NOT DISTINCT FROM (OLD.chain, OLD.number, OLD.phone_hash, OLD.state,
            OLD.source, OLD.actor, OLD.happened_at, OLD.recorded_at, OLD.blanked, OLD.sealed, OLD.hash)
    THEN
        RETURN NEW; -- an erasure blanks it
    END IF;
    RAISE EXCEPTION 'the consent record is append-only: it takes no %', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER consent_event_blank BEFORE UPDATE ON consent_event FOR EACH ROW EXECUTE FUNCTION keep_consent();
CREATE TRIGGER consent_event_keep BEFORE DELETE OR TRUNCATE ON consent_event
    FOR EACH STATEMENT EXECUTE FUNCTION keep_consent();
"""

BACKFILL = """
INSERT INTO consent_event (chain, number, customer_id, phone_hash, state, source, evidence, happened_at, recorded_at,
    salt, sealed, hash)
WITH known AS (
    SELECT customer_id, phone_hash, CASE WHEN consent_at IS NULL THEN 'absent' ELSE 'given' END AS state,
        consent_source AS evidence, coalesce(consent_at, registered_at) AS happened_at
    FROM customer WHERE NOT synthetic
    UNION ALL
    SELECT customer_id, phone_hash, 'opted_out', NULL, opted_out_at
    FROM customer WHERE opted_out_at IS NOT NULL
    UNION ALL
    SELECT NULL, phone_hash, CASE reason WHEN 'stop' THEN 'stopped' WHEN 'revocation' THEN 'revoked'
        WHEN 'provider' THEN 'refused' WHEN 'erasure' THEN 'erased' ELSE reason END, source, suppressed_at
    FROM suppression
), placed AS (
    SELECT *, coalesce(customer_id & 63, 64 + (get_byte(phone_hash, 0) & 63))::smallint AS chain FROM known
), salted AS MATERIALIZED (
    SELECT *, row_number() OVER (PARTITION BY chain ORDER BY happened_at, customer_id) AS number,
        uuid_send(gen_random_uuid()) AS salt
    FROM placed
), sealed AS (
    SELECT *, consent_seal(salt, customer_id, NULL, evidence) AS sealed FROM salted
)
SELECT chain, number, customer_id, phone_hash, state, 'earlier', evidence, happened_at, %(as_of)s::timestamptz, salt, sealed,
    consent_links('', consent_row(chain, number, phone_hash, state, 'earlier', NULL, happened_at, %(as_of)s::timestamptz, NULL,
        sealed)) OVER (PARTITION BY chain ORDER BY number)
FROM sealed;
"""

ENDING = """
CREATE INDEX consent_event_customer_id_idx ON consent_event (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX consent_event_phone_hash_idx ON consent_event (phone_hash) WHERE phone_hash IS NOT NULL;
UPDATE consent_chain SET length = last.number, last_hash = last.hash
FROM (SELECT DISTINCT ON (chain) chain, number, hash FROM consent_event ORDER BY chain, number DESC) last
WHERE last.chain = consent_chain.chain;
"""

DOWNGRADE = """
DROP TABLE consent_event;
DROP TABLE consent_chain;
DROP FUNCTION keep_consent();
DROP AGGREGATE consent_links(bytea, bytea);
DROP FUNCTION consent_link(bytea, bytea, bytea);
DROP FUNCTION consent_row(smallint, bigint, bytea, text, text, text, timestamptz, timestamptz, bigint, bytea);
DROP FUNCTION consent_seal(bytea, bigint, text, text);
DROP FUNCTION consent_field(bytea);
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    as_of = context.config.attributes.get("as_of")
    op.get_bind().exec_driver_sql(BACKFILL, {"as_of": as_of})
    op.execute(ENDING)


def downgrade() -> None:
    op.execute(DOWNGRADE)
