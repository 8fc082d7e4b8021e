"""The folder with everything the local stack keeps: its secrets, its lock, and what it left running."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from engage.errors import LocalError

ROOT = Path(__file__).resolve().parents[1]
"""The checkout: where dags/ and plugins/ are."""

STOP_SECONDS = 15

_GONE = (psutil.NoSuchProcess, ProcessLookupError, PermissionError)


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
        if _take(file, wait=False) or (not _held_by_server(file, serving=serving) and _take(file, wait=True)):
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


def end_leftovers(home: Home) -> None:
    """End what processes of this folder, dead or alive, have started and left running."""
    file = _remembered(home)
    known = json.loads(file.read_text()) if file.exists() else []
    leftovers = [process for pid, created in known for process in _session(pid, created)]
    for process in leftovers:
        with suppress(*_GONE):
            process.kill()
    psutil.wait_procs(leftovers, timeout=STOP_SECONDS)
    file.unlink(missing_ok=True)


def _session(leader: int, created: float) -> Iterator[psutil.Process]:
    """The living processes of the session that ``leader`` began at ``created``."""
    with suppress(*_GONE):
        if psutil.Process(leader).create_time() != created:
            return  # the number belongs to somebody else now
    for process in psutil.process_iter():
        with suppress(*_GONE):
            if os.getsid(process.pid) == leader and process.create_time() >= created:
                yield process


def remember(home: Home, pid: int) -> None:
    """Note a process that begins a session of its own, for ``end_leftovers`` to find it and its descendants."""
    file = _remembered(home)
    known = json.loads(file.read_text()) if file.exists() else []
    file.write_text(json.dumps([*known, [pid, psutil.Process(pid).create_time()]]))


def _remembered(home: Home) -> Path:
    return home.path / "processes.json"


def tail(file: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error to show."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else ""
