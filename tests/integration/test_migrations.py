import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engage.campaigns import message_counts
from engage.campaigns.run_options import RunOptions
from engage.reports import customer_history
from engage.reports.funnel import funnel
from engage.reports.report import report
from engage.sending import queue
from engage.steps import approve
from engage.storage import connection, migrations
from engage.storage.schema import message, metadata
from engage.window import Window
from tests.integration.conftest import World

REVISIONS = sorted(
    script.revision for script in ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions()
)


@pytest.fixture
def empty(empty_url):
    engine = connection.connect(empty_url)
    yield engine
    engine.dispose()


def tables(engine):
    return {name for name in sa.inspect(engine).get_table_names() if name != "engage_schema_version"}


def test_upgrading_an_empty_database_makes_the_tables_of_the_schema(empty, now):
    migrations.upgrade(empty, now)
    assert {table.name for table in metadata.sorted_tables} <= tables(empty)


def test_migrations_and_schema_agree(empty, now):
    migrations.upgrade(empty, now)

    def ours(object_, name, kind, reflected, compare_to):
        return kind != "table" or name in metadata.tables

    with empty.connect() as conn:
        options = {"compare_type": True, "include_object": ours, "version_table": "engage_schema_version"}
        context = MigrationContext.configure(conn, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_check_constraints_of_migrations_and_schema_agree(empty, now):
    migrations.upgrade(empty, now)
    for table in metadata.sorted_tables:
        wanted = {c.name for c in table.constraints if isinstance(c, sa.CheckConstraint)}
        assert {c["name"] for c in sa.inspect(empty).get_check_constraints(table.name)} == wanted


def test_the_check_constraints_of_the_database_allow_the_values_of_the_enums(empty, now):
    migrations.upgrade(empty, now)
    for table in metadata.sorted_tables:
        found = {c["name"]: c["sqltext"] for c in sa.inspect(empty).get_check_constraints(table.name)}
        for check in (c for c in table.constraints if isinstance(c, sa.CheckConstraint)):
            assert literals(found[check.name]) == literals(str(check.sqltext)), check.name


def literals(sql):
    return set(re.findall(r"'([^']*)'", sql))


def test_upgrading_twice_is_the_same_as_once(empty, now):
    migrations.upgrade(empty, now)
    before = tables(empty)
    migrations.upgrade(empty, now)
    assert tables(empty) == before


def test_four_processes_may_upgrade_at_once(empty_url, now):
    engines = [connection.connect(empty_url) for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda engine: migrations.upgrade(engine, now), engines))
    assert "customer" in tables(engines[0])
    for engine in engines:
        engine.dispose()


def test_downgrading_removes_every_table_and_upgrading_brings_them_back(empty, now):
    migrations.upgrade(empty, now)
    migrations.downgrade(empty, "base")
    assert tables(empty) == set()
    migrations.upgrade(empty, now)
    assert "customer" in tables(empty)


def test_upgrading_makes_the_partitions_of_this_window_and_the_next_two(empty, now):
    migrations.upgrade(empty, now)
    window = Window.containing(now)
    for expected in (window, window.next(), window.next().next()):
        assert f"app_session_{expected.key}" in tables(empty)
        assert f"purchase_{expected.key}" in tables(empty)
    assert f"app_session_{window.previous().key}" not in tables(empty)


def test_the_primary_keys_of_migrations_and_schema_agree(empty, now):
    migrations.upgrade(empty, now)
    for table in metadata.sorted_tables:
        wanted = [column.name for column in table.primary_key]
        assert sa.inspect(empty).get_pk_constraint(table.name)["constrained_columns"] == wanted


LEDGER = "customer_id, bucket, status, reason, phone_hash, provider_message_id, sender_token, body, accepted_at"


@pytest.mark.parametrize("revision", ["0001", "0002"])
def test_a_database_of_an_earlier_revision_keeps_its_rows(world, now, revision):
    world.sessions(world.customer(), 5)
    world.computed()
    world.message()
    before = world.dump("customer_activity", "customer_bucket"), world.rows(f"SELECT {LEDGER} FROM message")
    migrations.downgrade(world.engine, revision)
    migrations.upgrade(world.engine, now)
    assert (world.dump("customer_activity", "customer_bucket"), world.rows(f"SELECT {LEDGER} FROM message")) == before


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
    migrations.downgrade(world.engine, "0008")
    migrations.upgrade(world.engine, now)
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
    migrations.downgrade(world.engine, "0009")
    migrations.upgrade(world.engine, now)
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
    migrations.downgrade(world.engine, "0014")
    migrations.upgrade(world.engine, now)
    assert world.rows("SELECT reason FROM suppression") == suppressed


def test_a_campaign_that_was_rejected_before_it_was_noted_which_run_had_asked_keeps_its_run(world, now):
    world.sessions(world.customer(), 5)
    world.computed(require_approval=True)
    world.execute(sa.text("UPDATE campaign SET approval = 'rejected', halted_at = opened_at"))
    migrations.downgrade(world.engine, "0006")
    migrations.upgrade(world.engine, now)
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
    migrations.downgrade(world.engine, "0015")
    migrations.upgrade(world.engine, now)
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
    migrations.downgrade(world.engine, "0015")
    migrations.upgrade(world.engine, now)
    assert world.value("SELECT mode FROM campaign") == mode


def test_a_rejected_list_of_an_older_version_was_to_be_texted(world, now):
    world.sessions(world.customer(), 5)
    world.computed(require_approval=True)
    approve.ask(world.engine, world.window, options=RunOptions(), run_id="a run", as_of=now)
    approve.answer(world.engine, world.window, approved=False, by="ada", run_id="a run", as_of=now)
    migrations.downgrade(world.engine, "0015")
    migrations.upgrade(world.engine, now)
    assert world.value("SELECT mode FROM campaign") == "text"
    assert report(world.engine).status.key == "rejected"


