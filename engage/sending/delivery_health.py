"""Halts a campaign if the provider fails, or if too many messages are filtered or do not arrive.

A sender judges its own answers, and the receipts once a minute. The service judges receipts that report a failure.
Either does so at most every few seconds, because each judgement counts all messages of the campaign.
A campaign that is complete has nothing to halt: the operators get an alert.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

import sqlalchemy as sa

from engage import alert_outbox
from engage.campaigns import campaign
from engage.campaigns.campaign import Campaign
from engage.sending.outcomes import Answer
from engage.sending.providers import Outcome
from engage.sending.takeover import Ownership
from engage.settings import Settings
from engage.statuses import AlertKind, CampaignStatus, MessageStatus, ProviderFact
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import message
from engage.window import Window

log = logging.getLogger(__name__)

ENOUGH_TO_JUDGE = 20
"""Messages handed over, below which a share of them says nothing."""
NOT_ARRIVED = (MessageStatus.FAILED, MessageStatus.UNDELIVERED)
RECEIPTS_COME_FOR = timedelta(days=7)
"""How long after a campaign's end its receipts are judged."""
SENDER_FAULTS = {
    ProviderFact.SENDER_NOT_REGISTERED: "the sender's number lacks a registration that networks require. Register it "
    "at the provider",
    ProviderFact.SENDER_LIMIT_REACHED: "the sender's number has reached a limit of its registration. Go on tomorrow, "
    "or slower, with engage_messages_per_second",
}
"""Facts about the sender's number, not about a recipient: the next messages would fail as well."""
ENOUGH_SENDER_FAULTS = 5
"""Messages with one of them, after which the campaign halts."""
JUDGED_EVERY = 5.0
"""Seconds between two judgements of a campaign, because each counts all of its messages."""
JUDGED_AT_ONCE = 500
"""A sender's first answers, whose failures are judged at once: a fault that hits every message shows there."""
UNKNOWN_IN_A_ROW = 20
"""Messages in a row with an unknown outcome, after which the operator has to look at the provider."""


class _Pace:
    """Has each campaign judged at most once in ``JUDGED_EVERY`` seconds."""

    def __init__(self) -> None:
        self._judged: dict[Window, float] = {}

    def due(self, window: Window) -> bool:
        """Whether the campaign may be judged now."""
        return monotonic() - self._judged.get(window, -JUDGED_EVERY) >= JUDGED_EVERY

    def judged(self, window: Window) -> None:
        """The campaign is judged now."""
        self._judged[window] = monotonic()


class DeliveryHealth:
    """The health of one campaign's delivery, as its sender sees it."""

    def __init__(self, engine: sa.Engine, owned: Ownership, clock: Callable[[], datetime]) -> None:
        self._engine, self._owned, self._clock = engine, owned, clock
        self._unknown_in_a_row = 0
        self._pace = _Pace()
        self._answers = 0
        self._unjudged = False
        """Whether there are failures that no judgement has counted yet."""

    def judge(self, answers: Iterable[Answer]) -> bool:
        """Judge answers in their order; returns True if the sender has to stop at once, as the provider fails.

        A campaign that is halted for messages that did not arrive stops at its next claim.
        """
        failing = False
        for answer in answers:
            self._answers += 1
            failing |= self._fails(answer)
            self._unjudged |= bool(answer.reply and answer.reply.outcome is Outcome.FAILED)
        if self._answers <= JUDGED_AT_ONCE or self._pace.due(self._owned.window):
            self.judge_rest()
        return failing

    def judge_rest(self) -> None:
        """Judge the failures that no judgement has counted yet."""
        if self._unjudged:
            self.judge_delivery()

    def judge_delivery(self) -> None:
        """Halt the campaign if the next messages would not arrive either, or would harm the sender's reputation."""
        self._unjudged = False
        self._pace.judged(self._owned.window)
        with self._engine.begin() as conn:
            if why := _tally(conn, self._owned.window).trouble(self._owned.settings):
                _halt(conn, self._owned.window, why, self._clock())

    def _fails(self, answer: Answer) -> bool:
        """Halt the campaign if too many outcomes in a row are unknown: those of the rest would be unknown too."""
        if answer.reply and answer.reply.outcome is Outcome.LATER:  # says nothing about the outcome of a message
            return False
        self._unknown_in_a_row = 0 if answer.reply else self._unknown_in_a_row + 1
        if self._unknown_in_a_row != UNKNOWN_IN_A_ROW:
            return False
        why = f"the outcome of {UNKNOWN_IN_A_ROW} messages in a row is unknown: the provider fails or does not answer"
        with self._engine.begin() as conn:
            _halt(conn, self._owned.window, why, self._clock())
        return True


