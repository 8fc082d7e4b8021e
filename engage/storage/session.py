"""What every session with Postgres has: a server that Engage can use, and settings that no default changes.

The defaults of a role or a database (``ALTER ROLE … SET``) and the caller's environment (``PGTZ``) do not count.
Through a pooler in transaction mode, each transaction may run in another session. So there the settings go with each
transaction.
"""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy as sa

from engage.errors import UnfitDatabase

MIN_MAJOR_VERSION = 14
ENCODING = "UTF8"
SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "client_encoding": ENCODING,
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
"""The settings that decide what a value or a statement means."""

_POOLED = "engage_pooled"


def server_fault(version: int, encoding: str | None) -> str | None:
    """Why Engage cannot use a server of this version (140023 is 14.23) and encoding; None if it can."""
    if version < MIN_MAJOR_VERSION * 10_000:
        found = f"{version // 10_000}.{version % 10_000}" if version >= 100_000 else version // 10_000
        return (
            f"The database is PostgreSQL {found}, and Engage needs {MIN_MAJOR_VERSION} or later. Upgrade the server, "
            "or name another database."
        )
    if encoding not in {ENCODING, None}:
        return (
            f"The database's encoding is {encoding}, and Engage needs {ENCODING}, or it could not store every name. "
            f"Make a database with: CREATE DATABASE engage TEMPLATE template0 ENCODING '{ENCODING}'"
        )
    return None


def keep(engine: sa.Engine, *, patience: float | None = None) -> None:
    """Give every session of ``engine`` the ``SETTINGS``, and a time limit of ``patience`` seconds for a statement.

    A session is refused with an UnfitDatabase if the server is too old or has another encoding.
    """
    limits = {"statement_timeout": str(int((patience or 0) * 1000)), "lock_timeout": "0"}
    settings = SETTINGS | limits
    local = sa.select(*(sa.func.set_config(name, value, True) for name, value in settings.items()))
    pooled = sa.func.pg_backend_pid() != sa.bindparam("heard", type_=sa.Integer)
    first = sa.select(pooled, *(sa.func.set_config(name, value, pooled) for name, value in settings.items()))
    compiled = first.compile(dialect=engine.dialect)

    def opened(connection: psycopg.Connection[Any], record: sa.pool.ConnectionPoolEntry) -> None:
        info = connection.info
        if fault := server_fault(info.server_version, info.parameter_status("server_encoding")):
            connection.close()
            raise UnfitDatabase(fault)
        # a pooler makes up the process id that it tells its clients
        values = compiled.construct_params({"heard": info.backend_pid})
        connection.autocommit = True  # a rollback would take the settings back
        row = connection.execute(str(compiled), values).fetchone()
        connection.autocommit = False
        record.info[_POOLED] = bool(row and row[0])

    def begun(conn: sa.Connection) -> None:
        if conn.info.get(_POOLED):
            conn.execute(local)

    sa.event.listen(engine, "connect", opened, insert=True)  # before SQLAlchemy's own questions
    sa.event.listen(engine, "begin", begun)
