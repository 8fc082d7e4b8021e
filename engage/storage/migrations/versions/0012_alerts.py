"""Alerts are kept in an outbox until they have been mailed."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE alert (
  alert_id bigint GENERATED ALWAYS AS IDENTITY,
  kind text NOT NULL,
  window_start timestamptz,
  detail jsonb NOT NULL,
  link text,
  incident text,
  raised_at timestamptz NOT NULL,
  mailed_at timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  last_error text,
  CONSTRAINT alert_pkey PRIMARY KEY (alert_id),
  CONSTRAINT alert_incident_key UNIQUE (incident),
  CONSTRAINT alert_kind_check CHECK (kind IN ('task_failed', 'approval_requested', 'approval_timed_out',
    'campaign_halted', 'messages_unknown', 'poor_delivery', 'window_stuck'))
);
COMMENT ON TABLE alert IS 'The outbox of alerts to the operators. One row per alert, written with the fact that it reports.';
COMMENT ON COLUMN alert.detail IS 'what its text needs; holds no customer data';
COMMENT ON COLUMN alert.link IS 'the log of the task, if a task raised it';
COMMENT ON COLUMN alert.incident IS 'names the incident; a second alert of it is not raised';
COMMENT ON COLUMN alert.last_error IS 'the kind of error of the last attempt to mail it';

INSERT INTO alert (kind, window_start, detail, raised_at)
SELECT 'messages_unknown', message.window_start, jsonb_build_object('count', count(*)), coalesce(max(unknown_at), max(sending_at), max(queued_at))
FROM message JOIN campaign USING (window_start)
WHERE message.status = 'unknown' AND (told_at IS NULL OR unknown_at > told_at)
GROUP BY message.window_start;
INSERT INTO alert (kind, window_start, detail, raised_at)
SELECT 'campaign_halted', window_start, jsonb_build_object('why', coalesce(halted_why, '')), halted_at
FROM campaign WHERE halted_by = 'Engage itself' AND halted_at IS NOT NULL AND (told_at IS NULL OR halted_at > told_at);
ALTER TABLE campaign DROP COLUMN told_at;
"""

DOWNGRADE = """
ALTER TABLE campaign ADD COLUMN told_at timestamptz;
COMMENT ON COLUMN campaign.told_at IS 'alerts have reported unknown outcomes and halts up to this time';
UPDATE campaign SET told_at = greatest(
  halted_at, (SELECT max(unknown_at) FROM message WHERE message.window_start = campaign.window_start))
WHERE NOT EXISTS (SELECT FROM alert WHERE alert.window_start = campaign.window_start AND mailed_at IS NULL);
DROP TABLE alert;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
