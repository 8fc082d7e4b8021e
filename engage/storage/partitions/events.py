"""Partitions of the raw logs: by window and, below it, by hash of the customer.

So a step reads one window, and groups it piece by piece in cache. Rows without a partition of their window, such as
rows without a timestamp, lie in the DEFAULT partition. So a read of the parent is right whatever partitions exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import REGCLASS

from engage.storage import preflight
from engage.storage.partitions.ddl import (
    BOUND,
    default_of,
    exists,
    fresh_name,
    partition_name,
    retry_lock,
    run,
    set_lock_timeout,
)
from engage.storage.schema import EVENT_TIMES, LOG_TIMES, app_session
from engage.window import Window

HASH_MODULUS = 32
WINDOWS_AHEAD = 2

_ENSURE_LOCK = 0x656E67616765  # "engage"; each advisory lock has a number of its own
_SEED_LOCK = 0x73656564  # "seed"


def ensure(engine: sa.Engine, as_of: datetime) -> None:
    """Make the event partitions of the window that holds ``as_of``, and of the next ``WINDOWS_AHEAD``."""
    windows = [Window.containing(as_of)]
    while len(windows) <= WINDOWS_AHEAD:
        windows.append(windows[-1].next())
    ensure_windows(engine, windows)


@retry_lock
def ensure_windows(engine: sa.Engine, windows: Iterable[Window]) -> None:
    """Make the missing event partitions of ``windows``, and move their rows out of DEFAULT."""
    wanted = [(table, window) for table in LOG_TIMES for window in windows]
    with engine.begin() as conn:
        if all(exists(conn, partition_name(*pair)) for pair in wanted):
            return
        preflight.require_ddl(conn)
        wait_for_seeds(conn)
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_ENSURE_LOCK)))
        set_lock_timeout(conn)
        for table in LOG_TIMES:  # ATTACH upgrades a weaker lock to this one, and two upgrades deadlock
            run(conn, f"LOCK TABLE ONLY {table.name} IN SHARE UPDATE EXCLUSIVE MODE")
        for table, window in wanted:
            if not exists(conn, partition_name(table, window)):
                _create_event_partition(conn, table, window)


def _create_event_partition(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """Build a table aside, fill it from DEFAULT, attach it. CREATE … PARTITION OF would wait for every open writer."""
    name, default = partition_name(table, window), default_of(table).name
    _create_hashed(conn, table, name)
    # no writer may add a row of this range to DEFAULT between the move and the attach
    run(conn, f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE")
    moved = f"DELETE FROM {default} WHERE {_within(table, window)} RETURNING *"
    run(conn, f"WITH moved AS ({moved}) INSERT INTO {name} SELECT * FROM moved")
    _attach_events(conn, table, window)


def _create_hashed(conn: sa.Connection, table: sa.Table, name: str) -> None:
    run(conn, f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL) PARTITION BY HASH (customer_id)")
    for remainder in range(HASH_MODULUS):
        run(
            conn,
            f"CREATE TABLE {_piece_name(name, remainder)} PARTITION OF {name} "
            f"FOR VALUES WITH (MODULUS {HASH_MODULUS}, REMAINDER {remainder})",
        )


def _attach_events(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    run(
        conn,
        f"ALTER TABLE {table.name} ATTACH PARTITION {partition_name(table, window)} "
        f"FOR VALUES FROM ('{window.start.isoformat()}') TO ('{window.end.isoformat()}')",
    )


def piece_of(table: sa.Table, window: Window, piece: int) -> sa.Table:
    """One of the ``HASH_MODULUS`` pieces of the window's partition, as a table of its own.

    Chance puts a customer in a piece, with all events. Events without a customer are in piece 0.
    """
    return table.to_metadata(sa.MetaData(), name=_piece_name(partition_name(table, window), piece))


def rows_by_piece(conn: sa.Connection, table: sa.Table, window: Window) -> tuple[int, ...]:
    """How many rows each piece of the window's partition has."""
    pieces = (piece_of(table, window, number) for number in range(HASH_MODULUS))
    counts = (sa.select(sa.literal(n), sa.func.count()).select_from(piece) for n, piece in enumerate(pieces))
    found = {row[0]: row[1] for row in conn.execute(sa.union_all(*counts))}
    return tuple(found[number] for number in range(HASH_MODULUS))


def piece_number(conn: sa.Connection, customer_id: int) -> int:
    """Which piece of each window holds a customer's events. Postgres's hash decides, the same in every window."""
    log = sa.cast(_any_partition(conn), REGCLASS)
    pieces = sa.func.generate_series(0, HASH_MODULUS - 1).column_valued("pieces")
    held = sa.func.satisfies_hash_partition(
        log, HASH_MODULUS, sa.cast(pieces, sa.Integer), sa.cast(customer_id, sa.BigInteger), type_=sa.Boolean
    )
    return int(conn.execute(sa.select(pieces).where(held)).scalar_one())


def _any_partition(conn: sa.Connection) -> str:
    """The name of a window's partition; ``ensure`` keeps the present one there."""
    return partition_name(app_session, max(windows_of(conn, app_session)))


def _piece_name(name: str, piece: int) -> str:
    return f"{name}_{piece:02}"


def _within(table: sa.Table, window: Window) -> str:
    column = LOG_TIMES[table].name
    return f"{column} >= '{window.start.isoformat()}' AND {column} < '{window.end.isoformat()}'"


def lock_seeding(conn: sa.Connection) -> None:
    """Keep out other seeds and new campaigns until the commit."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_SEED_LOCK)))


def wait_for_seeds(conn: sa.Connection) -> None:
    """Wait without limit for a running seed, and keep out new seeds until the commit."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_SEED_LOCK)))


