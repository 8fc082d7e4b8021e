"""Records the processes that the local stack starts, so that a later start can end leftovers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress

import psutil

from engage.local.home import Home, write_json

STOP_SECONDS = 15

_TITLES = ("airflow", "-m engage serve")
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError)


def remember(home: Home, pid: int) -> None:
    """Record a process that leads its own session, so that ``end_leftovers`` finds it and its descendants."""
    begun = {"pid": pid, "created": psutil.Process(pid).create_time(), "boot": psutil.boot_time()}
    write_json(home.path / "processes.json", [*_remembered(home), begun])


def end_leftovers(home: Home, of: int | None = None) -> None:
    """Kill every living process in the sessions of the recorded processes, or only in that of process ``of``."""
    known = _remembered(home)
    leftovers = [process for begun in known if of in (None, begun["pid"]) for process in _session(begun)]
    for process in leftovers:
        with suppress(*_GONE):
            process.kill()
    psutil.wait_procs(leftovers, timeout=STOP_SECONDS)
    write_json(home.path / "processes.json", [begun for begun in known if of not in (None, begun["pid"])])


def _remembered(home: Home) -> list[dict[str, float]]:
    try:
        return list(json.loads((home.path / "processes.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return []


def _session(begun: dict[str, float]) -> Iterator[psutil.Process]:
    """The living processes in the session that ``begun`` leads.

    The system reuses process ids, so boot time and creation time must match. If the leader is gone, the command line
    must be that of Airflow or the service, too.
    """
    leader, led = int(begun["pid"]), False
    if begun["boot"] != psutil.boot_time():
        return
    with suppress(*_GONE):
        led = psutil.Process(leader).create_time() == begun["created"]
        if not led:
            return
    for process in psutil.process_iter():
        with suppress(*_GONE):
            ours = os.getsid(process.pid) == leader and process.create_time() >= begun["created"]
            if ours and (led or any(title in " ".join(process.cmdline()) for title in _TITLES)):
                yield process
