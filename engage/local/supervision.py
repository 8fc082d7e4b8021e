"""Starts the embedded Postgres again when it has died."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engage.errors import LocalError
from engage.local.postgres_server import PostgresServer

LONGEST_PAUSE = 60
MEMORY_SECONDS = 600
"""After so many seconds an attempt no longer makes the next pause longer."""
AFTERMATH_SECONDS = 60
"""How long after an attempt other processes may still die of the outage."""
LOOK_SECONDS = 1.0

log = logging.getLogger(__name__)


class PostgresSupervisor:
    """Starts a dead server again: at once, then after growing pauses, for as long as it takes, as with a full disk."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._attempts: list[float] = []
        self._failing = False

    def revive(self) -> bool:
        """Start the server if it has died, or is about to, and its pause is over; returns whether it did."""
        runs = self.server.running() is not None and not self.server.stopping()
        if runs or self._since_last() < self._pause():
            return False
        self._attempts.append(time.monotonic())
        try:
            self.server.stop()  # its clients may keep it from ending
            self.server.start()
        except LocalError as exc:
            if not self._failing:
                log.warning("Postgres has died and cannot be started. It is tried again until it can.\n%s", exc)
            self._failing = True
            return False
        self._failing = False
        return True

    def in_aftermath(self) -> bool:
        """Whether an outage may be why another process has died."""
        return self._since_last() < AFTERMATH_SECONDS

    def _pause(self) -> float:
        self._attempts = [at for at in self._attempts if time.monotonic() - at < MEMORY_SECONDS]
        return min(LONGEST_PAUSE, 2 ** len(self._attempts)) if self._attempts else 0

    def _since_last(self) -> float:
        return time.monotonic() - self._attempts[-1] if self._attempts else float("inf")


@contextmanager
def supervised(server: PostgresServer) -> Iterator[None]:
    """Keep the server running during the block, from a thread, since the block is busy."""
    ended = threading.Event()

    def supervise() -> None:
        supervisor = PostgresSupervisor(server)
        while not ended.wait(LOOK_SECONDS):
            if supervisor.revive():
                log.warning("Postgres had died; it was started again.")

    thread = threading.Thread(target=supervise, name="postgres-supervisor")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
