from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from engage.storage import connection, migrations
from engage.storage.schema import message, metadata
from engage.window import Window


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


def test_a_campaign_that_was_rejected_before_it_was_noted_which_run_had_asked_keeps_its_run(world, now):
    world.sessions(world.customer(), 5)
    world.computed(require_approval=True)
    world.execute(sa.text("UPDATE campaign SET approval = 'rejected', halted_at = opened_at"))
    migrations.downgrade(world.engine, "0006")
    migrations.upgrade(world.engine, now)
    [(run_id, asked, told_at, halted_at)] = world.rows("SELECT run_id, asked, told_at, halted_at FROM campaign")
    assert asked == {run_id: "before 0007"}
    assert told_at == halted_at
