"""The embedded Postgres: a real server that comes with the requirements and keeps its data in the stack's folder.

It listens only on a Unix socket. The process that holds the folder's lock starts the server and stops it at the end;
other processes connect to it meanwhile.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from engage import process_signals
from engage.errors import LocalError
from engage.local.base_environment import without_libpq_variables
from engage.local.home import Home
from engage.local.home_lock import locked
from engage.local.postgres_server import PostgresServer
from engage.local.progress import Say, quiet
from engage.local.supervision import supervised
from engage.storage import connection

DATABASE, AIRFLOW_DATABASE = "engage", "airflow"
SHARED_WITHIN = 20
"""Seconds to wait for the server of another process."""
LONGEST_PATH = 80
"""Bytes of the folder's path. A socket's path may have 107 bytes on Linux and 103 on macOS."""


@contextmanager
def owned(home: Home, *, serving: bool = False, say: Say = quiet) -> Iterator[tuple[PostgresServer, bool]]:
    """The folder's Postgres, and whether this process owns it: then it starts it, and stops it at the end of the block.

    Raises:
        LocalError: it cannot start.
    """
    _check_path(home.path)
    server = PostgresServer(home)
    with without_libpq_variables(), locked(home, serving=serving) as owner:
        if not owner:
            _wait_for_another(server)
            yield server, False
            return
        say("Starting Postgres …")
        try:
            server.start()
            yield server, True
        finally:
            with process_signals.ignored():
                server.stop()
                say("Postgres has stopped.")


@contextmanager
def postgres(home: Home) -> Iterator[str]:
    """The socket directory of the folder's Postgres, which runs at least for the length of the block.

    Raises:
        LocalError: it cannot start.
    """
    with owned(home) as (server, _):
        yield str(server.data)


def require_data(home: Home) -> None:
    """Refuse a folder without databases, so that a mistyped ENGAGE_HOME does not look like an empty database.

    Raises:
        LocalError: there are none.
    """
    server = PostgresServer(home)
    if not server.has_data:
        raise LocalError(
            f"There is no database in {home.named}: {server.data} does not exist. Set ENGAGE_HOME to the folder that "
            "holds your data, or ENGAGE_DATABASE_URL to your own Postgres. `engage up` starts with a new database, "
            "`engage seed` writes synthetic data into one."
        )


@contextmanager
def engine(home: Home, *, serving: bool = False, say: Say = quiet) -> Iterator[sa.Engine]:
    """Engage's database in the folder's Postgres. While one process is ``serving``, others share its server.

    Raises:
        LocalError: it cannot start.
    """
    with (
        owned(home, serving=serving, say=say) as (server, owner),
        supervised(server) if owner and serving else nullcontext(),
    ):
        create_databases(str(server.data))
        with connected(str(server.data)) as found:
            yield found


@contextmanager
def connected(host: str) -> Iterator[sa.Engine]:
    """Engage's database behind a socket directory."""
    found = connection.connect(database_url(host, DATABASE))
    try:
        yield found
    finally:
        found.dispose()


def database_url(host: str, name: str) -> str:
    """URL of a database behind a socket directory."""
    return f"postgresql+psycopg://postgres@/{name}?host={quote(host)}"


def _check_path(path: Path) -> None:
    if found := re.search(r"[^\w /.~+@:=-]", str(path)):
        raise LocalError(
            f"The embedded Postgres cannot live under a path with the character {found[0]!r}: {path}. Move the "
            "project, or set ENGAGE_HOME to a folder without it."
        )
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise LocalError(
            f"The embedded Postgres cannot live under a path as long as {path}: its socket's name may have "
            f"{LONGEST_PATH} characters before it. Move the project, or set ENGAGE_HOME to a shorter folder."
        )


def _wait_for_another(server: PostgresServer) -> None:
    """Wait for the Postgres that another process starts."""
    deadline = time.monotonic() + SHARED_WITHIN
    while not server.ready():
        if time.monotonic() > deadline:
            raise LocalError(f"The stack in {server.home.path} is just starting or stopping. Try again in a moment.")
        time.sleep(0.2)


def create_databases(host: str) -> None:
    """Create the missing databases."""
    admin = sa.create_engine(database_url(host, "postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        known = set(conn.execute(sa.text("SELECT datname FROM pg_database")).scalars())
        for name in (DATABASE, AIRFLOW_DATABASE):
            if name not in known:
                conn.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