def build_events(conn: sa.Connection, window: Window) -> None:
    """Make an empty fresh table for each kind of the window's events. ``swap_in_events`` uses them."""
    discard_events(conn, window)
    for table in EVENT_TIMES:
        build_log(conn, table, window)


def discard_events(conn: sa.Connection, window: Window) -> None:
    """Drop the fresh tables that ``build_events`` made and no swap used."""
    set_lock_timeout(conn)
    for table in EVENT_TIMES:
        run(conn, f"DROP TABLE IF EXISTS {fresh_name(table, window)}")


def claim_share(conn: sa.Connection, window: Window, share: int, shares: int) -> None:
    """Empty the fresh pieces for the customers of ``in_share``, and lock them for this transaction.

    The truncation makes them new in it, so Postgres may leave their rows out of its log (wal_level minimal).
    """
    set_lock_timeout(conn)
    for table in EVENT_TIMES:
        leaves = [_piece_name(fresh_name(table, window), leaf) for leaf in range(share, HASH_MODULUS, shares)]
        run(conn, f"TRUNCATE {', '.join(leaves)}")


def in_share(window: Window, customer_id: sa.ColumnElement[int], share: int, shares: int) -> sa.ColumnElement[bool]:
    """Whether a customer's events lie in group ``share`` of ``shares`` groups of pieces; ``shares`` divides 32."""
    log = sa.cast(fresh_name(app_session, window), REGCLASS)
    return sa.func.satisfies_hash_partition(log, shares, share, customer_id, type_=sa.Boolean)


@retry_lock
def swap_in_events(conn: sa.Connection, window: Window) -> None:
    """Replace the window's events by the tables of ``build_events``; events without a customer stay."""
    with conn.begin_nested():
        set_lock_timeout(conn)
        for table in EVENT_TIMES:
            name, fresh = partition_name(table, window), fresh_name(table, window)
            run(conn, f"INSERT INTO {fresh} SELECT * FROM {name} WHERE customer_id IS NULL")
            run(conn, f"DROP TABLE {name}")
            _rename_events(conn, table, window)


def _rename_events(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """Make a fresh table the window's partition, for which no other table is left."""
    name, fresh = partition_name(table, window), fresh_name(table, window)
    run(conn, f"ALTER TABLE {fresh} RENAME TO {name}")
    for leaf in range(HASH_MODULUS):
        run(conn, f"ALTER TABLE {_piece_name(fresh, leaf)} RENAME TO {_piece_name(name, leaf)}")
    _attach_events(conn, table, window)
    run(conn, f"ALTER TABLE {name} DROP CONSTRAINT {BOUND}")


def build_log(conn: sa.Connection, log: sa.Table, window: Window) -> sa.Table:
    """Make an empty fresh table for one log's events of a window, which ``attach_log`` uses; returns it."""
    fresh = fresh_name(log, window)
    run(conn, f"DROP TABLE IF EXISTS {fresh}")
    _create_hashed(conn, log, fresh)
    bound = f"{LOG_TIMES[log].name} IS NOT NULL AND {_within(log, window)}"
    run(conn, f"ALTER TABLE {fresh} ADD CONSTRAINT {BOUND} CHECK ({bound})")
    return log.to_metadata(sa.MetaData(), name=fresh)


@retry_lock
def attach_log(conn: sa.Connection, log: sa.Table, window: Window) -> None:
    """Make the table of ``build_log`` the window's partition. Raises if a lock takes too long.

    It takes along the rows that the window has meanwhile, in a partition or in DEFAULT.
    """
    name, fresh, default = partition_name(log, window), fresh_name(log, window), default_of(log).name
    with conn.begin_nested():
        lock_log(conn, log)
        if exists(conn, name):
            run(conn, f"INSERT INTO {fresh} SELECT * FROM {name}")
            run(conn, f"DROP TABLE {name}")
        moved = f"DELETE FROM {default} WHERE {_within(log, window)} RETURNING *"
        run(conn, f"WITH moved AS ({moved}) INSERT INTO {fresh} SELECT * FROM moved")
        _rename_events(conn, log, window)


def lock_events(conn: sa.Connection) -> None:
    """Keep writers off the events until the commit; readers may go on. Raises if the lock takes too long.

    It locks the parents, because a swap needs them in the end. A writer that holds a parent and waits for a partition
    would deadlock with a lock on partitions. So all writers go through the parents.
    """
    set_lock_timeout(conn)
    for table in EVENT_TIMES:
        run(conn, f"LOCK TABLE ONLY {table.name} IN SHARE ROW EXCLUSIVE MODE")


def lock_customers(conn: sa.Connection) -> None:
    """Keep writers off the customers until the commit. Raises if the lock takes too long."""
    set_lock_timeout(conn)
    run(conn, "LOCK TABLE customer IN SHARE ROW EXCLUSIVE MODE")


def windows_of(conn: sa.Connection, log: sa.Table) -> set[Window]:
    """The windows with a partition of ``log``."""
    keys = (re.fullmatch(rf"{log.name}_(\d{{8}})", name) for name in sa.inspect(conn).get_table_names())
    return {Window.from_key(key[1]) for key in keys if key}


def lock_log(conn: sa.Connection, log: sa.Table) -> None:
    """Keep readers and writers off a raw log until the commit. Raises if the lock takes too long.

    It waits for all that use the log through the parent, so none can deadlock with a ``drop_events`` that follows.
    """
    set_lock_timeout(conn)
    run(conn, f"LOCK TABLE ONLY {log.name} IN ACCESS EXCLUSIVE MODE")


def drop_events(conn: sa.Connection, log: sa.Table, window: Window) -> None:
    """Drop the window's partition of a log, if it exists, under ``lock_log``. Later rows go to DEFAULT."""
    run(conn, f"DROP TABLE IF EXISTS {partition_name(log, window)}")
