"""Halts a campaign while it is sent, if the provider fails, or too many messages are filtered or do not arrive."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engage import alert_outbox
from engage.campaigns import campaign
from engage.sending.outcomes import Answer
from engage.sending.providers import Outcome
from engage.sending.takeover import Ownership
from engage.statuses import AlertKind, CampaignStatus, MessageStatus, ProviderFact
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import message
from engage.window import Window

log = logging.getLogger(__name__)

ENOUGH_TO_JUDGE = 20
"""Messages handed over, below which a share of them says nothing."""
RECEIPTS_COME_FOR = timedelta(days=7)
"""How long after a campaign's end its receipts are judged."""
UNKNOWN_IN_A_ROW = 20
"""Messages in a row with an unknown outcome, after which the operator has to look at the provider."""


class DeliveryHealth:
    """The health of one campaign's delivery, as its sender sees it."""

    def __init__(self, engine: sa.Engine, owned: Ownership, clock: Callable[[], datetime]) -> None:
        self._engine, self._owned, self._clock = engine, owned, clock
        self._unknown_in_a_row = 0

    def judge(self, answers: Iterable[Answer]) -> bool:
        """Judge answers in their order; returns True if the sender has to stop at once, as the provider fails.

        A campaign that is halted for filtered messages stops at its next claim.
        """
        failing = undelivered = False
        for answer in answers:
            failing |= self._fails(answer)
            undelivered |= bool(answer.reply and answer.reply.outcome is Outcome.FAILED)
        if undelivered:
            self.judge_delivery()
        return failing

    def judge_delivery(self) -> None:
        """Halt the campaign if too large a share is filtered or fails: more would harm the sender's reputation."""
        filtered_limit = self._owned.settings.max_filtered_percent
        limit = self._owned.settings.max_undelivered_percent
        with self._engine.begin() as conn:
            filtered, failed, handed = _counts(conn, self._owned.window)
            if handed < ENOUGH_TO_JUDGE:
                return
            if filtered * 100 > filtered_limit * handed:
                why = f"{filtered} of {handed} messages were filtered out as spam"
                self._halt(conn, f"{why}, more than max_filtered_percent {filtered_limit}")
            elif failed * 100 > limit * handed:
                why = f"{failed} of {handed} messages failed or were not delivered"
                self._halt(conn, f"{why}, more than max_undelivered_percent {limit}")

    def _fails(self, answer: Answer) -> bool:
        """Halt the campaign if too many outcomes in a row are unknown: those of the rest would be unknown too."""
        if answer.reply and answer.reply.outcome is Outcome.LATER:  # says nothing about the outcome of a message
            return False
        self._unknown_in_a_row = 0 if answer.reply else self._unknown_in_a_row + 1
        if self._unknown_in_a_row != UNKNOWN_IN_A_ROW:
            return False
        why = f"the outcome of {UNKNOWN_IN_A_ROW} messages in a row is unknown: the provider fails or does not answer"
        with self._engine.begin() as conn:
            self._halt(conn, why)
        return True

    def _halt(self, conn: sa.Connection, why: str) -> None:
        window, now = self._owned.window, self._clock()
        if campaign.halt(conn, window, by=campaign.ITSELF, why=why, as_of=now):
            alert_outbox.put(conn, AlertKind.CAMPAIGN_HALTED, window=window, as_of=now, why=why)
            log.error("The campaign is halted: %s", why)


def report_poor_delivery(engine: sa.Engine, *, as_of: datetime) -> int:
    """Put an alert about each complete campaign of late whose receipts report too many failures; returns their number.

    Receipts come for days after the sender has ended. A campaign is reported once.
    """
    recent = sa.select(campaign_table.c.window_start).where(
        campaign_table.c.status == CampaignStatus.COMPLETE, campaign_table.c.finished_at > as_of - RECEIPTS_COME_FOR
    )
    reported = 0
    with engine.begin() as conn:
        for start in conn.execute(recent).scalars().all():
            window = Window(start)
            found = campaign.find(conn, window)
            _, failed, handed = _counts(conn, window, since_resumed=False)
            if not found or not found.settings or handed < ENOUGH_TO_JUDGE:
                continue
            if failed * 100 > found.settings.max_undelivered_percent * handed:
                incident = f"{window.key} poor delivery"
                detail: dict[str, Any] = {"failed": failed, "handed": handed}
                alert_outbox.put(conn, AlertKind.POOR_DELIVERY, window=window, as_of=as_of, incident=incident, **detail)
                reported += 1
    return reported


def _counts(conn: sa.Connection, window: Window, *, since_resumed: bool = True) -> tuple[int, int, int]:
    """How many of the window's messages networks have filtered, how many failed, and how many were handed over at all.

    With ``since_resumed``, only those since the campaign was last resumed count: the operator has seen the others.
    """
    resumed = (
        sa.select(campaign_table.c.resumed_at).where(campaign_table.c.window_start == window.start).scalar_subquery()
    )
    handed: sa.ColumnElement[bool] = message.c.sending_at.is_not(None)
    if since_resumed:
        handed = message.c.sending_at >= sa.func.coalesce(resumed, message.c.sending_at)
    filtered = sa.func.count().filter(handed, message.c.fact == ProviderFact.FILTERED)
    failed = sa.func.count().filter(
        handed, message.c.status.in_((MessageStatus.FAILED, MessageStatus.UNDELIVERED)), message.c.settled_by.is_(None)
    )
    row = conn.execute(
        sa.select(filtered, failed, sa.func.count().filter(handed)).where(message.c.window_start == window.start)
    ).one()
    return row[0], row[1], row[2]