class ReceiptJudge:
    """Judges campaigns by their receipts, each at most once in ``JUDGED_EVERY`` seconds."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._pace = _Pace()

    def judge(self, window: Window, now: datetime) -> None:
        """Halt the window's campaign, or alert the operators if it is complete, if its receipts report trouble."""
        if not self._pace.due(window):
            return  # a later receipt, the sender or the hourly watch counts this one too
        self._pace.judged(window)
        with self._engine.begin() as conn:
            found = campaign.find(conn, window)
            if found is None or found.settings is None:
                return
            if found.status is CampaignStatus.COMPLETE:
                _report(conn, found, now)
            elif why := _tally(conn, window).trouble(found.settings):
                _halt(conn, window, why, now)


def _halt(conn: sa.Connection, window: Window, why: str, now: datetime) -> None:
    if campaign.halt(conn, window, by=campaign.ITSELF, why=why, as_of=now):
        alert_outbox.put(conn, AlertKind.CAMPAIGN_HALTED, window=window, as_of=now, why=why)
        log.error("The campaign is halted: %s", why)


@dataclass(frozen=True)
class _Tally:
    """The messages of one campaign that were handed over, counted."""

    handed: int
    failed: int
    """Those that the provider refused or the network did not deliver; an operator's own verdict does not count."""
    by_fact: dict[ProviderFact, int]

    def trouble(self, settings: Settings) -> str:
        """Why the campaign should not go on; empty if all is well."""
        for fact, cause in SENDER_FAULTS.items():
            if (count := self.by_fact.get(fact, 0)) >= ENOUGH_SENDER_FAULTS:
                return f"{count} of {self.handed} messages did not arrive: {cause}"
        if self.handed < ENOUGH_TO_JUDGE:
            return ""
        filtered, limit = self.by_fact.get(ProviderFact.FILTERED, 0), settings.max_filtered_percent
        if filtered * 100 > limit * self.handed:
            why = f"{filtered} of {self.handed} messages were filtered out as spam"
            return f"{why}, more than max_filtered_percent {limit}"
        limit = settings.max_undelivered_percent
        if self.failed * 100 > limit * self.handed:
            return f"{self.failed} of {self.handed} messages did not arrive, more than max_undelivered_percent {limit}"
        return ""


def report_poor_delivery(engine: sa.Engine, *, as_of: datetime) -> int:
    """Put an alert about each complete campaign of late whose receipts report too many failures; returns their number.

    Receipts come for days after the sender has ended. A campaign is reported once.
    """
    recent = sa.select(campaign_table.c.window_start).where(
        campaign_table.c.status == CampaignStatus.COMPLETE, campaign_table.c.finished_at > as_of - RECEIPTS_COME_FOR
    )
    with engine.begin() as conn:
        found = [campaign.find(conn, Window(start)) for start in conn.execute(recent).scalars().all()]
        return sum(_report(conn, one, as_of) for one in found if one)


def _report(conn: sa.Connection, found: Campaign, as_of: datetime) -> bool:
    """Put an alert if a complete campaign's receipts report trouble; returns whether they do."""
    if found.settings is None:
        return False
    why = _tally(conn, found.window).trouble(found.settings)
    if why:
        incident = f"{found.window.key} poor delivery"
        alert_outbox.put(conn, AlertKind.POOR_DELIVERY, window=found.window, as_of=as_of, incident=incident, why=why)
    return bool(why)


def _tally(conn: sa.Connection, window: Window) -> _Tally:
    """Count the window's messages that were handed over since the campaign was last resumed.

    The operator has seen the earlier ones.
    """
    resumed = (
        sa.select(campaign_table.c.resumed_at).where(campaign_table.c.window_start == window.start).scalar_subquery()
    )
    handed = message.c.sending_at >= sa.func.coalesce(resumed, message.c.sending_at)
    failed = sa.func.count().filter(message.c.status.in_(NOT_ARRIVED), message.c.settled_by.is_(None))
    query = sa.select(message.c.fact, sa.func.count().label("handed"), failed.label("failed")).where(
        message.c.window_start == window.start, handed
    )
    rows = conn.execute(query.group_by(message.c.fact)).all()
    return _Tally(
        handed=sum(row.handed for row in rows),
        failed=sum(row.failed for row in rows),
        by_fact={ProviderFact(row.fact): row.handed for row in rows if row.fact},
    )
