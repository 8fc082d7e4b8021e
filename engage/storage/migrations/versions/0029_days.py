"""Events by day, and days for which a reason is known."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE daily_volume (
    day date NOT NULL,
    source text NOT NULL,
    events bigint NOT NULL,
    one_in integer NOT NULL,
    CONSTRAINT daily_volume_pkey PRIMARY KEY (day, source),
    CONSTRAINT daily_volume_source_check CHECK (source IN ('sessions', 'purchases')),
    CONSTRAINT daily_volume_one_in_check CHECK (one_in >= 1),
    CONSTRAINT daily_volume_events_check CHECK (events >= 0)
);
COMMENT ON TABLE daily_volume IS 'One row per day and kind of event: how many valid events there were, also none. Kept for good.';
COMMENT ON COLUMN daily_volume.day IS 'in UTC';
COMMENT ON COLUMN daily_volume.events IS 'valid events of the day';
COMMENT ON COLUMN daily_volume.one_in IS '1 if all events were counted; else those of one in so many customers, and scaled up';
CREATE TABLE explained_day (
    day date NOT NULL,
    source text NOT NULL,
    reason text NOT NULL,
    explained_by text NOT NULL,
    explained_at timestamptz NOT NULL,
    CONSTRAINT explained_day_pkey PRIMARY KEY (day, source),
    CONSTRAINT explained_day_source_check CHECK (source IN ('all', 'sessions', 'purchases'))
);
COMMENT ON TABLE explained_day IS 'One row per day that was marked as explained, such as a holiday. The guard does not tell of it, and no later day is compared with it.';
COMMENT ON COLUMN explained_day.day IS 'in UTC';
COMMENT ON COLUMN explained_day.source IS 'the kind of event, or all';
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute("DROP TABLE daily_volume")
    op.execute("DROP TABLE explained_day")
