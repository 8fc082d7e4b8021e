"""The local stack: Airflow and the HTTP service on the embedded Postgres, started and stopped together."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec

import sqlalchemy as sa

from engage import process_signals
from engage.clock import now
from engage.errors import LocalError
from engage.local.embedded_postgres import connected, create_databases, owned
from engage.local.environment import environment
from engage.local.home import Home, tail, write_json
from engage.local.home_lock import locked
from engage.local.postgres_server import PostgresServer
from engage.local.processes import STOP_SECONDS, end_leftovers, remember
from engage.local.progress import Say, quiet
from engage.local.supervision import PostgresSupervisor
from engage.storage import migrations
from engage.texts import phone

ADMIN = "admin"
USERS = {ADMIN: "admin"}
"""Airflow's logins and their roles: viewer, user, op or admin."""
SERVICE, POSTGRES = "service", "Postgres"
AIRFLOW = "import gc; gc.set_threshold(100_000, 20, 50); from airflow.__main__ import main; main()"
"""Airflow's own command. Its imports make many objects that stay: to look for garbage among them less often saves a
sixth of a start's processor time (16 s instead of 19 s)."""
AIRFLOW_COMMANDS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
}
PARTS = f"Airflow's {', '.join(AIRFLOW_COMMANDS)}, and the HTTP {SERVICE}"
MAX_RESTARTS, RESTART_SECONDS = 5, 600
"""All processes but Postgres may together be restarted so often in so many seconds."""


@dataclass
class Stack:
    """Airflow's processes and the HTTP service, on the folder's Postgres."""

    home: Home
    postgres: PostgresSupervisor
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)
    users: Mapping[str, str] = field(default_factory=lambda: USERS)
    variables: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables of the processes."""

    @property
    def host(self) -> str:
        """The socket directory of Postgres."""
        return str(self.postgres.server.data)

    def password(self, user: str) -> str:
        """The password of an Airflow user."""
        return self.home.secret("password" if user == ADMIN else f"password of {user}")

    def database(self) -> AbstractContextManager[sa.Engine]:
        """An engine for Engage's database, for the length of a block."""
        return connected(self.host)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the processes."""
        return {**environment(self.home, self.host, self.users), **self.variables}

    def prepare(self) -> None:
        """Make the logins, and the tables of Engage and of Airflow."""
        write_json(self.home.airflow / "passwords.json", {user: self.password(user) for user in self.users})
        with self.database() as engine:
            migrations.upgrade(engine, now(), hash_key=lambda: phone.hash_key(self.home.secret("hash")))
        log = self.home.logs / "migrate.log"
        with log.open("wb") as output:
            done = subprocess.run(
                [*_airflow(), "db", "migrate"],
                check=False,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                umask=0o077,
            )
        if done.returncode:
            raise LocalError(f"Airflow's database migration failed; its log is {log}.\n{tail(log)}")

    def start(self) -> None:
        """Start every process. They become healthy later."""
        for name in (*AIRFLOW_COMMANDS, SERVICE):
            self._start(name)

    def keep_alive(self) -> list[str]:
        """Restart the dead processes, Postgres first, and return their names.

        Raises:
            LocalError: processes die too often.
        """
        restarted = [POSTGRES] if self.postgres.revive() else []
        died = [name for name, process in self.processes.items() if process.poll() is not None]
        if died and not self.postgres.server.ready():
            return restarted  # they would only die again
        for name in died:
            if not self.postgres.in_aftermath():
                self._count_restart(name)
            end_leftovers(self.home, of=self.processes[name].pid)  # the workers of a dead scheduler would go on
            self._start(name)
        return restarted + died

    def _count_restart(self, name: str) -> None:
        self.restarts = [at for at in self.restarts if time.monotonic() - at < RESTART_SECONDS] + [time.monotonic()]
        if len(self.restarts) > MAX_RESTARTS:
            log = self.home.logs / f"{name}.log"
            raise LocalError(f"The {name} keeps dying; its log is {log}.\n{tail(log)}")

    def _start(self, name: str) -> None:
        with (self.home.logs / f"{name}.log").open("ab") as output, process_signals.deferred():
            process = subprocess.Popen(
                self._command(name),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                umask=0o077,
                start_new_session=True,  # keeps Ctrl-C from it, and lets processes.py find its descendants
            )
            self.processes[name] = process
            remember(self.home, process.pid)

    def _command(self, name: str) -> list[str]:
        if name == SERVICE:
            return [sys.executable, "-m", "engage", "serve", "--port", str(self.home.service_port)]
        return [*_airflow(), *AIRFLOW_COMMANDS[name]]

    def stop(self) -> None:
        """Ask every process to end, then kill the rest."""
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
def stack(
    home: Home, users: Mapping[str, str] = USERS, *, variables: Mapping[str, str] | None = None, say: Say = quiet
) -> Iterator[Stack]:
    """Start the whole local stack, and stop it at the end of the block. ``users`` maps logins to Airflow's roles.

    ``variables``: further environment variables of its processes.

    Raises:
        LocalError: the folder or a port is in use, or a process cannot start.
    """
    with owned(home, serving=True, say=say) as (server, _):
        end_leftovers(home)
        _check_port(home.port, "ENGAGE_PORT", 8080)
        _check_port(home.service_port, "ENGAGE_SERVICE_PORT", 8000)
        create_databases(str(server.data))
        running = Stack(home, PostgresSupervisor(server), users=users, variables=variables or {})
        try:
            say("Bringing the databases of Engage and Airflow up to date …")
            running.prepare()
            say(f"Starting {PARTS} …")
            running.start()
            yield running
        finally:
            with process_signals.ignored():
                if running.processes:
                    say(f"Stopping {PARTS} …")
                running.stop()
                say("Airflow and the HTTP service have stopped.")


def _check_port(port: int, variable: str, usual: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as exc:
            raise LocalError(f"Port {port} needs more rights than you have; choose a port from 1024.") from exc
        except OSError as exc:
            raise LocalError(
                f"Port {port} on 127.0.0.1 is in use. Free it, or choose another one: make demo "
                f"{variable}={port + 1 if port < 65535 else usual}"
            ) from exc


def _airflow() -> list[str]:
    if find_spec("airflow") is None:
        raise LocalError("This Python has no Airflow. Install the requirements: make install")
    return [sys.executable, "-c", AIRFLOW]


def remove(home: Home) -> None:
    """Delete the stack's files in the folder.

    Raises:
        LocalError: a stack is running there.
    """
    with locked(home, serving=True):
        end_leftovers(home)
        PostgresServer(home).stop()
        home.remove()
