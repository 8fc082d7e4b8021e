"""The only place with partition DDL.

Raw events (``app_session``, ``purchase``) are partitioned by window and, below it, by hash of the customer, so that
a step reads one window and groups it piece by piece in cache. Rows that fit no window's partition, such as those
without a timestamp, lie in the DEFAULT partition: reads through the parent are right whatever partitions exist.

Results (``customer_activity``, ``customer_bucket``, ``message``) have one partition per window, which a step builds
aside and swaps in: readers see the old rows or the new ones, never a mixture, and nothing is left to vacuum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa
import tenacity
from sqlalchemy.dialects.postgresql import REGCLASS

from engage.schema import EVENT_TIMES, LOG_TIMES, app_session
from engage.window import Window

HASH_MODULUS = 32
WINDOWS_AHEAD = 2
LOCK_TIMEOUT = "2s"
"""How long DDL may wait for its locks. Everybody else queues behind the waiting statement meanwhile."""

_BOUND = "window_bound"
_ENSURE_LOCK = 0x656E67616765  # "engage": any constant serves, as long as nothing else takes it
_SEED_LOCK = 0x73656564  # "seed"


_LOCK_NOT_AVAILABLE, _DEADLOCK_DETECTED = "55P03", "40P01"


def _lock_not_available(exc: BaseException) -> bool:
    state = getattr(exc.orig, "sqlstate", None) if isinstance(exc, sa.exc.OperationalError) else None
    return state in {_LOCK_NOT_AVAILABLE, _DEADLOCK_DETECTED}


retry_lock = tenacity.retry(
    retry=tenacity.retry_if_exception(_lock_not_available),
    wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
    stop=tenacity.stop_after_delay(120),
    reraise=True,
)


def partition_name(table: sa.Table, window: Window) -> str:
    """Name of the window's partition of ``table``."""
    return f"{table.name}_{window.key}"


def of(table: sa.Table, window: Window) -> sa.Table:
    """The window's partition of ``table`` as a table of its own, which the caller knows to exist.

    Planned through it, a query groups and joins piece by piece and compares no timestamps; through the parent it does
    neither (docs/decisions/performance.md).
    """
    return table.to_metadata(sa.MetaData(), name=partition_name(table, window))


def ensure(engine: sa.Engine, as_of: datetime) -> None:
    """Make the partitions of the window that ``as_of`` lies in and of the next ones."""
    windows = [Window.containing(as_of)]
    while len(windows) <= WINDOWS_AHEAD:
        windows.append(windows[-1].next())
    ensure_windows(engine, windows)


@retry_lock
def ensure_windows(engine: sa.Engine, windows: Iterable[Window]) -> None:
    """Make the event partitions of ``windows`` where they are missing, moving their rows out of DEFAULT."""
    wanted = [(table, window) for table in LOG_TIMES for window in windows]
    with engine.begin() as conn:
        if all(_exists(conn, partition_name(*pair)) for pair in wanted):
            return
        wait_for_seeds(conn)
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_ENSURE_LOCK)))
        _set_lock_timeout(conn)
        for table in LOG_TIMES:  # ATTACH would ask for it with a weaker lock already in hand: a deadlock for two
            _run(conn, f"LOCK TABLE ONLY {table.name} IN SHARE UPDATE EXCLUSIVE MODE")
        for table, window in wanted:
            if not _exists(conn, partition_name(table, window)):
                _create_event_partition(conn, table, window)


