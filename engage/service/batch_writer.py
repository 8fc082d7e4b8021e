"""Writes batches of events down, several in one transaction, and says so to each sender once that is committed.

While one transaction commits, the batches that come meanwhile form the next one: the busier it is, the more of them
share the cost. What waits is bounded, and so is the number of connections.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

import structlog

from engage.service import idempotent_intake
from engage.service.context import Context
from engage.service.idempotent_intake import Batch, Taken
from engage.service.problem_details import NO_ANSWER

log = structlog.get_logger(__name__)

WRITERS = 2
MAX_GROUP = 20_000
"""Events in one transaction, about."""
MAX_WAITING = 100_000
"""Events that may wait, about; more are refused, to be sent again."""
MAX_WAITING_BATCHES = 2_000

CLOSE_WITHIN = 10.0

_Entry = tuple[Batch, asyncio.Future[Taken]]


class Writer:
    """The threads that write, and what waits for them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: deque[_Entry] = deque()
        self._events = 0
        self._changed = threading.Condition()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._threads = [threading.Thread(target=self._run, name=f"writer-{n}", daemon=True) for n in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def submit(self, batch: Batch) -> asyncio.Future[Taken] | None:
        """What becomes of the batch, once it is known; None if too many wait already.

        The future ends with SQLAlchemy's error if the database cannot take it.
        """
        future: asyncio.Future[Taken] = self._loop.create_future()
        with self._changed:
            full = self._events > MAX_WAITING or len(self._waiting) >= MAX_WAITING_BATCHES
            if full or self._closing:
                return None
            self._waiting.append((batch, future))
            self._events += len(batch)
            self._context.metrics.waiting.set(len(self._waiting))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(CLOSE_WITHIN)  # a database that hangs is not waited for: nobody was told that it has anything

    def _run(self) -> None:
        while group := self._next():
            self._write(group)

    def _next(self) -> list[_Entry]:
        """The batches of the next transaction; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            group, events = [], 0
            while self._waiting and events < MAX_GROUP:
                entry = self._waiting.popleft()
                group.append(entry)
                events += len(entry[0])
            self._events -= events
            self._context.metrics.waiting.set(len(self._waiting))
            return group

    def _write(self, group: Sequence[_Entry]) -> None:
        try:
            found: Sequence[Taken | Exception] = self._store([batch for batch, _ in group])
        except Exception as exc:  # noqa: BLE001 - whatever it is, the senders are told, and the next group has its turn
            log.warning("batches_not_written", batches=len(group), error=type(exc).__name__)
            found = [exc] * len(group)
        self._loop.call_soon_threadsafe(_tell, [future for _, future in group], found)

    def _store(self, batches: Sequence[Batch]) -> Sequence[Taken | Exception]:
        try:
            with self._context.engine.begin() as conn:
                return idempotent_intake.store(conn, batches, self._context.clock())
        except NO_ANSWER:
            raise
        except Exception as exc:  # noqa: BLE001 - one that the database refuses must not take the others with it
            if len(batches) == 1:
                return [exc]
            return [fate for batch in batches for fate in self._store([batch])]


def _tell(futures: Sequence[asyncio.Future[Taken]], found: Sequence[Taken | Exception]) -> None:
    for future, fate in zip(futures, found, strict=True):
        if future.done():  # its sender has gone
            continue
        if isinstance(fate, Exception):
            future.set_exception(fate)
        else:
            future.set_result(fate)
