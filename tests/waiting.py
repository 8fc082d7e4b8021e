"""Wait for what another process does, or writes into its log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 180
"""Seconds that anything may take on a slow machine. Every wait ends as soon as what it waits for is there."""
SHORTEST, LONGEST = 0.01, 0.2
"""Seconds between two looks. They grow, so that a short wait ends soon and a long one costs little."""


def until(condition: Callable[[], T | None], what: str, *, within: float = PATIENCE) -> T:
    """What ``condition`` returns once that is true."""
    deadline, pause = time.monotonic() + within, SHORTEST
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(pause)
        pause = min(1.4 * pause, LONGEST)
    return found


def logged(log: Path, text: str) -> str:
    """The whole log, once ``text`` is in it. A server writes a request's line after its answer."""
    return until(lambda: text in (found := log.read_text(errors="replace")) and found, f"{log.name} has {text}")
