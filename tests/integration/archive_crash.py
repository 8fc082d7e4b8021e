"""A process that changes the archive and is killed on the way: ``python archive_crash.py ACTION URL FOLDER NOW STEP``.

A step is a file that is written, gets its name or is cleaned up. In a file, the process dies after its first bytes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from engage.archive import erasure, place, stored, write
from engage.storage import connection

ACTION, URL, FOLDER, NOW, STEP = sys.argv[1:]
BEGINNING = 50
"""Bytes of a file that are written before the process dies."""
left = int(STEP)


def step() -> None:
    global left  # noqa: PLW0603 - a countdown
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)


def then_step(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: (function(*arguments), step())[0]


def halved(written: Callable[..., int]) -> Callable[..., int]:
    def write_(self: stored.Hashed, data: Any) -> int:
        if len(data) <= BEGINNING:
            return written(self, data)
        first = written(self, data[:BEGINNING])
        step()
        return first + written(self, data[BEGINNING:])

    return write_


stored.move, stored.clean = then_step(stored.move), then_step(stored.clean)
stored.Hashed.write = halved(stored.Hashed.write)  # type: ignore[method-assign]
engine, where = connection.connect(URL), place.place_of(FOLDER)
if ACTION == "erase":
    erasure.erase(engine, where)
else:
    write.archive(engine, where, as_of=datetime.fromisoformat(NOW))