def test_a_campaign_that_an_older_version_had_only_computed_may_still_be_texted(world, now):
    world.sessions(world.customer(), 5)
    world.computed()
    migrations.downgrade(world.engine, "0015")
    migrations.upgrade(world.engine, now)
    assert world.value("SELECT mode FROM campaign") is None
    assert report(world.engine).status.key == "computed"


# --- the way back


SHAPE = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE {ours}
UNION ALL SELECT c.relname, obj_description(c.oid), NULL, NULL, NULL, NULL FROM pg_class c WHERE {ours}
UNION ALL SELECT c.relname, k.conname, pg_get_constraintdef(k.oid), NULL, NULL, NULL
  FROM pg_class c JOIN pg_constraint k ON k.conrelid = c.oid WHERE {ours}
UNION ALL SELECT c.relname, pg_get_indexdef(i.indexrelid), NULL, NULL, NULL, NULL
  FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid WHERE {ours}
UNION ALL SELECT c.relname, pg_get_triggerdef(t.oid), NULL, NULL, NULL, NULL
  FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal WHERE {ours}
UNION ALL SELECT p.proname, p.prosrc, NULL, NULL, NULL, NULL
  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
""".format(ours="c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition")


def shape(engine):
    """Columns, comments, constraints, indexes, triggers and functions of all tables but partitions."""
    with engine.connect() as conn:
        return sorted(map(repr, conn.exec_driver_sql(SHAPE)))


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_a_database_that_goes_back_to_a_revision_is_as_it_was_there(empty, now, revision):
    with empty.begin() as conn:
        command.upgrade(migrations._config(conn), revision)
    before = shape(empty)
    migrations.upgrade(empty, now)
    assert shape(empty) != before
    after = shape(empty)
    migrations.downgrade(empty, revision)
    assert shape(empty) == before
    migrations.upgrade(empty, now)
    assert shape(empty) == after


# --- a database made by the previous version


PREVIOUS = "0007"
SENT_CAMPAIGN = Path(__file__).with_name("revision_0007.sql")


@pytest.fixture
def upgraded(empty, now):
    """A database of the previous version with a sent campaign, upgraded to this version."""
    migrations.upgrade(empty, now, PREVIOUS)
    with empty.begin() as conn:
        conn.exec_driver_sql(SENT_CAMPAIGN.read_text())
    migrations.upgrade(empty, now)
    return empty


def test_a_sent_campaign_of_the_previous_version_can_still_be_reported(upgraded):
    found = report(upgraded).to_dict()
    assert "the approver" in found["window"].pop("approval")
    assert {name: found["settings"].pop(name) for name in ("low_spend_threshold", "message_reward")} == {
        "low_spend_threshold": 120.5,
        "message_reward": "Thank you! Reply STOP to opt out.",
    }
    assert found.pop("settings")["require_approval"] is True
    assert found == {
        "window": {
            "start": "2026-09-14T00:00:00+00:00",
            "end": "2026-11-09T00:00:00+00:00",
            "status": "complete",
            "run_id": "scheduled__2026-09-14",
            "frozen_at": "2026-11-10T09:01:00+00:00",
            "halted": None,
        },
        "status": {"key": "sent", "label": "Sent", "tone": "success", "needs_person": False, "percent": 100},
        "customers": 5,
        "events": {"sessions": 51, "purchases": 5},
        "rejected": {
            "missing_timestamp": 0,
            "future_dated": 0,
            "missing_customer": 2,
            "invalid_amount": 0,
            "unknown_customer": 0,
            "registered_later": 0,
        },
        "buckets": {"BOOST": 3, "REWARD": 1, "NONE": 1},
        "messages": {
            "total": 4,
            "by_status": {"delivered": 1, "unknown": 1, "skipped": 1, "accepted": 1},
            "skipped_by_reason": {"no_phone": 1},
            "segments": 3,
            "charged_segments": 2,
            "unknown": [
                {
                    "customer_id": 2,
                    "phone": "…02",
                    "sending_at": "2026-11-10T09:03:00+00:00",
                    "error": "the connection broke",
                }
            ],
        },
        "timings": {"extract": 0.07, "aggregate": 0.042, "bucket": 0.059, "queue": 0.089, "send": 0.348},
        "guard": {"findings": ["there are 51 sessions"], "ignored_by": "scheduled__2026-09-14"},
    }


def test_a_sent_campaign_of_the_previous_version_keeps_its_funnel_and_its_customers_history(upgraded):
    with upgraded.begin() as conn:
        stages = funnel(report(upgraded)).stages()
        assert list(stages.values()) == [5, 4, 3, 2, 1]
        [history] = customer_history.campaigns(conn, 4, limit=9)
    assert (history["bucket"], history["total_spend"], history["sessions"]) == ("REWARD", "150.00", 48)
    assert history["message"] == {"status": "accepted", "reason": None}


def test_a_sent_campaign_of_the_previous_version_is_not_sent_again(upgraded, now):
    old = World(upgraded, Window.from_key("20260914"))
    before = old.dump("campaign", "message")
    assert old.message().frozen
    assert old.dump("campaign", "message") == before


def test_going_back_to_the_previous_version_keeps_a_sent_campaign(upgraded, now):
    old = World(upgraded, Window.from_key("20260914"))
    tables = ("customer", "customer_activity", "customer_bucket", "message")
    before = old.dump(*tables), report(upgraded)
    migrations.downgrade(upgraded, PREVIOUS)
    migrations.upgrade(upgraded, now)
    assert (old.dump(*tables), report(upgraded)) == before
