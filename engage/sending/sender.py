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

from engage.campaigns import campaign
from engage.errors import EngageError, ProviderRefuses
from engage.sending import claims, ledger, providers
from engage.sending.eligibility import Recipients
from engage.sending.ledger import MessageSummary
from engage.sending.providers import Outcome, SmsProvider
from engage.sending.providers.twilio_codes import FILTERED
from engage.sending.throttle import Dispatch, Pace
from engage.settings import Settings
from engage.storage.schema import MIN_CUSTOMER_ID
from engage.storage.schema import campaign as campaign_table
from engage.window import Window

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

LOOK_EVERY = 60.0
"""Seconds after which a sender looks again at how fast it may go and how many messages were filtered out."""
SAY_EVERY = 5.0
ENOUGH_TO_TELL = 20
"""Messages below which a share of filtered ones says nothing."""
UNKNOWN_IN_A_ROW = 20
"""Messages in a row whose fate nobody knows, after which a person has to look at the provider."""
PAGE = 2000
REST = timedelta(minutes=5)
"""How long a provider that keeps asking for it is left alone, at least."""

HALTED = "The campaign is halted: what is queued waits for it to be resumed."


@dataclass(frozen=True)
class Means:
    """What sending needs besides the database."""

    clock: Clock
    provider_named: Callable[[str], SmsProvider] = providers.provider
    """The provider that the campaign's settings name."""
    current: Callable[[], Settings] | None = None
    """The settings of the moment, of which how fast to send counts; without it the campaign's own do."""


def send(engine: sa.Engine, window: Window, means: Means) -> MessageSummary:
    """Send what is queued, as the newest sender of the campaign. The first call that may send freezes the campaign.

    ``resume_at`` of the summary is when messages that had to be held may be sent.

    Raises:
        NotReady: the campaign was computed anew, or tried out, since its messages were queued.
        TooManyMessages: more wait than one run may send; nobody was texted.
        Superseded: a newer sender has taken over.
        ProviderRefuses: the provider takes no messages until somebody mends its account.
    """
    taken = claims.take_over(engine, window, means.provider_named, means.clock())
    if taken is None:
        return replace(_summary(engine, window), halted=True, note=HALTED)
    sending = _Sending(engine, taken, means)
    started = perf_counter()
    sending.run()
    _finish(engine, window, taken.token, perf_counter() - started, means.clock())
    return replace(
        _summary(engine, window),
        accepted_now=sending.accepted,
        halted=sending.halted,
        resume_at=sending.resume_at,
        note=HALTED if sending.halted else "",
    )


