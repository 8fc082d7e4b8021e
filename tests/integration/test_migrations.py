"""Migrations: they and the schema agree, twice is the same as once, and each of them can be taken back."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engage.storage import connection, migrations
from engage.storage.schema import metadata
from engage.window import Window

REVISIONS = sorted(
    script.revision for script in ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions()
)


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
