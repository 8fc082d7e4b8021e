"""Names and lock time-outs for all partition DDL."""

from __future__ import annotations

import sqlalchemy as sa
import tenacity
from sqlalchemy.dialects.postgresql import REGCLASS

from engage.storage.database_errors import sqlstate
from engage.window import Window

LOCK_TIMEOUT = "2s"
"""How long DDL may wait for a lock. All later statements queue behind it meanwhile."""

BOUND = "window_bound"
"""Name of the CHECK that a fresh table holds rows of its window only. It spares ATTACH a scan."""

_LOCK_NOT_AVAILABLE, _DEADLOCK_DETECTED = "55P03", "40P01"


def _lock_not_available(exc: BaseException) -> bool:
    return sqlstate(exc) in {_LOCK_NOT_AVAILABLE, _DEADLOCK_DETECTED}


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
    """The window's partition of ``table`` as a table of its own. The caller makes sure that it exists.

    A query of the partition groups and joins piece by piece and compares no timestamps. A query of the parent does
    neither (docs/decisions/performance.md).
    """
    return table.to_metadata(sa.MetaData(), name=partition_name(table, window))


def find(conn: sa.Connection, table: sa.Table, window: Window) -> sa.Table | None:
    """The window's partition of ``table``, or None if it does not exist."""
    return of(table, window) if exists(conn, partition_name(table, window)) else None


def default_of(table: sa.Table) -> sa.Table:
    """The DEFAULT partition of a raw log as a table of its own."""
    return table.to_metadata(sa.MetaData(), name=f"{table.name}_default")


def fresh_name(table: sa.Table, window: Window) -> str:
    """Name of the fresh table that later becomes the window's partition of ``table``."""
    return f"{partition_name(table, window)}_fresh"


def exists(conn: sa.Connection, name: str) -> bool:
    """Whether a table has this name."""
    return sa.inspect(conn).has_table(name)


def partitions_of(conn: sa.Connection, table: sa.Table) -> list[str]:
    """The names of a table's partitions."""
    child = sa.cast(sa.column("inhrelid"), REGCLASS)
    of_table = sa.column("inhparent") == sa.cast(table.name, REGCLASS)
    return list(
        conn.execute(sa.select(sa.cast(child, sa.Text)).select_from(sa.table("pg_inherits")).where(of_table)).scalars()
    )


def share(conn: sa.Connection, table: sa.Table, name: str) -> None:
    """Give every role that may use ``table`` the same rights on the table ``name``, but for rights on columns."""
    found = conn.exec_driver_sql(
        "SELECT privilege_type, grantee::regrole::text FROM pg_class, aclexplode(relacl) "
        f"WHERE oid = '{table.name}'::regclass AND grantee NOT IN (0, relowner)"
    )
    for right, role in found.all():
        run(conn, f"GRANT {right} ON {name} TO {role}")


def set_lock_timeout(conn: sa.Connection) -> None:
    """Limit every lock wait of the transaction to ``LOCK_TIMEOUT``."""
    run(conn, f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")


def analyze(conn: sa.Connection, table: sa.Table) -> None:
    """Count what a freshly filled table holds, for good plans of the statements that follow."""
    run(conn, f"ANALYZE {table.name}")


def run(conn: sa.Connection, ddl: str) -> None:
    """Execute DDL, which takes no parameters."""
    conn.exec_driver_sql(ddl)
