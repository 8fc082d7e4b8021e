"""Hands messages to a provider: several at once, no faster than allowed, with a pause whenever it asks for one."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from time import monotonic

from engage.sending.claims import Claimed
from engage.sending.outcomes import ABANDONED_AFTER, Answer
from engage.sending.providers import Outcome, Reply, SmsProvider
from engage.settings import Settings

log = logging.getLogger(__name__)

LOOK_AHEAD = 0.25
"""Seconds of messages that are accepted before their turn. It is short, so that few are on their way at a halt."""
HOLD = ABANDONED_AFTER.total_seconds() - 60
"""Seconds in which claimed messages are handed over. The minute is for the claim before and the answer after it.
Later than that, a run that does not send might list the messages as unknown."""
MAX_PAUSE = 60.0
"""Seconds of the longest pause within a send."""
MAX_THREADS = 400
"""More than the messages that are ever handed over at once, as some threads wait for their turn."""
MAX_PAUSES = 6
"""Pauses in a row after which a sender gives up for now."""
_POLL = 0.2
_NOT_HANDED_OVER = Reply(Outcome.LATER)
"""The reply for a message that the provider never saw."""


@dataclass(frozen=True)
class Throttle:
    """The limits of handing over: at most ``per_second`` messages (0 is no limit), and ``at_once`` at a time."""

    per_second: float
    at_once: int

    @classmethod
    def of(cls, settings: Settings) -> Throttle:
        return cls(float(settings.messages_per_second), settings.send_concurrency)


class Dispatcher:
    """Hands messages over to one provider, and collects its answers."""

    def __init__(
        self, provider: SmsProvider, throttle: Throttle, confirm: Callable[[int], bool] = lambda _: True
    ) -> None:
        """``confirm`` is asked about each customer just before a concurrent provider gets the message."""
        self.provider = provider
        self.throttle = throttle
        self.failure: Exception | None = None
        """Why ``confirm`` could not answer. Nothing more is handed over then."""
        self._confirm = confirm
        self.handed: set[int] = set()
        """Messages handed over, or about to be, until ``settled`` says that their answers are recorded."""
        self.exhausted = False
        """Whether the provider has asked for a pause too often, or for too long a one."""
        self.requested_pause = 0.0
        """Seconds of the pause that it asked for when it became ``exhausted``."""
        self._pool = ThreadPoolExecutor(MAX_THREADS, "send") if provider.concurrent else None
        self._waiting: set[Future[None]] = set()
        self.unsettled: list[Answer] = []
        """All answers that are not recorded yet, the oldest first. Only ``settled`` takes some away, so an interrupt of
        the main thread may lose a future, but none of the pool's answers."""
        self._returned = 0
        """How many of them ``answers`` has returned."""
        self._next_turn = 0.0
        self._paused_until = 0.0
        self._pauses = 0
        self._stopping = threading.Event()
        self._slots = threading.Condition()
        self._active = 0

    def room(self) -> int:
        """How many messages may be handed over now."""
        now = monotonic()
        if now < self._paused_until or self.exhausted:
            return 0
        room = self.provider.claim_size
        rate, ahead = self.throttle.per_second, max(0.0, self._next_turn - now)
        if self._pool is not None:
            room = min(room, self.throttle.at_once + math.ceil(ahead * rate) - len(self._waiting))
        if rate:
            room = min(room, max(int(ahead == 0), int((LOOK_AHEAD - ahead) * rate)))
        return max(0, room)

    def hand_over(self, rows: Sequence[Claimed]) -> None:
        """Hand messages over, each at its turn. ``answers`` returns their answers."""
        until = monotonic() + HOLD
        for row in rows:
            turn = self._turn()
            if self._pool is None:
                self.unsettled.append(self._send(row, turn, until))
            else:
                self._waiting.add(self._pool.submit(self._send_aside, row, turn, until))

    def answers(self, *, wait_a_moment: bool = False, final: bool = False) -> list[Answer]:
        """The answers that have come back since the last call.

        With ``wait_a_moment`` it waits for some, as the caller has nothing to do. With ``final`` it waits for all,
        and nothing more may be handed over.
        """
        if final:
            self.close()
            self._waiting = set()
        elif self._waiting:
            _, self._waiting = wait(self._waiting, _POLL * wait_a_moment, FIRST_COMPLETED)
        elif wait_a_moment and not self.busy and not self.room():
            self._stopping.wait(min(_POLL, max(0.0, self._until_room())))
        found = self.unsettled[self._returned :]
        self._returned += len(found)
        for answer in found:
            self._note_pause(answer)
        return found

    def settled(self, answers: Sequence[Answer]) -> None:
        """The oldest answers are recorded, so their messages are no longer on their way."""
        self.handed.difference_update(answer.customer_id for answer in answers)
        del self.unsettled[: len(answers)]
        self._returned -= len(answers)

    @property
    def busy(self) -> bool:
        """Whether ``answers`` has more to return, now or later."""
        return bool(self._waiting) or len(self.unsettled) > self._returned

    def stop(self) -> None:
        """Hand over nothing more. A message whose turn has not come yet is answered as not taken."""
        self._stopping.set()
        with self._slots:
            self._slots.notify_all()

    def close(self) -> None:
        """End the threads, once no message is under way."""
        if self._pool is not None:
            self._pool.shutdown()

    def _turn(self) -> float:
        """When the next message may go. Lost time is not made up for."""
        turn = max(monotonic(), self._next_turn)
        self._next_turn = turn + (1 / self.throttle.per_second if self.throttle.per_second else 0.0)
        return turn

    def _until_room(self) -> float:
        return max(self._paused_until, self._next_turn) - monotonic()

    def _send_aside(self, row: Claimed, turn: float, until: float) -> None:
        self.unsettled.append(self._send(row, turn, until))

    def _send(self, row: Claimed, turn: float, until: float) -> Answer:
        if not self._wait_for(turn):
            return Answer(row.customer_id, _NOT_HANDED_OVER)
        try:
            if monotonic() > until or not self._confirmed(row):
                return Answer(row.customer_id, _NOT_HANDED_OVER)
            self.handed.add(row.customer_id)
            return Answer(row.customer_id, self.provider.send(row.sms))
        except Exception as exc:  # noqa: BLE001 - after any exception of a provider the message may have gone out
            return Answer(row.customer_id, error=type(exc).__name__)
        finally:
            self._leave_slot()

    def _confirmed(self, row: Claimed) -> bool:
        """Whether the message is still this sender's, and marked as handed over."""
        if self._pool is None:
            return True
        try:
            return self._confirm(row.customer_id)
        except Exception as exc:  # noqa: BLE001 - the sender raises it, once all answers are recorded
            self.failure = exc
            self.stop()
            return False

    def _wait_for(self, turn: float) -> bool:
        """Wait for a message's turn, and until fewer than ``at_once`` are being handed over. False when stopping."""
        if turn > monotonic():
            self._stopping.wait(turn - monotonic())
        with self._slots:
            self._slots.wait_for(lambda: self._active < self.throttle.at_once or self._stopping.is_set())
            if self._stopping.is_set():
                return False
            self._active += 1
            return True

    def _leave_slot(self) -> None:
        with self._slots:
            self._active -= 1
            self._slots.notify()

    def _note_pause(self, answer: Answer) -> None:
        """Pause when the provider asks for it, longer each time in a row."""
        if answer.reply is _NOT_HANDED_OVER:
            return
        if answer.reply is None or answer.reply.outcome is not Outcome.LATER:
            self._pauses = 0 if answer.reply and answer.reply.outcome is Outcome.ACCEPTED else self._pauses
            return
        now = monotonic()
        if now < self._paused_until:  # this one was under way when the pause began
            return
        pause = max(answer.reply.retry_after or 0.0, 0.25 * 2**self._pauses)
        self._pauses += 1
        if pause > MAX_PAUSE or self._pauses > MAX_PAUSES:
            self.exhausted, self.requested_pause = True, pause
            return
        log.warning("The provider takes no messages at the moment (%s); pausing for %.1f s", answer.reply.error, pause)
        self._paused_until = now + pause
