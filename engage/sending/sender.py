"""The sender: hands the queued messages of one campaign to a provider, each at most once."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic, perf_counter

import sqlalchemy as sa

from engage.campaigns import message_counts
from engage.errors import EngageError, ProviderRefuses
from engage.sending import claims, outcomes, providers, takeover
from engage.sending.delivery_health import DeliveryHealth
from engage.sending.eligibility import RecipientChecks
from engage.sending.handover import Handovers
from engage.sending.ledger import MessageSummary
from engage.sending.outcomes import Answer
from engage.sending.providers import Outcome, SmsProvider
from engage.sending.takeover import Ownership
from engage.sending.throttle import Dispatcher, Throttle
from engage.settings import Settings
from engage.statuses import CampaignStatus, MessageStatus
from engage.storage.schema import campaign
from engage.window import Window

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

REVIEW_EVERY = 60.0
"""Seconds after which a sender reads the throttle's settings again, and counts what receipts report."""
LOG_EVERY = 5.0
"""Seconds between log lines about the progress."""
PAGE = 2000
"""Queued messages that are read at a time."""
REST = timedelta(minutes=5)
"""The shortest rest of a provider that keeps asking for a pause."""

HALTED = "The campaign is halted: what is queued waits for it to be resumed."


@dataclass(frozen=True)
class SendingContext:
    """What sending needs besides the database."""

    clock: Clock
    provider_named: Callable[[str], SmsProvider] = providers.provider
    """Makes the provider that the campaign's settings name."""
    current_settings: Callable[[], Settings] | None = None
    """Reads the settings of the moment, which say how fast to send. Without it the campaign's own settings count."""


def send(engine: sa.Engine, window: Window, context: SendingContext) -> MessageSummary:
    """Send what is queued, as the newest sender of the campaign. The first call that may send freezes the campaign.

    ``resume_at`` of the summary is when messages that had to be held may be sent.

    Raises:
        NotReady: the campaign was computed anew, or tried out, since its messages were queued.
        NotApproved: the campaign requires an approval and has none.
        TooManyMessages: more wait than one run may send; no customer was texted.
        OverBudget: what waits may cost more than the budget; no customer was texted.
        Superseded: a newer sender has taken over.
        ProviderRefuses: the provider takes no messages until the operator mends its account.
    """
    owned = takeover.take_over(engine, window, context.provider_named, context.clock())
    if owned is None:
        return replace(_summary(engine, window), halted=True, note=HALTED)
    sender = _Sender(engine, owned, context)
    started = perf_counter()
    sender.run()
    _save_progress(engine, sender, perf_counter() - started, context.clock())
    return replace(
        _summary(engine, window),
        accepted_now=sender.accepted,
        halted=sender.halted,
        resume_at=sender.resume_at,
        note=HALTED if sender.halted else "",
    )


