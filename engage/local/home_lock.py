"""The lock of the local stack's folder: one process owns the folder, and other commands use its Postgres meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from engage.errors import LocalError
from engage.local.home import Home


@contextmanager
def locked(home: Home, *, serving: bool = False) -> Iterator[bool]:
    """Own the folder ``home`` for the block, and yield True.

    While a process that is ``serving`` owns it, other callers get False at once. For any other owner they wait.

    Raises:
        LocalError: another process owns the folder, and this caller wants to serve.
    """
    home.make()
    (home.path / "lock").touch(mode=0o600)
    with (home.path / "lock").open("r+", encoding="utf-8") as file:
        if _take(file, wait=False) or (not _held_by_server(file, serving=serving) and _take(file, wait=True)):
            file.seek(0)
            file.write(json.dumps({"pid": os.getpid(), "serving": serving}).ljust(60))  # one write, for readers
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
