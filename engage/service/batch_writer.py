"""Group commit: writes several batches of events in one transaction, and answers each once it is committed.

While one transaction commits, new batches gather for the next one, so a busier service commits larger groups. The
number of waiting batches and the number of connections are bounded.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

import structlog

from engage.service import idempotent_intake
from engage.service.context import Context
from engage.service.event_batch import Batch, Taken
from engage.storage.database_errors import trouble

log = structlog.get_logger(__name__)

WRITERS = 2
MAX_GROUP = 20_000
"""About so many events share one transaction."""
MAX_WAITING = 100_000
"""About so many events may wait. The service refuses more, and the client sends them again."""
MAX_WAITING_BATCHES = 2_000
CLOSE_SECONDS = 10.0

_Entry = tuple[Batch, asyncio.Future[Taken]]


class BatchWriter:
    """The threads that write, and the batches that wait for them."""

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
        """Queue a batch. The future gives its result once it is committed; None means that too many batches wait.

        The future raises SQLAlchemy's error if the database cannot store the batch.
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
        """Write the waiting batches, and end the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)  # a batch that hangs longer was never acknowledged, so its client sends it again

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
        except Exception as exc:  # noqa: BLE001 - the clients get the error, and the thread goes on with the next group
            log.warning("batches_not_written", batches=len(group), error=type(exc).__name__)
            found = [exc] * len(group)
        self._loop.call_soon_threadsafe(_resolve, [future for _, future in group], found)

    def _store(self, batches: Sequence[Batch]) -> Sequence[Taken | Exception]:
        try:
            with self._context.engine.begin() as conn:
                return idempotent_intake.store(conn, batches, self._context.clock())
        except Exception as exc:  # one batch that the database refuses must not fail the others
            if trouble(exc):
                raise
            if len(batches) == 1:
                return [exc]
            return [result for batch in batches for result in self._store([batch])]


def _resolve(futures: Sequence[asyncio.Future[Taken]], found: Sequence[Taken | Exception]) -> None:
    for future, result in zip(futures, found, strict=True):
        if future.done():  # the client has disconnected
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