def _create_event_partition(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """Build aside, fill from DEFAULT, attach: unlike CREATE … PARTITION OF, this waits for no open writer."""
    name, default = partition_name(table, window), f"{table.name}_default"
    _create_hashed(conn, table, name)
    # nobody may slip a row of this range into DEFAULT between the move and the attach
    _run(conn, f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE")
    moved = f"DELETE FROM {default} WHERE {_within(table, window)} RETURNING *"
    _run(conn, f"WITH moved AS ({moved}) INSERT INTO {name} SELECT * FROM moved")
    _attach_events(conn, table, window)


def _create_hashed(conn: sa.Connection, table: sa.Table, name: str) -> None:
    _run(conn, f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL) PARTITION BY HASH (customer_id)")
    for remainder in range(HASH_MODULUS):
        _run(
            conn,
            f"CREATE TABLE {name}_{remainder:02} PARTITION OF {name} "
            f"FOR VALUES WITH (MODULUS {HASH_MODULUS}, REMAINDER {remainder})",
        )


def _attach_events(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    _run(
        conn,
        f"ALTER TABLE {table.name} ATTACH PARTITION {partition_name(table, window)} "
        f"FOR VALUES FROM ('{window.start.isoformat()}') TO ('{window.end.isoformat()}')",
    )


def _within(table: sa.Table, window: Window) -> str:
    column = LOG_TIMES[table].name
    return f"{column} >= '{window.start.isoformat()}' AND {column} < '{window.end.isoformat()}'"


def lock_seeding(conn: sa.Connection) -> None:
    """Let nobody else seed, and no campaign begin, until the commit."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_SEED_LOCK)))


def wait_for_seeds(conn: sa.Connection) -> None:
    """Wait, however long, until nobody seeds; nobody may begin to until the commit."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_SEED_LOCK)))


def build_events(conn: sa.Connection, window: Window) -> None:
    """Make an empty table aside for each kind of the window's events, to be filled and swapped in."""
    discard_events(conn, window)
    for table in EVENT_TIMES:
        fresh = fresh_name(table, window)
        _create_hashed(conn, table, fresh)
        bound = f"{EVENT_TIMES[table].name} IS NOT NULL AND {_within(table, window)}"
        _run(conn, f"ALTER TABLE {fresh} ADD CONSTRAINT {_BOUND} CHECK ({bound})")  # spares ATTACH a scan


def discard_events(conn: sa.Connection, window: Window) -> None:
    """Drop what ``build_events`` has made and no swap has put in its place, if anything."""
    _set_lock_timeout(conn)
    for table in EVENT_TIMES:
        _run(conn, f"DROP TABLE IF EXISTS {fresh_name(table, window)}")


def claim_share(conn: sa.Connection, window: Window, share: int, shares: int) -> None:
    """Empty the pieces aside that customers of ``in_share`` go to. They are this transaction's own until it ends.

    As they are new in it, Postgres may leave their rows out of its log (wal_level minimal).
    """
    _set_lock_timeout(conn)
    for table in EVENT_TIMES:
        leaves = [f"{fresh_name(table, window)}_{leaf:02}" for leaf in range(share, HASH_MODULUS, shares)]
        _run(conn, f"TRUNCATE {', '.join(leaves)}")


def in_share(window: Window, customer_id: sa.ColumnElement[int], share: int, shares: int) -> sa.ColumnElement[bool]:
    """Whether a customer's events lie in the given one of ``shares`` groups of pieces; ``shares`` divides 32."""
    log = sa.cast(fresh_name(app_session, window), REGCLASS)
    return sa.func.satisfies_hash_partition(log, shares, share, customer_id, type_=sa.Boolean)


@retry_lock
def swap_in_events(conn: sa.Connection, window: Window) -> None:
    """Put what ``build_events`` has made in the place of the window's events, except those without a customer."""
    with conn.begin_nested():
        _set_lock_timeout(conn)
        for table in EVENT_TIMES:
            name, fresh = partition_name(table, window), fresh_name(table, window)
            _run(conn, f"INSERT INTO {fresh} SELECT * FROM {name} WHERE customer_id IS NULL")
            _run(conn, f"DROP TABLE {name}")
            _run(conn, f"ALTER TABLE {fresh} RENAME TO {name}")
            for leaf in range(HASH_MODULUS):
                _run(conn, f"ALTER TABLE {fresh}_{leaf:02} RENAME TO {name}_{leaf:02}")
            _attach_events(conn, table, window)
            _run(conn, f"ALTER TABLE {name} DROP CONSTRAINT {_BOUND}")


def lock_events(conn: sa.Connection) -> None:
    """Let nobody but readers at the events until the commit; raises if that takes long.

    The parents are locked, and not the window's partitions, for a swap needs the parents in the end: a writer that
    held one and waited for a partition would be in a deadlock with it. So events are written through the parents only.
    """
    _set_lock_timeout(conn)
    for table in EVENT_TIMES:
        _run(conn, f"LOCK TABLE ONLY {table.name} IN SHARE ROW EXCLUSIVE MODE")


def lock_customers(conn: sa.Connection) -> None:
    """Let nobody add or change a customer until the commit; raises if that takes long."""
    _set_lock_timeout(conn)
    _run(conn, "LOCK TABLE customer IN SHARE ROW EXCLUSIVE MODE")


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
    filled = f"WITH (fillfactor = {table.info.get('fillfactor', 100)})"
    # CREATE TABLE … AS may run in parallel, which INSERT … SELECT never does; values stay bound parameters
    conn.exec_driver_sql(f"CREATE TABLE {fresh.name} {filled} AS {compiled}", compiled.params)
    return fresh


def swap_in(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """The second half of ``replace``: put what ``build`` has made in the place of the window's partition."""
    fresh = fresh_name(table, window)
    _run(conn, f"ANALYZE {fresh}")  # else the next step would plan blindly until autovacuum comes by
    indexes = _add_constraints(conn, table, window, fresh)
    _swap(conn, table, window, fresh, indexes)


def discard(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """Instead of ``swap_in``: drop what ``build`` has made."""
    _run(conn, f"DROP TABLE {fresh_name(table, window)}")


def fresh_name(table: sa.Table, window: Window) -> str:
    """Name of the table aside that is to become the window's partition of ``table``."""
    return f"{partition_name(table, window)}_fresh"


def clear(conn: sa.Connection, table: sa.Table, window: Window) -> None:
    """Remove the window's partition of ``table``, if there is one."""
    _swap(conn, table, window, None, ())


def _add_constraints(conn: sa.Connection, table: sa.Table, window: Window, fresh: str) -> Sequence[str]:
    """Give ``fresh`` what ATTACH would otherwise scan for or build under lock; returns the names of its indexes."""
    not_null = [f"ALTER COLUMN {c.name} SET NOT NULL" for c in table.columns if not c.nullable]
    checks = [
        f"ADD CONSTRAINT {c.name} CHECK ({c.sqltext})" for c in table.constraints if isinstance(c, sa.CheckConstraint)
    ]
    bound = f"ADD CONSTRAINT {_BOUND} CHECK (window_start = '{window.start.isoformat()}')"
    _run(conn, f"ALTER TABLE {fresh} {', '.join([*not_null, *checks, bound])}")
    key = ", ".join(c.name for c in table.primary_key)
    _run(conn, f"ALTER TABLE {fresh} ADD CONSTRAINT {fresh}_pkey PRIMARY KEY ({key})")
    indexes = [f"{fresh}_pkey"]
    for index in table.indexes:
        where = index.dialect_options["postgresql"]["where"]
        columns = ", ".join(c.name for c in index.columns)
        indexes.append(f"{fresh}_{'_'.join(c.name for c in index.columns)}")
        unique = "UNIQUE " if index.unique else ""
        condition = f" WHERE {where}" if where is not None else ""
        _run(conn, f"CREATE {unique}INDEX {indexes[-1]} ON {fresh} ({columns}){condition}")
    return indexes


@retry_lock
def _swap(conn: sa.Connection, table: sa.Table, window: Window, fresh: str | None, indexes: Sequence[str]) -> None:
    name = partition_name(table, window)
    with conn.begin_nested():  # a lock that could not be had undoes the swap only, not the rows built aside
        _set_lock_timeout(conn)
        _run(conn, f"DROP TABLE IF EXISTS {name}")
        if fresh is None:
            return
        _run(conn, f"ALTER TABLE {fresh} RENAME TO {name}")
        for index in indexes:
            _run(conn, f"ALTER INDEX {index} RENAME TO {index.replace('_fresh', '', 1)}")
        _run(conn, f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES IN ('{window.start.isoformat()}')")
        _run(conn, f"ALTER TABLE {name} DROP CONSTRAINT {_BOUND}")


def _exists(conn: sa.Connection, name: str) -> bool:
    return sa.inspect(conn).has_table(name)


def _set_lock_timeout(conn: sa.Connection) -> None:
    _run(conn, f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")


def _run(conn: sa.Connection, ddl: str) -> None:
    conn.exec_driver_sql(ddl)
