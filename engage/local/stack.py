"""One machine: Airflow and the HTTP service on the embedded Postgres, started together and stopped without a trace."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from engage import process_signals
from engage.clock import now
from engage.errors import LocalError
from engage.local.embedded_postgres import (
    AIRFLOW_DATABASE,
    DATABASE,
    connected,
    create_databases,
    database_url,
    postgres,
    stop,
)
from engage.local.home import CHECKOUT, Home, locked, tail, write_json
from engage.local.processes import STOP_SECONDS, end_leftovers, remember
from engage.storage import migrations

ADMIN = "admin"
USERS = {ADMIN: "admin"}
"""Who may log in, and in which of the roles viewer, user, op and admin."""
SERVICE = "service"
AIRFLOW_COMMANDS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
}
MAX_RESTARTS = 5
"""In ten minutes, of all processes together."""


@dataclass
class Stack:
    """Airflow's processes and the service on top of the folder's Postgres."""

    home: Home
    host: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)
    users: Mapping[str, str] = field(default_factory=lambda: USERS)

    def password(self, user: str) -> str:
        """What a user logs in with."""
        return self.home.secret("password" if user == ADMIN else f"password of {user}")

    def database(self) -> AbstractContextManager[sa.Engine]:
        """Engage's database."""
        return connected(self.host)

    @property
    def environment(self) -> dict[str, str]:
        """What the processes run with. The caller's own AIRFLOW… variables would only get in the way."""
        home, postgres_url = self.home, database_url(self.host, AIRFLOW_DATABASE)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules make every later start faster
        no_proxy = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1"]))
        connection = {"conn_type": "postgres", "host": self.host, "login": "postgres", "schema": DATABASE}
        return kept | {
            "AIRFLOW_HOME": str(home.airflow),
            "AIRFLOW_CONN_ENGAGE_DB": json.dumps(connection),
            "AIRFLOW__API__BASE_URL": home.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(home.port),
            "AIRFLOW__API__SECRET_KEY": home.secret("api"),
            "AIRFLOW__API_AUTH__JWT_SECRET": home.secret("jwt"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{home.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": _fernet_key(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(max(4, os.cpu_count() or 2)),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home.airflow / "passwords.json"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in self.users.items()),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres_url,
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.logs / "tasks"),
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
            "ENGAGE_DATABASE_URL": database_url(self.host, DATABASE),
            "ENGAGE_HASH_KEY": home.secret("hash"),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")])),
        }

    def prepare(self) -> None:
        """Make the folders, the logins, Engage's tables and Airflow's own."""
        self.home.airflow.mkdir(exist_ok=True)
        self.home.logs.mkdir(exist_ok=True)
        write_json(self.home.airflow / "passwords.json", {user: self.password(user) for user in self.users})
        with self.database() as engine:
            migrations.upgrade(engine, now())
        log = self.home.logs / "migrate.log"
        with log.open("wb") as output:
            done = subprocess.run(
                [*_airflow(), "db", "migrate"],
                check=False,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        if done.returncode:
            raise LocalError(f"Airflow's database migration failed; its log is {log}.\n{tail(log)}")

    def start(self) -> None:
        """Start every process; they become healthy later."""
        for name in (*AIRFLOW_COMMANDS, SERVICE):
            self._start(name)

    def keep_alive(self) -> list[str]:
        """Restart the processes that have died, and return their names.

        Raises:
            LocalError: they keep dying.
        """
        died = [name for name, process in self.processes.items() if process.poll() is not None]
        for name in died:
            self.restarts = [at for at in self.restarts if time.monotonic() - at < 600] + [time.monotonic()]
            if len(self.restarts) > MAX_RESTARTS:
                log = self.home.logs / f"{name}.log"
                raise LocalError(f"The {name} keeps dying; its log is {log}.\n{tail(log)}")
            end_leftovers(self.home, of=self.processes[name].pid)  # a dead scheduler's workers would work on
            self._start(name)
        return died

    def _start(self, name: str) -> None:
        with (self.home.logs / f"{name}.log").open("ab") as output, process_signals.deferred():
            process = subprocess.Popen(
                self._command(name),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is ours to handle; and its session finds whatever it starts
            )
            self.processes[name] = process
            remember(self.home, process.pid)

    def _command(self, name: str) -> list[str]:
        if name == SERVICE:
            return [sys.executable, "-m", "engage", "serve", "--port", str(self.home.service_port)]
        return [*_airflow(), *AIRFLOW_COMMANDS[name]]

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
def stack(home: Home, users: Mapping[str, str] = USERS) -> Iterator[Stack]:
    """The whole local stack, starting; it is stopped when the block ends, however it ends.

    Raises:
        LocalError: the folder or the port is in use, or something cannot start.
    """
    with postgres(home, serving=True) as host:
        end_leftovers(home)
        _check_port(home.port, "ENGAGE_PORT", 8080)
        _check_port(home.service_port, "ENGAGE_SERVICE_PORT", 8000)
        create_databases(host)
        running = Stack(home, host, users=users)
        try:
            running.prepare()
            running.start()
            yield running
        finally:
            with process_signals.ignored():
                running.stop()


def _check_port(port: int, variable: str, usual: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as exc:
            raise LocalError(f"Port {port} needs more rights than you have; choose one from 1024.") from exc
        except OSError as exc:
            raise LocalError(
                f"Port {port} on 127.0.0.1 is in use. Free it, or choose another: make demo "
                f"{variable}={port + 1 if port < 65535 else usual}"
            ) from exc


def _fernet_key(home: Home) -> str:
    return home.secret("fernet") + "="  # 32 random bytes are 43 characters of URL-safe base64, less the padding


def _airflow() -> list[str]:
    command = Path(sys.executable).parent / "airflow"
    if not command.exists():
        raise LocalError("There is no airflow command beside this Python. Install the requirements: make install")
    return [str(command)]


def remove(home: Home) -> None:
    """Delete the folder's state.

    Raises:
        LocalError: a stack is up in it.
    """
    if not home.path.exists():
        return
    with locked(home, serving=True):
        end_leftovers(home)
        stop(home)
        home.remove()
