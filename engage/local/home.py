"""The folder with everything the local stack keeps, its secrets, and the lock of whoever uses it."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engage.errors import LocalError

CHECKOUT = Path(__file__).resolve().parents[2]
"""The checkout: where dags/ and plugins/ are."""


@dataclass(frozen=True)
class Home:
    """The folder with all state of the local stack, and the ports of its user interface and of its HTTP service."""

    path: Path
    port: int = 8080
    service_port: int = 8000

    @classmethod
    def default(cls, port: int = 8080, service_port: int = 8000) -> Home:
        path = Path(os.environ.get("ENGAGE_HOME") or CHECKOUT / ".engage").expanduser().resolve()
        return cls(path, port, service_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def service_url(self) -> str:
        return f"http://127.0.0.1:{self.service_port}"

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
            write_json(file, known)
        return str(known[name])

    def remove(self) -> None:
        """Delete what the stack has made here, and the folder itself if nothing else is in it."""
        for name in ("postgres", "airflow", "logs"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in ("secrets.json", "processes.json", "lock"):
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


@contextmanager
def locked(home: Home, *, serving: bool = False) -> Iterator[bool]:
    """Own ``home``; yields False, without owning it, when a stack that is up does and this caller is not one.

    Raises:
        LocalError: another process serves from this folder, and this caller wants to.
    """
    home.path.mkdir(parents=True, exist_ok=True)
    (home.path / "lock").touch()
    with (home.path / "lock").open("r+") as file:
        if _take(file, wait=False) or (not _held_by_server(file, serving=serving) and _take(file, wait=True)):
            file.seek(0)
            file.write(json.dumps({"pid": os.getpid(), "serving": serving}).ljust(60))  # in one write, for readers
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
    try:
        holder = json.loads(file.read())
    except ValueError:
        holder = {}
    if serving:
        raise LocalError(
            f"Process {holder.get('pid', '?')} is already using {Path(file.name).parent}. Stop it with Ctrl-C in its "
            f"terminal or with: kill {holder.get('pid', '?')}. For a second stack set ENGAGE_HOME to another folder "
            "and ENGAGE_PORT to another port."
        )
    return bool(holder.get("serving"))


def write_json(file: Path, content: object) -> None:
    """Write a file that only its owner may read, in one piece: a reader never sees half of it."""
    draft = file.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content, indent=2))
    draft.replace(file)


def tail(file: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error to show."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else ""
