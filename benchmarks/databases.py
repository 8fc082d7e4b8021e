"""Engage on other servers: ``python -m benchmarks.databases [--pgbouncer PROGRAM] FOLDER…``.

Each FOLDER holds the programs of one PostgreSQL: initdb and postgres. On each server, one with odd defaults, it runs
``db upgrade``, a seed of 200 customers and one campaign. With ``--pgbouncer`` it does the same through a pooler in
transaction mode, and also asks the HTTP service. Everything runs on 127.0.0.1, in a folder that is deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import sqlalchemy as sa
from rich.console import Console

from engage.local import postgres_user
from engage.storage import connection, preflight

console = Console()
ODD_DEFAULTS = {
    "timezone": "Asia/Tokyo",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "statement_timeout": "20ms",
    "default_transaction_isolation": "serializable",
}
POOL = 6
"""Connections of the pooler to the server; fewer than its clients have."""


def main() -> int:
    """Try every server. Returns 1 if one of them failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--pgbouncer")
    chosen = parser.parse_args()
    results = [_tried(folder, chosen.pgbouncer) for folder in chosen.folders]
    return 0 if all(results) else 1


def _tried(programs: Path, pgbouncer: str | None) -> bool:
    with tempfile.TemporaryDirectory() as name, _server(programs.resolve(), Path(name)) as port:
        direct = _url(port, "direct")
        _make(port, "direct")
        with psycopg.connect(direct) as conn:
            title = f"PostgreSQL {conn.info.parameter_status('server_version')}"
        works = _campaign(title, direct)
        if pgbouncer:
            _make(port, "pooled")
            with _pooler(pgbouncer, Path(name), port) as pooler:
                url = _url(pooler, "pooled")
                works &= _campaign(f"{title} behind pgbouncer", url) and _settings_stay_apart(url) and _service(url)
        return works


@contextmanager
def _server(programs: Path, folder: Path) -> Iterator[int]:
    """A server with odd defaults; yields its port."""
    data, port = folder / "data", _free_port()
    data.mkdir()
    postgres_user.give(data)
    options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D", str(data)]
    initdb = postgres_user.command([str(programs / "initdb"), *options], [data, programs])
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL)
    start = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", "", "-h", "127.0.0.1"]
    with _running(postgres_user.command([*start, "-c", "fsync=off"], [data, programs]), port, folder / "log"):
        yield port


@contextmanager
def _pooler(program: str, folder: Path, server: int) -> Iterator[int]:
    """Pgbouncer in transaction mode, with its own defaults otherwise; yields its port."""
    port, home = _free_port(), folder / "pooler"
    home.mkdir()
    postgres_user.give(home)
    (folder / "users.txt").write_text('"postgres" ""\n', encoding="utf-8")
    (folder / "pooler.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {folder / 'users.txt'}\n"
        f"pool_mode = transaction\ndefault_pool_size = {POOL}\n",
        encoding="utf-8",
    )
    command = [program, str(folder / "pooler.ini")]
    folder.chmod(0o755)
    with _running(postgres_user.command(command, [home]), port, folder / "pooler.log"):
        yield port


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as to, subprocess.Popen(command, stdout=to, stderr=subprocess.STDOUT) as process:
        try:
            _wait_for(port, process, log)
            yield
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    sys.exit(f"It did not start:\n{log.read_text(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def _url(port: int, database: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/{database}"


def _make(port: int, database: str) -> None:
    """A database with odd defaults."""
    with _connected(_url(port, "postgres")) as conn:
        conn.execute(f"CREATE DATABASE {database}".encode())
        for name, value in ODD_DEFAULTS.items():
            conn.execute(f"ALTER DATABASE {database} SET {name} = '{value}'".encode())


def _connected(url: str) -> psycopg.Connection:
    """A connection to a server that may still be starting."""
    for _ in range(100):
        try:
            return psycopg.connect(url, autocommit=True)
        except psycopg.OperationalError as exc:
            if "starting up" not in str(exc):
                raise
            time.sleep(0.1)
    sys.exit("It did not start.")


def _campaign(title: str, url: str) -> bool:
    """Upgrade, seed, run and report, with the command line. Returns whether all worked."""
    for arguments in (["db", "upgrade"], ["seed", "--customers", "200", "--rng-seed", "1"], ["run", "--send-late"]):
        done = _engage(url, *arguments)
        if done.returncode:
            console.print(f"{title}: engage {' '.join(arguments)}: {done.stderr}", markup=False)
            return False
    report = json.loads(_engage(url, "report", "--json").stdout)
    console.print(f"{title}: {report['customers']} customers, {report['messages']['total']} messages", markup=False)
    return bool(report["customers"] == 200 and report["messages"]["total"])


def _environment(url: str) -> dict[str, str]:
    return os.environ | {"ENGAGE_DATABASE_URL": url, "ENGAGE_HASH_KEY": secrets.token_hex(32)}


def _engage(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engage", *arguments]
    return subprocess.run(command, env=_environment(url), capture_output=True, text=True, check=False)


def _settings_stay_apart(url: str) -> bool:
    """Whether clients that share the pooler's sessions keep their own settings, and leave none behind."""
    fast, slow = connection.connect(url, patience=3.0), connection.connect(url)
    zone, limit = sa.func.current_setting("TimeZone"), sa.func.current_setting("statement_timeout")
    ask = sa.select(zone, limit, sa.func.pg_backend_pid())
    found: list[tuple[object, ...]] = []
    shared: dict[int, set[sa.Engine]] = {}
    for turn in range(50):
        clients = [fast, slow] if turn % 2 else [slow, fast]
        with clients[0].connect() as one, clients[1].connect() as other:
            for conn in (one, other):
                *settings, session = conn.execute(ask).one()
                found.append((conn.engine is fast, *settings))
                shared.setdefault(session, set()).add(conn.engine)
    preflight.check(slow)
    with psycopg.connect(url) as plain:
        left = plain.execute("SELECT current_setting('statement_timeout'), current_setting('bytea_output')").fetchone()
    both = sum(len(engines) == 2 for engines in shared.values())
    works = set(found) == {(True, "UTC", "3s"), (False, "UTC", "0")} and both > 0 and left == ("20ms", "escape")
    console.print(f"  clients that share {both} sessions keep their settings: {works}")
    fast.dispose()
    slow.dispose()
    return works


def _service(url: str) -> bool:
    """Whether the HTTP service stores a batch."""
    key = _engage(url, "keys", "create", "trial", "--scope", "events").stdout.split()[-1]
    port = _free_port()
    command = [sys.executable, "-m", "engage", "serve", "--port", str(port)]
    event = {"type": "session", "customer_id": 1, "occurred_at": "2024-03-01T12:00:00Z"}
    with (
        tempfile.NamedTemporaryFile() as log,
        subprocess.Popen(command, env=_environment(url), stdout=log, stderr=log) as service,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}) as client,
    ):
        try:
            _wait_for(port, service, Path(log.name))
            ready = client.get("/readyz").status_code
            stored = [
                client.post("/v1/events", json={"events": [event]}, headers={"Idempotency-Key": secrets.token_hex(8)})
                for _ in range(50)
            ]
            answers = {answer.status_code for answer in stored}
        finally:
            service.terminate()
            service.wait(30)
    console.print(f"  the service: /readyz {ready}, 50 batches {answers}")
    return ready == 200 and answers == {200}


if __name__ == "__main__":
    sys.exit(main())
