"""A source of events in a warehouse: how far each part of it is read, and what a campaign pulled."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE source_pull (
    source text NOT NULL,
    kind text NOT NULL,
    window_start timestamptz NOT NULL,
    part text NOT NULL,
    version text NOT NULL,
    counted bigint NOT NULL,
    rows_read bigint NOT NULL,
    stored bigint NOT NULL,
    outside bigint NOT NULL,
    rejected jsonb NOT NULL,
    first_at timestamptz,
    last_at timestamptz,
    began_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT source_pull_pkey PRIMARY KEY (source, kind, window_start, part)
);
COMMENT ON TABLE source_pull IS 'One row per window and part of a source of events: how far it is read. Each chunk of rows is written in one transaction with its event ids and this row.';
COMMENT ON COLUMN source_pull.source IS 'the connection''s name';
COMMENT ON COLUMN source_pull.kind IS 'the events'' type, as over HTTP';
COMMENT ON COLUMN source_pull.part IS 'the first day of a slice of a query, or a file''s name';
COMMENT ON COLUMN source_pull.version IS 'changes with the file, or with the query';
COMMENT ON COLUMN source_pull.counted IS 'rows that the source itself counts';
COMMENT ON COLUMN source_pull.rows_read IS 'by the last reading';
COMMENT ON COLUMN source_pull.stored IS 'rows that became events, by all readings';
COMMENT ON COLUMN source_pull.outside IS 'rows of another time than the window''s';
COMMENT ON COLUMN source_pull.rejected IS 'rows that are no right event, by reason';
COMMENT ON COLUMN source_pull.first_at IS 'the earliest time in it';
COMMENT ON COLUMN source_pull.last_at IS 'the latest time in it';
COMMENT ON COLUMN source_pull.began_at IS 'when its first reading began';
COMMENT ON COLUMN source_pull.finished_at IS 'when its last reading was complete; null if it was broken off';

ALTER TABLE campaign ADD COLUMN pulled jsonb;
COMMENT ON COLUMN campaign.pulled IS 'what extract pulled from engage_source: rows by kind of event; null without a source';
"""

DOWNGRADE = """
ALTER TABLE campaign DROP COLUMN pulled;
DROP TABLE source_pull;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
