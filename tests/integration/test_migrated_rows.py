"""What a migration makes of the rows of an earlier version."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import distribution, message_counts
from engage.campaigns.run_options import RunOptions
from engage.reports import customer_history
from engage.reports.report import report
from engage.sending import queue
from engage.settings import Settings
from engage.steps import approve
from engage.storage import migrations
from engage.storage.schema import message
from tests.integration.conftest import World

NUMBERS = "window_start, customer_id, sessions, purchases, total_spend_cents, avg_weekly_sessions"
BUCKET = "window_start, customer_id, bucket, total_spend_cents, avg_weekly_sessions"
LEDGER = "customer_id, bucket, status, reason, phone_hash, provider_message_id, sender_token, body, accepted_at"


def there_and_back(world, now, revision):
    """Take the database back to the revision of an earlier version, and upgrade it again."""
    migrations.downgrade(world.engine, revision)
    migrations.upgrade(world.engine, now)


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_a_database_of_an_earlier_revision_keeps_its_rows(world, now, revision):
    world.sessions(world.customer(), 5)
    world.computed()
    world.message()
    rows = [f"SELECT {NUMBERS} FROM customer_activity", f"SELECT {BUCKET} FROM customer_bucket",
            f"SELECT {LEDGER} FROM message"]  # fmt: skip
    before = list(map(world.rows, rows))
    there_and_back(world, now, revision)
    assert list(map(world.rows, rows)) == before


@pytest.mark.parametrize(
    ("status", "error_code", "fact"),
    [
        ("undelivered", 30007, "filtered"),
        ("failed", 21610, "opted_out"),
        ("failed", 21211, "number_invalid"),
        ("failed", 99999, None),
        ("accepted", 20429, None),
        ("delivered", None, None),
    ],
)
def test_a_message_from_before_facts_were_kept_gets_its_own(world, now, status, error_code, fact):
    world.sessions(world.customer(), 5)
    world.computed()
    world.message()
    world.execute(sa.update(message).values(status=status, error_code=error_code))
    there_and_back(world, now, "0008")
    assert world.rows("SELECT status, error_code, fact FROM message") == [(status, error_code, fact)]


def test_batches_from_before_keys_had_owners_belong_to_the_keys_names(world, now):
    migrations.downgrade(world.engine, "0013")
    for key_id, name in (("k1", "app"), ("k2", "app"), ("k3", "shop")):
        row = f"'{key_id}', '{name}', '', ARRAY['events', 'read'], 0, '2026-01-01'"
        world.execute(sa.text(f"INSERT INTO api_key VALUES ({row})"))
    for key_id, name, day in (("k1", "a", 1), ("k2", "a", 2), ("k2", "b", 3), ("k3", "a", 4), ("gone", "a", 5)):
        row = f"'{key_id}', '{name}', '', '2026-01-0{day}', '{{}}'"
        world.execute(sa.text(f"INSERT INTO intake_batch VALUES ({row})"))
    migrations.upgrade(world.engine, now)
    kept = "SELECT owner, idempotency_key, extract(day from accepted_at)::int FROM intake_batch ORDER BY 3"
    assert world.rows(kept) == [
        ("app", "a", 1), ("app", "b", 3), ("shop", "a", 4), ("gone", "a", 5)
    ]  # fmt: skip
    assert world.rows("SELECT DISTINCT owner = name, expires_at, scopes::text FROM api_key") == [
        (True, None, "{events,read,metrics}")
    ]


def test_a_key_that_had_expired_stays_refused_where_keys_do_not_expire(world, now):
    for key_id, expires, revoked in (
        ("old", "now() - interval '1 hour'", "NULL"),
        ("both", "now() - interval '1 hour'", "'2026-01-02'"),
        ("new", "now() + interval '1 hour'", "NULL"),
        ("lasting", "NULL", "NULL"),
    ):
        row = f"'{key_id}', 'app', 'app', '', ARRAY['read'], 0, '2026-01-01', {expires}, {revoked}"
        columns = "key_id, name, owner, secret_hash, scopes, requests_per_second, created_at, expires_at, revoked_at"
        world.execute(sa.text(f"INSERT INTO api_key ({columns}) VALUES ({row})"))
    [(expired,)] = world.rows("SELECT expires_at FROM api_key WHERE key_id = 'old'")
    migrations.downgrade(world.engine, "0013")
    assert dict(world.rows("SELECT key_id, revoked_at FROM api_key")) == {
        "old": expired,
        "both": datetime(2026, 1, 2, tzinfo=UTC),
        "new": None,
        "lasting": None,
    }


@pytest.mark.parametrize("source", ["inbound text: revocation", "inbound text: stop"])
def test_a_stop_from_before_other_words_were_a_reason_stays_a_stop(world, now, source):
    migrations.downgrade(world.engine, "0009")
    row = {"phone_hash": b"1", "source": source, "now": now}
    world.execute(sa.text("INSERT INTO suppression VALUES (:phone_hash, 'stop', :source, :now)").bindparams(**row))
    migrations.upgrade(world.engine, now)
    assert world.rows("SELECT reason, source FROM suppression") == [("stop", source)]
    world.execute(sa.text("UPDATE suppression SET reason = 'revocation'"))
    migrations.downgrade(world.engine, "0009")
    assert world.rows("SELECT reason FROM suppression") == [("stop",)]


def test_a_message_that_an_older_version_was_sending_counts_as_handed_over(world, now):
    world.sessions(world.customer(), 5)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=now)
    world.execute(sa.update(message).values(status="sending", sending_at=now))
    there_and_back(world, now, "0009")
    assert world.rows("SELECT status, handed_over_at FROM message") == [("sending", now)]


@pytest.mark.parametrize(
    ("delivered", "suppressed"),
    [(None, [("dead_number",)]), (timedelta(days=-56), [("dead_number",)]), (timedelta(days=56), [])],
    ids=["never delivered to", "delivered to before", "delivered to later"],
)
def test_a_phone_that_took_no_texts_is_suppressed_unless_one_was_delivered_to_it_later(
    world, now, delivered, suppressed
):
    world.sessions(world.customer(), 5)
    world.computed()
    world.message()
    world.execute(sa.update(message).values(status="failed", fact="number_invalid", settled_at=now))
    if delivered is not None:
        other = "INSERT INTO message (customer_id, window_start, bucket, phone_hash, status, queued_at, settled_at) "
        values = "customer_id, window_start + :by, bucket, phone_hash, 'delivered', queued_at + :by, settled_at + :by"
        window = world.window.start + delivered
        world.execute(sa.text(f"CREATE TABLE another PARTITION OF message FOR VALUES IN ('{window}')"))
        world.execute(sa.text(f"{other} SELECT {values} FROM message").bindparams(by=delivered))
    there_and_back(world, now, "0014")
    assert world.rows("SELECT reason FROM suppression") == suppressed


def test_a_campaign_that_was_rejected_before_it_was_noted_which_run_had_asked_keeps_its_run(world, now):
    world.sessions(world.customer(), 5)
    world.computed(require_approval=True)
    world.execute(sa.text("UPDATE campaign SET approval = 'rejected', halted_at = opened_at"))
    there_and_back(world, now, "0006")
    [(run_id, asked)] = world.rows("SELECT run_id, asked FROM campaign")
    assert asked == {run_id: "before 0007"}
    assert world.rows("SELECT kind FROM alert") == []  # the halt counts as reported


@pytest.mark.parametrize(("told", "alerts"), [("opened_at", []), ("NULL", ["messages_unknown", "campaign_halted"])])
def test_what_no_alert_had_reported_before_the_outbox_waits_in_it(world, now, told, alerts):
    world.sessions(world.customer(), 5)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=now)
    world.execute(sa.update(message).values(status="sending"))
    world.execute(sa.update(message).values(status="unknown", unknown_at=now - timedelta(days=1)))
    world.execute(sa.text("UPDATE campaign SET halted_at = opened_at, halted_by = 'Engage itself', halted_why = 'why'"))
    migrations.downgrade(world.engine, "0009")
    world.execute(sa.text(f"UPDATE campaign SET told_at = {told}"))
    migrations.upgrade(world.engine, now)
    assert [kind for (kind,) in world.rows("SELECT kind FROM alert ORDER BY alert_id")] == alerts


MODES = {
    "text": {}, "backfill": {"backfill": True}, "late": {}, "dry_run": {"dry_run": True}
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_what_the_run_of_an_older_version_might_do_is_read_from_its_traces(world, now, mode):
    world.sessions(world.customer(), 5)
    world.now = world.window.next().end if mode == "late" else now
    world.computed()
    world.message(**MODES[mode])
    assert world.value("SELECT mode FROM campaign") == mode
    with world.engine.connect() as conn:
        before = set(message_counts.of(conn, world.window).groups)
    there_and_back(world, now, "0015")
    assert world.value("SELECT mode FROM campaign") == mode
    with world.engine.connect() as conn:
        assert set(message_counts.of(conn, world.window).groups) == before


@pytest.mark.parametrize(
    ("run_id", "options", "mode"),
    [("backfill__2026-09-14", {"backfill": True}, "backfill"), ("scheduled__2026-09-14", {}, None)],
)
def test_without_a_message_only_a_backfill_is_known_by_its_name(world, now, run_id, options, mode):
    world.sessions(world.customer(), 48)
    world.purchase(1, 1_000_00)
    world.computed(high_activity_threshold="100")
    world.message(**options)
    world.execute(sa.text(f"UPDATE campaign SET run_id = '{run_id}'"))
    there_and_back(world, now, "0015")
    assert world.value("SELECT mode FROM campaign") == mode


def test_a_rejected_list_of_an_older_version_was_to_be_texted(world, now):
    world.sessions(world.customer(), 5)
    world.computed(require_approval=True)
    approve.ask(world.engine, world.window, options=RunOptions(), run_id="a run", as_of=now)
    approve.answer(world.engine, world.window, approved=False, by="ada", run_id="a run", as_of=now)
    there_and_back(world, now, "0015")
    assert world.value("SELECT mode FROM campaign") == "text"
    assert report(world.engine).status.key == "rejected"


def test_a_campaign_that_an_older_version_had_only_computed_may_still_be_texted(world, now):
    world.sessions(world.customer(), 5)
    world.computed()
    there_and_back(world, now, "0015")
    assert world.value("SELECT mode FROM campaign") is None
    assert report(world.engine).status.key == "computed"


NEW = (
    "registered_at, last_session_at, first_purchase_at, last_purchase_at, viewed, liked, added_to_basket, "
    "favourite_item, previous_segment, previous_total_spend_cents, previous_sessions"
)


def test_a_sent_campaign_from_before_0019_is_read_as_before_and_the_next_one_starts_from_its_counts(world, now):
    earlier = World(world.engine, world.window.previous(), now=world.window.end + timedelta(days=1))
    ada = world.customer()
    for each in (earlier, world):
        each.sessions(ada, 5)
        each.purchase(ada, 700)
    earlier.computed()
    earlier.message()

    def read():
        with world.engine.connect() as conn:
            history = customer_history.campaigns(conn, ada, limit=9)
        return report(world.engine, earlier.window).to_dict(), history

    before = read()
    migrations.downgrade(world.engine, "0018")
    migrations.upgrade(world.engine, now)
    assert read() == before
    assert world.rows(f"SELECT {NEW} FROM customer_activity") == [(None,) * 4 + (0, 0, 0) + (None,) * 4]
    world.computed()
    [row] = world.rows(f"SELECT {NEW} FROM customer_activity WHERE window_start = '{world.window.start.isoformat()}'")
    bought = world.window.start + timedelta(days=3)  # in the window itself, as no earlier purchase has a time
    assert row[1:4] == (bought,) * 3
    assert row[-3:] == ("BOOST", 700, 5)


def test_charts_of_a_campaign_from_before_segments_are_counted_anew(world, now):
    world.sessions(world.customer(), 48)
    world.computed()
    world.message()
    with world.engine.begin() as conn:
        expected = distribution.of(conn, world.window, Settings())
    migrations.downgrade(world.engine, "0018")
    spend, sessions = expected.spend.to_json(), expected.sessions.to_json()
    old = {"spend": spend, "sessions": sessions, "cells": [[0, 0, 1]]}  # without the segment
    world.execute(sa.text("UPDATE campaign SET distribution = :old").bindparams(sa.bindparam("old", old, sa.JSON)))
    migrations.upgrade(world.engine, now)
    with world.engine.begin() as conn:
        assert distribution.of(conn, world.window, Settings()) == expected
    migrations.downgrade(world.engine, "0018")
    assert world.value("SELECT count(*) FROM campaign WHERE distribution IS NOT NULL") == 0
