"""Counts of the ledger, kept by a trigger; and what the run that computed a campaign may do with its messages."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE message_count (
    change_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    window_start timestamptz NOT NULL,
    bucket text NOT NULL,
    status text NOT NULL,
    reason text,
    fact text,
    taken boolean NOT NULL,
    messages bigint NOT NULL,
    segments bigint NOT NULL,
    first_claim_at timestamptz,
    last_claim_at timestamptz,
    CONSTRAINT message_count_pkey PRIMARY KEY (change_id)
);
COMMENT ON TABLE message_count IS 'The ledger counted: one row per change of a group of messages, for adding up. A trigger on message writes it with each change, and folds the rows of a window now and then.';
COMMENT ON COLUMN message_count.taken IS 'whether the provider has accepted them';
COMMENT ON COLUMN message_count.messages IS 'negative if messages have left the group';
COMMENT ON COLUMN message_count.segments IS 'of the messages with a body';

CREATE FUNCTION count_messages() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    folds bigint[];
BEGIN
    -- a change is a row of its own: adding it to a common row would make senders and receipts wait for each other
    IF TG_OP = 'UPDATE' THEN
        WITH moved AS (
            SELECT window_start, bucket, status, reason, fact, accepted_at IS NOT NULL AS taken, 1 AS messages,
                   segments, sending_at
              FROM new_messages
            UNION ALL
            SELECT window_start, bucket, status, reason, fact, accepted_at IS NOT NULL, -1, -segments, sending_at
              FROM old_messages
        ), added AS (
            INSERT INTO message_count (window_start, bucket, status, reason, fact, taken, messages, segments,
                                       first_claim_at, last_claim_at)
            SELECT window_start, bucket, status, reason, fact, taken, sum(messages), coalesce(sum(segments), 0),
                   min(sending_at) FILTER (WHERE messages > 0), max(sending_at) FILTER (WHERE messages > 0)
              FROM moved
             GROUP BY window_start, bucket, status, reason, fact, taken
            HAVING sum(messages) <> 0 OR coalesce(sum(segments), 0) <> 0
                OR max(sending_at) FILTER (WHERE messages > 0)
                   IS DISTINCT FROM max(sending_at) FILTER (WHERE messages < 0)
            RETURNING change_id
        )
        SELECT array_agg(change_id) INTO folds FROM added WHERE change_id % 64 = 0;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO message_count (window_start, bucket, status, reason, fact, taken, messages, segments,
                                   first_claim_at, last_claim_at)
        SELECT window_start, bucket, status, reason, fact, accepted_at IS NOT NULL, count(*),
               coalesce(sum(segments), 0), min(sending_at), max(sending_at)
          FROM new_messages
         GROUP BY window_start, bucket, status, reason, fact, accepted_at IS NOT NULL;
    ELSE
        INSERT INTO message_count (window_start, bucket, status, reason, fact, taken, messages, segments)
        SELECT window_start, bucket, status, reason, fact, accepted_at IS NOT NULL, -count(*),
               -coalesce(sum(segments), 0)
          FROM old_messages
         GROUP BY window_start, bucket, status, reason, fact, accepted_at IS NOT NULL;
    END IF;
    IF folds IS NOT NULL THEN
        WITH of_window AS (
            SELECT change_id FROM message_count
             WHERE window_start IN (SELECT window_start FROM message_count WHERE change_id = ANY (folds))
               FOR UPDATE SKIP LOCKED  -- those of another fold stay as they are
        ), folded AS (
            DELETE FROM message_count WHERE change_id IN (SELECT change_id FROM of_window) RETURNING *
        )
        INSERT INTO message_count (window_start, bucket, status, reason, fact, taken, messages, segments,
                                   first_claim_at, last_claim_at)
        SELECT window_start, bucket, status, reason, fact, taken, sum(messages), sum(segments),
               min(first_claim_at), max(last_claim_at)
          FROM folded
         GROUP BY window_start, bucket, status, reason, fact, taken
        HAVING sum(messages) <> 0 OR sum(segments) <> 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER message_counted_insert AFTER INSERT ON message
    REFERENCING NEW TABLE AS new_messages FOR EACH STATEMENT EXECUTE FUNCTION count_messages();
CREATE TRIGGER message_counted_update AFTER UPDATE ON message
    REFERENCING OLD TABLE AS old_messages NEW TABLE AS new_messages
    FOR EACH STATEMENT EXECUTE FUNCTION count_messages();
CREATE TRIGGER message_counted_delete AFTER DELETE ON message
    REFERENCING OLD TABLE AS old_messages FOR EACH STATEMENT EXECUTE FUNCTION count_messages();

-- CREATE TRIGGER keeps writers out until the commit, so these are all messages
INSERT INTO message_count (window_start, bucket, status, reason, fact, taken, messages, segments,
                           first_claim_at, last_claim_at)
SELECT window_start, bucket, status, reason, fact, accepted_at IS NOT NULL, count(*), coalesce(sum(segments), 0),
       min(sending_at), max(sending_at)
  FROM message
 GROUP BY window_start, bucket, status, reason, fact, accepted_at IS NOT NULL;

ALTER TABLE campaign ADD COLUMN mode text;
ALTER TABLE campaign ADD CONSTRAINT campaign_mode_check CHECK (mode IN ('text', 'dry_run', 'backfill', 'late'));
COMMENT ON COLUMN campaign.mode IS 'what the last run may do with its messages; null if that is not known';
UPDATE campaign SET mode = CASE
    WHEN EXISTS (SELECT FROM message_count counted WHERE counted.window_start = campaign.window_start
                  AND (status <> 'skipped' OR reason = 'rejected')) THEN 'text'
    WHEN EXISTS (SELECT FROM message_count counted WHERE counted.window_start = campaign.window_start
                  AND reason = 'backfill') THEN 'backfill'
    WHEN EXISTS (SELECT FROM message_count counted WHERE counted.window_start = campaign.window_start
                  AND reason = 'too_late') THEN 'late'
    -- a queue that was made and left no message was that of a dry run
    WHEN status = 'bucketed' AND timings ? 'queue' AND NOT EXISTS (
        SELECT FROM message_count counted WHERE counted.window_start = campaign.window_start) THEN 'dry_run'
    WHEN run_id LIKE 'backfill\_\_%' THEN 'backfill'
END;
"""

DOWNGRADE = """
ALTER TABLE campaign DROP COLUMN mode;
DROP TRIGGER message_counted_insert ON message;
DROP TRIGGER message_counted_update ON message;
DROP TRIGGER message_counted_delete ON message;
DROP FUNCTION count_messages();
DROP TABLE message_count;
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
