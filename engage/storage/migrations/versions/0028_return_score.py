"""The return score: what each training has learnt, and each customer's score."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE model (
    model_id bigint GENERATED ALWAYS AS IDENTITY,
    trained_at timestamptz NOT NULL,
    window_start timestamptz NOT NULL,
    windows integer NOT NULL,
    customers bigint NOT NULL,
    returns bigint NOT NULL,
    coefficients jsonb NOT NULL,
    calibration jsonb NOT NULL,
    auc double precision,
    auc_static double precision,
    in_use boolean NOT NULL,
    why text NOT NULL,
    CONSTRAINT model_pkey PRIMARY KEY (model_id),
    CONSTRAINT model_returns_check CHECK (returns BETWEEN 0 AND customers)
);
COMMENT ON TABLE model IS 'One row per training of the return score. A row never changes; the newest one decides.';
COMMENT ON COLUMN model.window_start IS 'the newest window whose customers it has learnt from';
COMMENT ON COLUMN model.windows IS 'windows that it has learnt from';
COMMENT ON COLUMN model.customers IS 'customers that it has learnt from, each once per window';
COMMENT ON COLUMN model.returns IS 'how many of them bought in the next window';
COMMENT ON COLUMN model.coefficients IS 'the constant, then each feature with its coefficient, standard error and mean';
COMMENT ON COLUMN model.calibration IS 'ten bins of customers by score, in windows it had not learnt from: returns expected and actual';
COMMENT ON COLUMN model.auc IS 'in the last two windows, by what the ones before teach; null if unknown';
COMMENT ON COLUMN model.auc_static IS 'as auc, of the window''s spend alone';
COMMENT ON COLUMN model.in_use IS 'whether campaigns may score by it';
COMMENT ON COLUMN model.why IS 'why it may be used, or what is missing';

ALTER TABLE campaign ADD COLUMN model_id bigint CONSTRAINT campaign_model_id_fkey REFERENCES model;
COMMENT ON COLUMN campaign.model_id IS 'the training by which aggregate scored its customers; null if it did not';

ALTER TABLE customer_activity
    ADD COLUMN return_score double precision,
    ADD COLUMN return_percentile double precision;
COMMENT ON COLUMN customer_activity.return_score IS 'the chance of a purchase in the next window, by campaign.model_id; null without a model';
COMMENT ON COLUMN customer_activity.return_percentile IS 'percent of the window''s customers with a lower return_score';
"""

DOWNGRADE = """
ALTER TABLE customer_activity DROP COLUMN return_score, DROP COLUMN return_percentile;
ALTER TABLE campaign DROP COLUMN model_id;
DROP TABLE model;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
