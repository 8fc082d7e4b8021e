"""Partitions of the results: one per window. A step builds it aside and swaps it in.

Readers see the old rows or the new rows, never a mixture. Nothing is left to vacuum.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from engage.storage.partitions.ddl import (
    BOUND,
    fresh_name,
    partition_name,
    partitions_of,
    retry_lock,
    run,
    set_lock_timeout,
    share,
)
from engage.storage.schema import LIVE, RESULTS
from engage.window import Window

_ERASING_LOCK = 0x6572617365  # "erase"


def lock_erasing(conn: sa.Connection) -> None:
    """Wait until no step builds a table of results, and keep steps from building one until the commit.

    A step copies customers' ids into a table that an erasure cannot see yet.
    """
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_ERASING_LOCK)))


def replace(conn: sa.Connection, table: sa.Table, window: Window, rows: sa.Select[tuple[object, ...]]) -> None:
    """Make ``rows`` the whole content of the window's partition of ``table``.

    ``rows`` yields the table's columns in order. It must not read ``table`` itself: the swap would upgrade the
    reader's lock on the parent, and two such upgrades at once deadlock.
    """
    build(conn, table, window, rows)
    swap_in(conn, table, window)


def build(conn: sa.Connection, table: sa.Table, window: Window, rows: sa.Select[tuple[object, ...]]) -> sa.Table:
    """The first half of ``replace``: a fresh table with ``rows``. A step may correct it before ``swap_in``."""
    fresh = table.to_metadata(sa.MetaData(), name=fresh_name(table, window))
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_ERASING_LOCK)))
    compiled = rows.compile(dialect=conn.dialect, compile_kwargs={"render_postcompile": True})
    # CREATE TABLE … AS may run in parallel, which INSERT … SELECT never does; values stay bound parameters
    conn.exec_driver_sql(f"CREATE TABLE {fresh.name} AS {compiled}", compiled.params)
    return fresh


def swap_in(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """The second half of ``replace``: the fresh table of ``build`` becomes the window's partition."""
    fresh = fresh_name(table, window)
    run(conn, f"ANALYZE {fresh}")  # without statistics the next step gets bad plans until autovacuum runs
    indexes = _add_constraints(conn, table, window, fresh)
    share(conn, table, fresh)
    _swap(conn, table, window, fresh, indexes)


def share_results(conn: sa.Connection) -> None:
    """Give the roles that may use a table of results the same rights on its partitions, which reports read directly."""
    for table in (*RESULTS, *LIVE):
        for name in partitions_of(conn, table):
            share(conn, table, name)


def discard(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """Drop the fresh table of ``build``; the alternative to ``swap_in``."""
    run(conn, f"DROP TABLE {fresh_name(table, window)}")


def clear(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """Remove the window's partition of ``table``, if it exists."""
    _swap(conn, table, window, None, ())


def _add_constraints(conn: sa.Connection, table: sa.Table, window: Window, fresh: str) -> Sequence[str]:
    """Add constraints and indexes, which ATTACH would check or build under its lock; returns the indexes' names."""
    not_null = [f"ALTER COLUMN {c.name} SET NOT NULL" for c in table.columns if not c.nullable]
    checks = [
        f"ADD CONSTRAINT {c.name} CHECK ({c.sqltext})" for c in table.constraints if isinstance(c, sa.CheckConstraint)
    ]
    bound = f"ADD CONSTRAINT {BOUND} CHECK (window_start = '{window.start.isoformat()}')"
    run(conn, f"ALTER TABLE {fresh} {', '.join([*not_null, *checks, bound])}")
    key = ", ".join(c.name for c in table.primary_key)
    run(conn, f"ALTER TABLE {fresh} ADD CONSTRAINT {fresh}_pkey PRIMARY KEY ({key})")
    indexes = [f"{fresh}_pkey"]
    for index in table.indexes:
        where = index.dialect_options["postgresql"]["where"]
        columns = ", ".join(c.name for c in index.columns)
        indexes.append(f"{fresh}_{'_'.join(c.name for c in index.columns)}")
        unique = "UNIQUE " if index.unique else ""
        condition = f" WHERE {where}" if where is not None else ""
        run(conn, f"CREATE {unique}INDEX {indexes[-1]} ON {fresh} ({columns}){condition}")
    return indexes


@retry_lock
def _swap(conn: sa.Connection, table: sa.Table, window: Window, fresh: str | None, indexes: Sequence[str]) -> None:
    name = partition_name(table, window)
    with conn.begin_nested():  # a lock time-out undoes only the swap, not the fresh table
        set_lock_timeout(conn)
        run(conn, f"DROP TABLE IF EXISTS {name}")
        if fresh is None:
            return
        run(conn, f"ALTER TABLE {fresh} RENAME TO {name}")
        for index in indexes:
            run(conn, f"ALTER INDEX {index} RENAME TO {index.replace('_fresh', '', 1)}")
        run(conn, f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES IN ('{window.start.isoformat()}')")
        run(conn, f"ALTER TABLE {name} DROP CONSTRAINT {BOUND}")
