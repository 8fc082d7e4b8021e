"""A database that Engage cannot use is refused with one sentence; the defaults of a role or database change nothing."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from itertools import count

import psycopg
import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.errors import UnfitDatabase
from engage.sending.sender import SendingContext
from engage.settings import validate
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.steps.message import message
from engage.storage import migrations, partitions, preflight, session
from engage.storage.schema import campaign, metadata
from engage.window import Window
from tests.integration.conftest import NOW

ODD_DEFAULTS = {
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "datestyle": "SQL, DMY",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "-15",
    "intervalstyle": "sql_standard",
    "lock_timeout": "50ms",
    "standard_conforming_strings": "off",
    "statement_timeout": "50ms",
    "timezone": "Asia/Tokyo",
}
_roles = count(1)


@pytest.fixture
def role(server):
    """A role without any right. It is dropped after the databases of the fixtures that follow it."""
    name = f"role_{next(_roles)}"
    server.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    server.execute(f"DROP ROLE {name}")


def as_role(url, role):
    return sa.make_url(url).set(username=role)


@pytest.fixture
def admin(server):
    """Execute statements in a test's database as its owner."""

    def execute(url, *statements):
        with psycopg.connect(sa.make_url(url).set(drivername="postgresql").render_as_string(), autocommit=True) as conn:
            for statement in statements:
                conn.execute(statement)

    return execute


def refused(engine):
    with pytest.raises(UnfitDatabase) as caught:
        migrations.upgrade(engine, NOW)
    return str(caught.value)


# --- version and encoding, at every connection


@pytest.mark.parametrize("number", [90624, 120022, 130023, 130099])
def test_an_old_server_is_refused(number):
    fault = session.server_fault(number, "UTF8")
    assert re.fullmatch(r"The database is PostgreSQL [\d.]+, and Engage needs 14 or later\. Upgrade .*\.", fault)


@pytest.mark.parametrize("number", [140000, 140023, 150019, 160015, 170011, 180004, 190000])
def test_a_server_from_14_on_is_taken(number):
    assert session.server_fault(number, "UTF8") is None


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def other_encoding(server, request):
    """An encoding other than UTF-8, and the URL of a database that has it."""
    server.execute(
        f"CREATE DATABASE other TEMPLATE template0 ENCODING '{request.param}' LOCALE_PROVIDER libc LC_COLLATE 'C' "
        "LC_CTYPE 'C'"
    )
    yield request.param, server.url("other")
    server.execute("DROP DATABASE other WITH (FORCE)")


def test_a_database_of_another_encoding_is_refused_wherever_it_is_opened(other_encoding, opened):
    encoding, url = other_encoding
    engine = opened(url)
    assert refused(engine) == (
        f"The database's encoding is {encoding}, and Engage needs UTF8, or it could not store every name. Make a "
        "database with: CREATE DATABASE engage TEMPLATE template0 ENCODING 'UTF8'"
    )
    with pytest.raises(UnfitDatabase, match=encoding), engine.connect():
        pass
    assert engine.pool.checkedout() == 0