class _Sender:
    """One sender at work: finds queued messages, claims and hands them over, and has their answers recorded.

    Answers are recorded in a second thread, while this one goes on.
    """

    def __init__(self, engine: sa.Engine, owned: Ownership, context: SendingContext) -> None:
        self.engine, self.owned = engine, owned
        self.clock, self.current_settings = context.clock, context.current_settings
        self.handovers = Handovers(engine, owned, context.clock)
        self.dispatcher = Dispatcher(owned.provider, Throttle.of(owned.settings), self.handovers.confirm)
        self.checks = RecipientChecks(owned.settings)
        self.health = DeliveryHealth(engine, owned, context.clock)
        self.ready: deque[int] = deque()
        """Customers whose message may be claimed now."""
        self.last_read: int | None = None
        """The customer id that the walk through the ledger has come to."""
        self.at_end = False
        self.next_opening: datetime | None = None
        """When the first held message may be sent."""
        self.accepted = 0
        self.halted = False
        self.resume_at: datetime | None = None
        self.refused: str | None = None
        """Why the provider takes no messages."""
        self.fresh: list[Answer] = []
        """Answers that wait to be recorded. The dispatcher keeps them too."""
        self.unrecorded: list[Answer] = []
        """Answers that ``recording`` records."""
        self.recorder = ThreadPoolExecutor(1, "record")
        self.recording: Future[None] | None = None
        self.reviewed = self.logged = monotonic()

    def run(self) -> None:
        """Send until no message is left that may be sent now."""
        try:
            self._review()
            while not self._finished():
                self._step()
        finally:  # also when the task is cancelled or runs out of time: a known outcome must not become unknown
            self._stop()
        if self.dispatcher.failure:
            raise self.dispatcher.failure
        if self.refused:
            raise ProviderRefuses(
                f"{self.owned.provider.name} takes no messages: {self.refused}. What is queued waits. Mend the "
                "account, and run message again."
            )

    def _step(self) -> None:
        room = self.dispatcher.room()
        self._find_ready(room)
        ids = [self.ready.popleft() for _ in range(min(room, len(self.ready)))]
        if ids:
            claim = claims.claim(self.engine, self.owned, ids, self.clock())
            self.halted = claim.halted
            self._hold(claim.hold_until)
            self.dispatcher.hand_over(claim.rows)
        self._record(self.dispatcher.answers(wait_a_moment=not ids and (self.at_end or not room)))
        if monotonic() - self.reviewed >= REVIEW_EVERY:
            self._review()

    def _finished(self) -> bool:
        if self.halted or self.refused or self.dispatcher.failure:
            return True
        if self.dispatcher.exhausted:
            rest = max(REST, timedelta(seconds=self.dispatcher.requested_pause))
            self.resume_at = self.clock() + rest
            log.warning("The provider keeps asking for a pause; the rest waits until %s", self.resume_at)
            return True
        if not self.at_end or self.ready or self.dispatcher.busy:
            return False
        return self._nothing_left()

    def _nothing_left(self) -> bool:
        """Whether no message may be sent now. The whole ledger is read, and no message is on its way."""
        if self.recording:
            self._wait_until_recorded()
            return False
        if self.next_opening is None or self.next_opening > self.clock():
            self.resume_at = self.next_opening
            return True
        # hours have opened in the meantime: walk through the ledger again
        self.last_read, self.at_end, self.next_opening = None, False, None
        return False

    def _find_ready(self, room: int) -> None:
        """Read one more page of the ledger, if fewer than ``room`` messages are ready."""
        if len(self.ready) >= room or self.at_end:
            return
        page = claims.waiting(self.engine, self.owned, after=self.last_read, limit=PAGE)
        self.at_end = len(page) < PAGE
        self.last_read = page[-1].customer_id if page else self.last_read
        now = self.clock()
        for row in page:
            readiness = row.phone and self.checks.readiness(row.phone, row.time_zone, now)
            if readiness and readiness.hold_until:
                self._hold(readiness.hold_until)
            else:
                self.ready.append(row.customer_id)

    def _hold(self, until: datetime | None) -> None:
        """Remember when the first of the messages that have to wait may be sent."""
        if until is not None:
            self.next_opening = until if self.next_opening is None else min(self.next_opening, until)

    def _record(self, answers: list[Answer]) -> None:
        """Have answers recorded, while more messages are found and handed over."""
        self.fresh += answers
        if self.recording and (self.fresh or self.recording.done()):
            self._wait_until_recorded()
        if self.fresh:
            self.unrecorded, self.fresh = self.fresh, []
            self.recording = self.recorder.submit(
                outcomes.record, self.engine, self.owned.window, self.owned.token, self.unrecorded, self.clock()
            )

    def _wait_until_recorded(self) -> None:
        """Wait until the last answers are recorded, and only then act on them."""
        if self.recording is None:
            return
        recording, self.recording = self.recording, None
        recording.result()
        answers, self.unrecorded = self.unrecorded, []
        self._act_on(answers)

    def _act_on(self, answers: list[Answer]) -> None:
        self.dispatcher.settled(answers)
        for answer in answers:
            outcome = answer.reply.outcome if answer.reply else None
            if outcome is Outcome.ACCEPTED:
                self.accepted += 1
            elif outcome is Outcome.LATER:
                self.ready.append(answer.customer_id)
            elif outcome is Outcome.REFUSED and answer.reply:
                self.refused = answer.reply.error
        if self.health.judge(answers):
            self.halted = True
        self._log_progress()

    def _review(self) -> None:
        """Notice what may change during a send: what receipts report, and the throttle's settings."""
        self.reviewed = monotonic()
        self.health.judge_delivery()
        if self.current_settings is None:
            return
        try:
            self.dispatcher.throttle = Throttle.of(self.current_settings())
        except EngageError as exc:
            log.warning("Sending goes on as fast as before: %s", exc)
        except Exception as exc:  # noqa: BLE001 - settings that cannot be read must not end a send that is under way
            log.warning("Sending goes on as fast as before, as its settings cannot be read: %s", type(exc).__name__)

    def _stop(self) -> None:
        """Hand over nothing more, wait for what is on its way, and record the outcomes.

        Only what was certainly never handed over is queued again, once all answers are recorded.
        """
        self.dispatcher.stop()
        try:
            self.dispatcher.answers(final=True)
            self.recorder.shutdown()
            answers = self.dispatcher.unsettled.copy()
            outcomes.record(self.engine, self.owned.window, self.owned.token, answers, self.clock())
            self.dispatcher.settled(answers)
            claims.release(self.engine, self.owned, self.dispatcher.handed, self.clock())
            self._act_on(answers)
            self.health.judge_rest()
        finally:
            self.dispatcher.close()
            self.handovers.close()

    def _log_progress(self) -> None:
        """Write a log line now and then, so that a long send shows signs of life."""
        if monotonic() - self.logged >= LOG_EVERY:
            self.logged = monotonic()
            log.info("%s of %s messages accepted", self.accepted, self.owned.waiting)


def _save_progress(engine: sa.Engine, sender: _Sender, seconds: float, now: datetime) -> None:
    """Save the campaign's status, the seconds that sending took, and when it goes on, if no newer sender took over."""
    window, token = sender.owned.window, sender.owned.token
    took = sa.func.jsonb_build_object("send", sa.cast(round(seconds, 3), sa.Numeric))
    by_status = _summary(engine, window).by_status
    if unknown := by_status.get(MessageStatus.UNKNOWN):
        log.warning("%s messages have an unknown outcome; they are not sent again", unknown)
    done = not by_status.get(MessageStatus.QUEUED)
    with engine.begin() as conn:
        conn.execute(
            sa.update(campaign)
            .where(campaign.c.window_start == window.start, campaign.c.sender_token == token)
            .values(
                status=CampaignStatus.COMPLETE if done else CampaignStatus.SENDING,
                finished_at=now if done else None,
                resume_at=sender.resume_at,
                timings=campaign.c.timings.op("||")(took),
            )
        )


def _summary(engine: sa.Engine, window: Window) -> MessageSummary:
    with engine.begin() as conn:
        return MessageSummary.of(message_counts.of(conn, window))
