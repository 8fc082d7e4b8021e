"""Comments of tables and columns are plain English and name no modules."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UPGRADE = """
COMMENT ON COLUMN customer.phone_hash IS 'HMAC of phone under ENGAGE_HASH_KEY; null if phone is';
COMMENT ON TABLE app_session IS 'One row per session of the app. A raw log: bad rows stay in it and are counted. Partitioned by started_at along the 8-week grid, then by hash of customer_id. No key or index, so that intake is fast.';
COMMENT ON TABLE purchase IS 'One row per purchase. A raw log, partitioned like app_session, by purchased_at.';
COMMENT ON TABLE campaign IS 'One row per window for which a run has started.';
COMMENT ON COLUMN campaign.run_id IS 'the last Airflow run that computed it, or ''cli''';
COMMENT ON COLUMN campaign.settings IS 'snapshot of the settings that extract took';
COMMENT ON COLUMN campaign.rejected IS 'rejected events, by reason';
COMMENT ON COLUMN campaign.sender_token IS 'fences out older senders';
COMMENT ON TABLE customer_activity IS 'One row per window and customer registered before its end, also without any event.';
COMMENT ON TABLE customer_bucket IS 'One row per window and customer: the bucket, and the values that decided it. The thresholds are in campaign.settings.';
COMMENT ON COLUMN customer_bucket.total_spend_cents IS 'as compared with the threshold';
COMMENT ON COLUMN customer_bucket.avg_weekly_sessions IS 'as compared with the threshold';
COMMENT ON TABLE message IS 'The ledger: one row per window and customer in a texted bucket. One phone gets one message.';
COMMENT ON COLUMN message.body IS 'the text that the provider got';
COMMENT ON TABLE suppression IS 'One row per phone that gets no texts. A row outlives the customer''s, and holds no phone number.';
COMMENT ON COLUMN suppression.reason IS 'stop: an opt-out; provider: it refuses; erasure: customer erased';
COMMENT ON COLUMN suppression.source IS 'where the reason comes from';
COMMENT ON COLUMN message.segments IS 'SMS segments of the body, by which the provider charges';
COMMENT ON COLUMN message.error_code IS 'the provider''s number of the error';
COMMENT ON COLUMN message.settled_by IS 'the operator who settled an unknown outcome';
COMMENT ON TABLE app_event IS 'One row per other event of the app. A raw log, partitioned like app_session, by occurred_at. No campaign reads it yet.';
COMMENT ON COLUMN api_key.key_id IS 'the public part of the key';
COMMENT ON COLUMN api_key.name IS 'the client that uses it';
COMMENT ON COLUMN api_key.requests_per_second IS 'rate limit; 0 is none';
COMMENT ON TABLE intake_batch IS 'One row per accepted batch of events, written with its events. Expires after seven days.';
COMMENT ON COLUMN intake_batch.key_id IS 'the API key of the client that sent it';
COMMENT ON COLUMN intake_batch.fingerprint IS 'SHA-256 of the request';
COMMENT ON COLUMN intake_batch.answer IS 'the answer, which a repeated request gets again';
COMMENT ON TABLE inbound_sms IS 'One row per text from a customer, without its wording. Engage acts on each text once.';
COMMENT ON COLUMN inbound_sms.text_class IS 'the request; revocation: an opt-out in other words';
COMMENT ON COLUMN campaign.guard IS 'the guard''s findings, and the run that ignored them';
COMMENT ON COLUMN campaign.approval IS 'the state of the approver''s answer; null if no run asked';
COMMENT ON COLUMN campaign.approval_by IS 'the approver; null if the time ran out';
COMMENT ON COLUMN campaign.asked IS 'runs that asked for approval, each with the time at which its list was made';
COMMENT ON COLUMN campaign.told_at IS 'alerts have reported unknown outcomes and halts up to this time';
"""

DOWNGRADE = """
COMMENT ON COLUMN customer.phone_hash IS 'engage.phone.phone_hash of phone; null with it';
COMMENT ON TABLE app_session IS 'One row per opening of the app. A raw log: bad rows stay in it and are counted. Partitioned by started_at along the 8-week grid, then by hash of customer_id. No key, no index: see docs/decisions.';
COMMENT ON TABLE purchase IS 'One row per purchase. A raw log, partitioned as app_session is, by purchased_at.';
COMMENT ON TABLE campaign IS 'One row per window that a run has opened.';
COMMENT ON COLUMN campaign.run_id IS 'the Airflow run that computed it last, or ''cli''';
COMMENT ON COLUMN campaign.settings IS 'snapshot of engage.settings.Settings';
COMMENT ON COLUMN campaign.rejected IS 'events not counted, by reason';
COMMENT ON COLUMN campaign.sender_token IS 'fences senders';
COMMENT ON TABLE customer_activity IS 'One row per window and customer registered before its end, zeros included.';
COMMENT ON TABLE customer_bucket IS 'One row per window and customer: the bucket, and the values that put it there. The thresholds they were compared with are in campaign.settings.';
COMMENT ON COLUMN customer_bucket.total_spend_cents IS 'the value compared, in cents';
COMMENT ON COLUMN customer_bucket.avg_weekly_sessions IS 'the value compared';
COMMENT ON TABLE message IS 'The ledger: one row per window and customer in a bucket that is texted. One phone, one message.';
COMMENT ON COLUMN message.body IS 'the text as handed to the provider';
COMMENT ON TABLE suppression IS 'One row per phone that is never texted again. It outlives the customer''s row, and holds no number.';
COMMENT ON COLUMN suppression.reason IS 'stop: they said so; provider: it refuses; erasure: forgotten';
COMMENT ON COLUMN suppression.source IS 'how Engage learnt of it';
COMMENT ON COLUMN message.segments IS 'how many the provider charges for the body';
COMMENT ON COLUMN message.error_code IS 'the provider''s own number for it';
COMMENT ON COLUMN message.settled_by IS 'the person who settled an unknown one';
COMMENT ON TABLE app_event IS 'One row per other event of the app. A raw log, partitioned as app_session is, by occurred_at. No campaign reads it yet.';
COMMENT ON COLUMN api_key.key_id IS 'the part of the key that is no secret';
COMMENT ON COLUMN api_key.name IS 'who uses it';
COMMENT ON COLUMN api_key.requests_per_second IS '0 is no limit';
COMMENT ON TABLE intake_batch IS 'One row per accepted batch of events, written with its events. Expires: see engage.maintain.';
COMMENT ON COLUMN intake_batch.key_id IS 'the api_key that sent it';
COMMENT ON COLUMN intake_batch.fingerprint IS 'SHA-256 of what was sent';
COMMENT ON COLUMN intake_batch.answer IS 'what was answered, and is again';
COMMENT ON TABLE inbound_sms IS 'One row per text that somebody sent to us, without the text: each is acted upon once.';
COMMENT ON COLUMN inbound_sms.text_class IS 'what the text asks for; revocation: in other words';
COMMENT ON COLUMN campaign.guard IS 'what engage.guard found, and the run that was told to ignore it';
COMMENT ON COLUMN campaign.approval IS 'whether somebody was asked to approve of its messages, and the answer';
COMMENT ON COLUMN campaign.approval_by IS 'who answered; null for a time-out';
COMMENT ON COLUMN campaign.asked IS 'runs that have asked for approval, and when the list that each asked about was made';
COMMENT ON COLUMN campaign.told_at IS 'up to when somebody was told of messages of unknown fate and of the brake';
"""


def upgrade() -> None:
    op.execute(UPGRADE)


def downgrade() -> None:
    op.execute(DOWNGRADE)