class _Sending:
    """One sender at work: messages found waiting, on their way, and answered."""

    def __init__(self, engine: sa.Engine, taken: claims.Taken, means: Means) -> None:
        self.engine, self.taken, self.clock, self.current = engine, taken, means.clock, means.current
        self.dispatch = Dispatch(taken.provider, Pace.of(taken.settings))
        self.recipients = Recipients(taken.settings)
        self.ready: deque[int] = deque()
        self.after = MIN_CUSTOMER_ID
        self.at_end = False
        self.opens: datetime | None = None
        self.accepted = 0
        self.unknown_in_a_row = 0
        self.halted = False
        self.resume_at: datetime | None = None
        self.refused: str | None = None
        self.fresh: list[claims.Answer] = []
        self.unrecorded: list[claims.Answer] = []
        self.recorder = ThreadPoolExecutor(1, "record")
        self.recording: Future[None] | None = None
        self.looked = self.said = monotonic()

    def run(self) -> None:
        """Until nothing is left that may be sent now."""
        try:
            self._look()
            while not self._over():
                self._step()
        finally:  # also when the task is cancelled or runs out of time: what is known must not become unknown
            self._wind_up()
        if self.refused:
            raise ProviderRefuses(
                f"{self.taken.provider.name} takes no messages: {self.refused}. What is queued waits. Mend the "
                "account, and run message again."
            )

    def _step(self) -> None:
        room = self.dispatch.room()
        self._fill(room)
        ids = [self.ready.popleft() for _ in range(min(room, len(self.ready)))]
        if ids:
            claim = claims.claim(self.engine, self.taken, ids, self.clock())
            self.halted = claim.halted
            self._note(claim.hold_until)
            self.dispatch.hand_over(claim.rows)
        self._record(self.dispatch.answers(wait_a_moment=not ids and (self.at_end or not room)))
        if monotonic() - self.looked >= LOOK_EVERY:
            self._look()

    def _over(self) -> bool:
        if self.halted or self.refused:
            return True
        if self.dispatch.exhausted:
            rest = max(REST, timedelta(seconds=self.dispatch.resting))
            self.resume_at = self.clock() + rest
            log.warning("The provider keeps asking for a pause; the rest waits until %s", self.resume_at)
            return True
        if not self.at_end or self.ready or self.dispatch.busy:
            return False
        return self._nothing_left()

    def _nothing_left(self) -> bool:
        """Whether the end of the ledger is the end, now that nothing is on its way any more."""
        if self.recording:
            self._recorded()
            return False
        if self.opens is None or self.opens > self.clock():
            self.resume_at = self.opens
            return True
        self.after, self.at_end, self.opens = MIN_CUSTOMER_ID, False, None  # hours have opened meanwhile
        return False

    def _fill(self, room: int) -> None:
        """Walk on through the ledger, a page at a time, if too little is known that may be sent now."""
        if len(self.ready) >= room or self.at_end:
            return
        page = claims.waiting(self.engine, self.taken, after=self.after, limit=PAGE)
        self.at_end = len(page) < PAGE
        self.after = page[-1].customer_id if page else self.after
        now = self.clock()
        for row in page:
            moment = row.phone and self.recipients.moment(row.phone, row.time_zone, now)
            if moment and moment.hold_until:
                self._note(moment.hold_until)
            else:
                self.ready.append(row.customer_id)

    def _note(self, hold_until: datetime | None) -> None:
        """Some messages have to wait until then."""
        if hold_until is not None:
            self.opens = hold_until if self.opens is None else min(self.opens, hold_until)

    def _record(self, answers: list[claims.Answer]) -> None:
        """Let answers be written down while more messages are found and handed over."""
        self.fresh += answers
        if self.recording and (self.fresh or self.recording.done()):
            self._recorded()
        if self.fresh:
            self.unrecorded, self.fresh = self.fresh, []
            now = self.clock()
            self.recording = self.recorder.submit(claims.record, self.engine, self.taken, self.unrecorded, now)

    def _recorded(self) -> None:
        """Wait until the last answers are written down, and only then act on them."""
        if self.recording is None:
            return
        recording, self.recording = self.recording, None
        recording.result()
        answers, self.unrecorded = self.unrecorded, []
        self._act_on(answers)

    def _act_on(self, answers: list[claims.Answer]) -> None:
        self.dispatch.settled(answers)
        for answer in answers:
            outcome = answer.reply.outcome if answer.reply else None
            self._stop_if_unknown(outcome)
            if outcome is Outcome.ACCEPTED:
                self.accepted += 1
            elif outcome is Outcome.LATER:
                self.ready.append(answer.customer_id)
            elif outcome is Outcome.REFUSED and answer.reply:
                self.refused = answer.reply.error
        if any(answer.reply and answer.reply.error_code == FILTERED for answer in answers):
            self._stop_if_filtered()
        self._say()

    def _look(self) -> None:
        """Take note of what may change while sending: how fast it may go, and how many messages are filtered out."""
        self.looked = monotonic()
        self._stop_if_filtered()
        if self.current is None:
            return
        try:
            self.dispatch.pace = Pace.of(self.current())
        except EngageError as exc:
            log.warning("Sending goes on as fast as before: %s", exc)
        except Exception as exc:  # noqa: BLE001 - a reader that is away must not end a send that is under way
            log.warning("Sending goes on as fast as before, as its settings cannot be read: %s", type(exc).__name__)

    def _stop_if_unknown(self, outcome: Outcome | None) -> None:
        """Halt the campaign if one message after the other has no known outcome: the rest would have none either."""
        if outcome is Outcome.LATER:  # says nothing of what became of a message
            return
        self.unknown_in_a_row = self.unknown_in_a_row + 1 if outcome is None else 0
        if self.unknown_in_a_row != UNKNOWN_IN_A_ROW:
            return
        why = f"nobody knows what became of {UNKNOWN_IN_A_ROW} messages in a row: the provider fails or does not answer"
        with self.engine.begin() as conn:
            self._halt(conn, why)
        self.halted = True

    def _stop_if_filtered(self) -> None:
        """Halt the campaign if networks take it for spam: going on would cost the sender's number its good name."""
        limit = self.taken.settings.max_filtered_percent
        with self.engine.begin() as conn:
            filtered, handed = ledger.filtered(conn, self.taken.window)
            if handed < ENOUGH_TO_TELL or filtered * 100 <= limit * handed:
                return
            why = f"{filtered} of {handed} messages were filtered out as spam, more than max_filtered_percent {limit}"
            self._halt(conn, why)

    def _halt(self, conn: sa.Connection, why: str) -> None:
        if campaign.halt(conn, self.taken.window, by=campaign.ITSELF, why=why, as_of=self.clock()):
            log.error("The campaign is halted: %s", why)

    def _wind_up(self) -> None:
        """Hand over nothing more, wait for what is on its way, and write down what became of it."""
        self.dispatch.stop()
        try:
            last = self.dispatch.answers(final=True)
            self.recorder.shutdown()
            answers = self.unrecorded + self.fresh + last
            claims.record(self.engine, self.taken, answers, self.clock())
            self.dispatch.settled(answers)
            claims.release(self.engine, self.taken, self.dispatch.handed, self.clock())
            self._act_on(answers)
        finally:
            self.dispatch.close()

    def _say(self) -> None:
        """A log line now and then, so that a long send shows signs of life."""
        if monotonic() - self.said >= SAY_EVERY:
            self.said = monotonic()
            log.info("%s of %s messages accepted", self.accepted, self.taken.waiting)


def _finish(engine: sa.Engine, window: Window, token: int, seconds: float, now: datetime) -> None:
    took = sa.func.jsonb_build_object("send", sa.cast(round(seconds, 3), sa.Numeric))
    by_status = _summary(engine, window).by_status
    if by_status.get("unknown"):
        log.warning("%s messages have an unknown outcome; they are not sent again", by_status["unknown"])
    done = not by_status.get("queued")
    with engine.begin() as conn:
        conn.execute(
            sa.update(campaign_table)
            .where(campaign_table.c.window_start == window.start, campaign_table.c.sender_token == token)
            .values(
                status="complete" if done else "sending",
                finished_at=now if done else None,
                timings=campaign_table.c.timings.op("||")(took),
            )
        )


def _summary(engine: sa.Engine, window: Window) -> MessageSummary:
    with engine.begin() as conn:
        return ledger.summarise(conn, ledger.of(window))