def command(url, *arguments):
    """What a command writes to standard error; it has to fail."""
    environment = os.environ | {
        "ENGAGE_DATABASE_URL": sa.make_url(url).render_as_string(hide_password=False),
        "ENGAGE_HASH_KEY": "only for tests, of no use to anybody",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "engage", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("arguments", [["db", "upgrade"], ["run"], ["serve", "--port", "1"]])
def test_a_command_says_so_in_one_sentence(other_encoding, arguments):
    encoding, url = other_encoding
    assert re.fullmatch(rf"Error: The database's encoding is {encoding}, .*\n", command(url, *arguments))


# --- session settings


@pytest.fixture
def odd_url(role, server, admin):
    """URL of an empty database whose role and whose database have odd defaults."""
    with server.clone("template0") as url:
        name = sa.make_url(url).database
        server.execute(f"ALTER DATABASE {name} OWNER TO {role}")
        admin(url, f"ALTER SCHEMA public OWNER TO {role}")
        for setting, value in ODD_DEFAULTS.items():
            server.execute(f"ALTER ROLE {role} SET {setting} = '{value}'")
            server.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
        yield as_role(url, role)


def test_the_defaults_of_a_role_and_a_database_do_not_count(odd_url, opened):
    with opened(odd_url).connect() as conn:
        found = {name: conn.execute(sa.select(sa.func.current_setting(name))).scalar_one() for name in ODD_DEFAULTS}
        assert found == {
            "bytea_output": "hex",
            "client_encoding": "UTF8",
            "datestyle": "ISO, MDY",
            "default_transaction_isolation": "serializable",
            "extra_float_digits": "1",
            "intervalstyle": "postgres",
            "lock_timeout": "0",
            "standard_conforming_strings": "on",
            "statement_timeout": "0",
            "timezone": "UTC",
        }
        isolation = conn.execute(sa.select(sa.func.current_setting("transaction_isolation"))).scalar_one()
        assert isolation == "read committed"
        moment = conn.execute(sa.text("SELECT timestamptz '2026-02-01 10:00'")).scalar_one()
        assert moment == datetime(2026, 2, 1, 10, tzinfo=UTC)
        assert conn.execute(sa.text("SELECT '李' FROM pg_sleep(0.1)")).scalar_one() == "李"


def test_a_rollback_keeps_the_settings(odd_url, opened):
    with opened(odd_url).connect() as conn:
        for _ in range(2):
            conn.rollback()
            assert conn.execute(sa.select(sa.func.current_setting("TimeZone"))).scalar_one() == "UTC"


def test_a_campaign_with_odd_defaults_is_the_same_campaign(odd_url, opened):
    engine = opened(odd_url)
    migrations.upgrade(engine, NOW)
    preflight.check(engine)
    window = Window.last_complete(NOW)
    with engine.begin() as conn:
        conn.execute(sa.text("INSERT INTO customer (customer_id, name, registered_at) VALUES (1, '李', :at)"),
                     {"at": window.start})  # fmt: skip
        conn.execute(sa.text("INSERT INTO app_session VALUES (1, :start), (1, :end)"),
                     {"start": window.start, "end": window.end})  # fmt: skip
    settings = validate({"guard_min_volume_percent": 0, "guard_max_quiet_days": 0, "guard_max_shift_points": 100})
    extract(engine, window, settings, as_of=NOW, run_id="test", options=RunOptions())
    aggregate(engine, window)
    bucket(engine, window)
    message(engine, window, options=RunOptions(), context=SendingContext(lambda: NOW))
    with engine.connect() as conn:
        assert conn.execute(sa.select(campaign.c.window_start)).scalar_one() == window.start
        assert conn.execute(sa.text("SELECT sessions FROM customer_activity")).scalar_one() == 1


def test_behind_a_pooler_the_settings_hold_in_each_transaction_and_leave_no_trace(odd_url, opened, monkeypatch):
    """A pooler tells its clients another process id than the session's."""
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", property(lambda info: 1))
    engine = opened(odd_url)
    settings = sa.select(*map(sa.func.current_setting, ("TimeZone", "DateStyle", "bytea_output", "statement_timeout")))
    with engine.connect() as conn:
        for end in (conn.commit, conn.rollback, conn.commit):
            assert tuple(conn.execute(settings).one()) == ("UTC", "ISO, MDY", "hex", "0")
            with conn.begin_nested():
                assert conn.execute(sa.text("SELECT timestamptz '2026-02-01'")).scalar_one().tzinfo is not None
            end()
        raw = conn.connection.dbapi_connection
        left = raw.execute("SELECT current_setting('TimeZone'), current_setting('statement_timeout')").fetchone()
        assert left == ("Asia/Tokyo", "50ms")
    migrations.upgrade(engine, NOW)
    preflight.check(engine)


def test_a_pooler_that_drops_the_settings_is_refused(odd_url):
    """A plain engine stands for a pooler that drops what Engage sets."""
    engine = sa.create_engine(sa.make_url(odd_url).update_query_dict({"client_encoding": "utf8"}))
    try:
        with pytest.raises(UnfitDatabase) as caught:
            preflight.check(engine)
    finally:
        engine.dispose()
    assert str(caught.value) == (
        "The session's TimeZone is Asia/Tokyo, although Engage has set UTC. A connection pooler in between does not "
        "pass the setting on. Connect to PostgreSQL itself, or set the pooler up (docs/operations.md, A database of "
        "your own)."
    )


# --- what an upgrade needs


def test_the_tables_of_another_program_are_left_alone(admin, empty_url, opened):
    admin(empty_url, "CREATE TABLE customer (id int)", "CREATE VIEW message AS SELECT 1 AS one")
    assert refused(opened(empty_url)) == (
        "The schema public already has customer, message of another program, and Engage needs the name for itself. "
        "Nothing was changed. Give Engage a database or a schema of its own."
    )
    assert sa.inspect(opened(empty_url)).get_table_names() == ["customer"]


@pytest.mark.parametrize(
    "made",
    ["CREATE TYPE message AS ENUM ('x')", "CREATE FUNCTION message_move() RETURNS int LANGUAGE sql AS 'SELECT 1'",
     "CREATE SEQUENCE app_event", "CREATE TABLE purchase_default (x int)", "CREATE TABLE app_session_20261102 (x int)",
     "CREATE TABLE t (x int); CREATE INDEX intake_batch_accepted_at_idx ON t (x)"],
)  # fmt: skip
def test_any_object_with_a_name_of_ours_is_named(admin, empty_url, made, opened):
    admin(empty_url, made)
    assert re.search(r"already has .* of another program", refused(opened(empty_url)))


def test_tables_with_other_names_or_in_another_schema_do_not_matter(admin, empty_url, opened):
    admin(empty_url, "CREATE TABLE orders (id int)", "CREATE SCHEMA crm", "CREATE TABLE crm.customer (id int)")
    migrations.upgrade(opened(empty_url), NOW)


def test_a_schema_of_its_own_is_enough(role, admin, empty_url, opened):
    admin(empty_url, "CREATE TABLE customer (id int)", f"CREATE SCHEMA {role} AUTHORIZATION {role}")
    engine = opened(as_role(empty_url, role))
    migrations.upgrade(engine, NOW)
    preflight.check(engine)
    migrations.require_current(engine)


def test_a_role_that_may_not_create_is_refused(role, empty_url, opened):
    assert refused(opened(as_role(empty_url, role))) == (
        f"The role {role} may not create tables in the schema public, and has to. Use the owner of the database, or "
        f"let a superuser say: GRANT CREATE ON SCHEMA public TO {role}"
    )


def test_a_search_path_without_a_schema_is_refused(role, server, empty_url, opened):
    server.execute(f"ALTER ROLE {role} SET search_path = missing")
    assert refused(opened(as_role(empty_url, role))) == (
        f"The search_path of the role {role} is missing, and names no schema of this database that the role may use. "
        f"Create one, or set another: ALTER ROLE {role} SET search_path = public"
    )


def test_a_role_that_does_not_own_the_tables_is_refused(role, admin, empty_url, opened):
    migrations.upgrade(opened(empty_url), NOW, "0014")
    admin(empty_url, f"GRANT CREATE ON SCHEMA public TO {role}", f"GRANT SELECT ON engage_schema_version TO {role}")
    sentence = refused(opened(as_role(empty_url, role)))
    assert sentence.startswith(f"The role {role} does not own alert, api_key, ")
    assert sentence.endswith("They belong to postgres, and only their owner may change tables. Use that role.")


def test_a_role_that_may_not_read_the_schemas_version_is_refused(role, url, opened):
    engine = opened(as_role(url, role))
    for ask in (lambda: migrations.upgrade(engine, NOW), lambda: migrations.require_current(engine)):
        with pytest.raises(UnfitDatabase) as caught:
            ask()
        assert str(caught.value) == (
            f"The role {role} may not read the table engage_schema_version, which comes with Engage's tables. Use the "
            "role that upgrades the database, or give this one its rights (docs/operations.md, A database of your own)."
        )


def test_a_role_without_ddl_may_start_and_may_upgrade_where_nothing_is_to_do(role, admin, url, opened):
    admin(url, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    engine = opened(as_role(url, role))
    migrations.require_current(engine)
    preflight.check(engine)
    migrations.upgrade(engine, NOW)


def test_a_command_of_a_role_without_rights_says_so_in_one_sentence(role, admin, url):
    admin(url, f"GRANT SELECT ON engage_schema_version TO {role}")
    said = command(as_role(url, role), "report")
    assert re.fullmatch(
        r"Error: The database does not give Engage's role a right that it needs\. \(.*campaign\)\n", said
    )


def test_a_role_without_ddl_may_not_make_partitions(role, admin, url, opened):
    admin(url, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    engine = opened(as_role(url, role))
    later = Window.containing(NOW).next().next().next().start
    with pytest.raises(UnfitDatabase, match=f"The role {role} may not create tables in the schema public"):
        partitions.ensure(engine, later)


def test_a_schema_of_a_newer_version_is_named_as_such(admin, url, opened):
    admin(url, "UPDATE engage_schema_version SET version_num = '9999'")
    engine = opened(url)
    newer = "The database's schema is at revision 9999, which this version of Engage does not know. A newer version"
    assert refused(engine).startswith(newer)
    with pytest.raises(UnfitDatabase, match="revision 9999"):
        migrations.require_current(engine)


def test_the_tables_that_an_upgrade_makes_are_known(engine):
    """The preflight looks for each of them."""
    made = set(sa.inspect(engine).get_table_names()) - {preflight.VERSION_TABLE}
    assert {name for name in made if not preflight.is_ours(name)} == set()
    assert {table.name for table in metadata.sorted_tables} <= made
