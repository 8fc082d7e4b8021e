"""Partitions of the results: one per window, which a step builds aside and swaps in.

Readers see the old rows or the new ones, never a mixture, and nothing is left to vacuum.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from engage.storage.partitions.ddl import BOUND, fresh_name, partition_name, retry_lock, run, set_lock_timeout
from engage.window import Window


def replace(conn: sa.Connection, table: sa.Table, window: Window, rows: sa.Select[tuple[object, ...]]) -> None:
    """Make ``rows`` the whole content of the window's partition of ``table``.

    ``rows`` yields the table's columns in order. It must not read ``table`` itself: a lock taken by reading the
    parent would have to be strengthened to swap, and two windows doing that at once deadlock.
    """
    build(conn, table, window, rows)
    swap_in(conn, table, window)


def build(conn: sa.Connection, table: sa.Table, window: Window, rows: sa.Select[tuple[object, ...]]) -> sa.Table:
    """The first half of ``replace``: a table aside that holds ``rows``, free to be corrected before ``swap_in``."""
    fresh = table.to_metadata(sa.MetaData(), name=fresh_name(table, window))
    compiled = rows.compile(dialect=conn.dialect, compile_kwargs={"render_postcompile": True})
    # CREATE TABLE … AS may run in parallel, which INSERT … SELECT never does; values stay bound parameters
    conn.exec_driver_sql(f"CREATE TABLE {fresh.name} AS {compiled}", compiled.params)
    return fresh


def swap_in(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """The second half of ``replace``: put what ``build`` has made in the place of the window's partition."""
    fresh = fresh_name(table, window)
    run(conn, f"ANALYZE {fresh}")  # else the next step would plan blindly until autovacuum comes by
    indexes = _add_constraints(conn, table, window, fresh)
    _swap(conn, table, window, fresh, indexes)


def discard(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """Instead of ``swap_in``: drop what ``build`` has made."""
    run(conn, f"DROP TABLE {fresh_name(table, window)}")


def clear(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """Remove the window's partition of ``table``, if there is one."""
    _swap(conn, table, window, None, ())


def _add_constraints(conn: sa.Connection, table: sa.Table, window: Window, fresh: str) -> Sequence[str]:
    """Give ``fresh`` what ATTACH would otherwise scan for or build under lock; returns the names of its indexes."""
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
    with conn.begin_nested():  # a lock that could not be had undoes the swap only, not the rows built aside
        set_lock_timeout(conn)
        run(conn, f"DROP TABLE IF EXISTS {name}")
        if fresh is None:
            return
        run(conn, f"ALTER TABLE {fresh} RENAME TO {name}")
        for index in indexes:
            run(conn, f"ALTER INDEX {index} RENAME TO {index.replace('_fresh', '', 1)}")
        run(conn, f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES IN ('{window.start.isoformat()}')")
        run(conn, f"ALTER TABLE {name} DROP CONSTRAINT {BOUND}")
