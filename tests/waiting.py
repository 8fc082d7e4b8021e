"""Wait for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
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
