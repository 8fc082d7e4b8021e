"""Marks claimed messages as handed over, just before the provider gets them.

A claim alone proves nothing about the provider. Only a marked message may have gone out, so only a marked one becomes
``unknown`` when its sender is lost. Every other claimed message goes back to the queue, and its sender can no longer
mark it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import sqlalchemy as sa

from engage.sending import bulk_update, outcomes
from engage.sending.takeover import Ownership
from engage.statuses import MessageStatus
from engage.storage.schema import message


def mark(engine: sa.Engine, owned: Ownership, ids: Collection[int], now: datetime) -> set[int]:
    """Commit that these messages are handed over from now on; returns those that still are this sender's."""
    theirs = message.c.customer_id == sa.any_(bulk_update.id_array(list(ids)))
    with engine.begin() as conn:
        outcomes.keep_from_abandoning(conn, owned.window)
        marked = conn.execute(
            sa.update(message)
            .where(
                message.c.window_start == owned.window.start,
                theirs,
                message.c.sender_token == owned.token,
                message.c.status == MessageStatus.SENDING,
                message.c.handed_over_at.is_(None),
            )
            .values(handed_over_at=now)
            .returning(message.c.customer_id)
        )
        return set(marked.scalars())


class Handovers:
    """Marks the messages of several threads, all that wait in one commit."""

    def __init__(self, engine: sa.Engine, owned: Ownership, clock: Callable[[], datetime]) -> None:
        self._engine, self._owned, self._clock = engine, owned, clock
        self._marker = ThreadPoolExecutor(1, "mark")
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[bool]] = {}

    def confirm(self, customer_id: int) -> bool:
        """Mark a message; returns whether it may be handed over now. It must not be if this raises an error."""
        confirmed: Future[bool] = Future()
        with self._lock:
            self._waiting[customer_id] = confirmed
        self._marker.submit(self._mark_waiting)
        return confirmed.result()

    def close(self) -> None:
        """End the thread that marks."""
        self._marker.shutdown()

    def _mark_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            marked = mark(self._engine, self._owned, waiting, self._clock())
        except BaseException as exc:  # noqa: BLE001 - the threads that wait raise it
            for confirmed in waiting.values():
                confirmed.set_exception(exc)
            return
        for customer_id, confirmed in waiting.items():
            confirmed.set_result(customer_id in marked)
