"""Odd customers: those that a campaign found, and those that an operator has excluded."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE odd_customer (
    window_start timestamptz NOT NULL,
    measure text NOT NULL,
    customer_id bigint NOT NULL,
    found_by text NOT NULL,
    value bigint NOT NULL,
    most bigint NOT NULL,
    CONSTRAINT odd_customer_pkey PRIMARY KEY (window_start, measure, customer_id),
    CONSTRAINT odd_customer_measure_check CHECK (measure IN ('sessions', 'spend', 'purchase', 'phone')),
    CONSTRAINT odd_customer_found_by_check CHECK (found_by IN ('fixed', 'chance'))
);
COMMENT ON TABLE odd_customer IS 'One row per window, measure and customer far beyond the others, at most a hundred per limit. campaign.odd counts all of them.';
COMMENT ON COLUMN odd_customer.found_by IS 'where the limit comes from';
COMMENT ON COLUMN odd_customer.value IS 'sessions, cents, or customers on the phone';
COMMENT ON COLUMN odd_customer.most IS 'the limit: the largest value that is not odd';

CREATE TABLE customer_exclusion (
    customer_id bigint NOT NULL,
    reason text NOT NULL,
    excluded_by text NOT NULL,
    excluded_at timestamptz NOT NULL,
    CONSTRAINT customer_exclusion_pkey PRIMARY KEY (customer_id)
);
COMMENT ON TABLE customer_exclusion IS 'One row per customer whom an operator has excluded from the texts of every campaign.';

ALTER TABLE campaign ADD COLUMN odd jsonb;
COMMENT ON COLUMN campaign.odd IS 'odd customers: the limit of each kind, and how many customers are beyond it; null until bucket';
"""

DOWNGRADE = """
ALTER TABLE campaign DROP COLUMN odd;
DROP TABLE customer_exclusion, odd_customer;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
