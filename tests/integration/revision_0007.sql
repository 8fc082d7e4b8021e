-- A campaign of five customers, approved and sent, as the version of revision 0007 wrote it.

INSERT INTO customer (customer_id, registered_at, name, phone, phone_hash, consent_at, consent_source) VALUES
    (1, '2026-08-15', 'Ada', '+999000000001', '\xd93bb8c43f9bb9585ec47c1c54eb2240', '2026-08-15', 'app'),
    (2, '2026-08-15', 'Ben', '+999000000002', '\x8af2f76bc7b5a38d8766f05c67162404', '2026-08-15', 'app'),
    (3, '2026-08-15', 'Cyd', NULL, NULL, '2026-08-15', 'app'),
    (4, '2026-08-15', 'Dan', '+999000000004', '\x9b8654d0d520081d20a9645937d1077c', '2026-08-15', 'app'),
    (5, '2026-08-15', 'Eve', '+999000000005', '\x00112233445566778899aabbccddeeff', '2026-08-15', 'app');

INSERT INTO campaign (
    window_start, window_end, run_id, status, opened_at, frozen_at, finished_at, told_at, sender_token, customers,
    approval, approval_at, approval_by, settings, events, rejected, buckets, timings, guard, asked
) VALUES (
    '2026-09-14', '2026-11-09', 'scheduled__2026-09-14', 'complete', '2026-11-10 09:00', '2026-11-10 09:01',
    '2026-11-10 09:03', '2026-11-10 09:04', 1, 5, 'approved', '2026-11-10 09:02', 'the approver',
    '{"keep_windows": 13, "max_segments": 3, "sms_provider": "sandbox", "sending_hours": "8:00-21:00",
      "message_boost": "We miss you! Reply STOP to opt out.", "message_reward": "Thank you! Reply STOP to opt out.",
      "approval_hours": 48, "sandbox_strict": false, "holdout_percent": 0.0, "require_approval": true,
      "send_concurrency": 10, "send_within_days": 7, "low_spend_threshold": 120.5, "messages_per_second": 0.0,
      "guard_max_quiet_days": 3, "max_filtered_percent": 10.0, "max_messages_per_run": 0,
      "guard_max_shift_points": 25.0, "high_activity_threshold": 5.0, "guard_min_volume_percent": 50.0,
      "min_days_between_messages": 7}',
    '{"sessions": 51, "purchases": 5}',
    '{"future_dated": 0, "invalid_amount": 0, "missing_customer": 2, "registered_later": 0, "unknown_customer": 0,
      "missing_timestamp": 0}',
    '{"NONE": 1, "BOOST": 3, "REWARD": 1}',
    '{"send": 0.348, "queue": 0.089, "bucket": 0.059, "extract": 0.07, "aggregate": 0.042}',
    '{"findings": [{"check": "volume", "of": "sessions", "found": 25.5, "limit": 50.0,
                    "sentence": "there are 51 sessions"}], "ignored_by": "scheduled__2026-09-14"}',
    '{"scheduled__2026-09-14": "2026-11-10T09:01:00+00:00"}'
);

CREATE TABLE customer_activity_20260914 PARTITION OF customer_activity FOR VALUES IN ('2026-09-14T00:00:00+00:00');
INSERT INTO customer_activity
    (window_start, customer_id, sessions, purchases, total_spend_cents, avg_weekly_sessions) VALUES
    ('2026-09-14', 1, 0, 1, 1000, 0),
    ('2026-09-14', 2, 0, 1, 1000, 0),
    ('2026-09-14', 3, 0, 1, 1000, 0),
    ('2026-09-14', 4, 48, 1, 15000, 6),
    ('2026-09-14', 5, 3, 1, 15000, 0.375);

CREATE TABLE customer_bucket_20260914 PARTITION OF customer_bucket FOR VALUES IN ('2026-09-14T00:00:00+00:00');
INSERT INTO customer_bucket (window_start, customer_id, bucket, total_spend_cents, avg_weekly_sessions) VALUES
    ('2026-09-14', 1, 'BOOST', 1000, 0),
    ('2026-09-14', 2, 'BOOST', 1000, 0),
    ('2026-09-14', 3, 'BOOST', 1000, 0),
    ('2026-09-14', 4, 'REWARD', 15000, 6),
    ('2026-09-14', 5, 'NONE', 15000, 0.375);

CREATE TABLE message_20260914 PARTITION OF message FOR VALUES IN ('2026-09-14T00:00:00+00:00');
INSERT INTO message (
    window_start, customer_id, bucket, status, reason, phone_hash, provider, provider_message_id, sender_token, body,
    segments, error, queued_at, sending_at, unknown_at, accepted_at, sent_at, settled_at
) VALUES
    ('2026-09-14', 1, 'BOOST', 'delivered', NULL, '\xd93bb8c43f9bb9585ec47c1c54eb2240', 'sandbox', 'sandbox-74c6-1', 1,
     'We miss you! Reply STOP to opt out.', 1, NULL, '2026-11-10 09:01', '2026-11-10 09:03', NULL, '2026-11-10 09:03',
     '2026-11-10 09:03', '2026-11-10 09:05'),
    ('2026-09-14', 2, 'BOOST', 'unknown', NULL, '\x8af2f76bc7b5a38d8766f05c67162404', 'sandbox', NULL, 1,
     'We miss you! Reply STOP to opt out.', 1, 'the connection broke', '2026-11-10 09:01', '2026-11-10 09:03',
     '2026-11-10 09:03', NULL, NULL, NULL),
    ('2026-09-14', 3, 'BOOST', 'skipped', 'no_phone', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-10 09:01',
     NULL, NULL, NULL, NULL, NULL),
    ('2026-09-14', 4, 'REWARD', 'accepted', NULL, '\x9b8654d0d520081d20a9645937d1077c', 'sandbox', 'sandbox-74c6-3', 1,
     'Thank you! Reply STOP to opt out.', 1, NULL, '2026-11-10 09:01', '2026-11-10 09:03', NULL, '2026-11-10 09:03',
     NULL, NULL);
