"""Halts a campaign while it is sent, if the provider fails or networks filter its messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

import sqlalchemy as sa

from engage import alert_outbox
from engage.campaigns import campaign
from engage.sending.outcomes import Answer
from engage.sending.providers import Outcome
from engage.sending.takeover import Ownership
from engage.statuses import AlertKind, ProviderFact
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import message
from engage.window import Window

log = logging.getLogger(__name__)

ENOUGH_TO_JUDGE = 20
"""Messages handed over, below which a share of them says nothing."""
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
        failing = filtered = False
        for answer in answers:
            failing |= self._fails(answer)
            filtered |= bool(answer.reply and answer.reply.fact is ProviderFact.FILTERED)
        if filtered:
            self.judge_filtered()
        return failing

    def judge_filtered(self) -> None:
        """Halt the campaign if networks filter too large a share: more would harm the sender number's reputation."""
        limit = self._owned.settings.max_filtered_percent
        with self._engine.begin() as conn:
            filtered, handed = _filtered(conn, self._owned.window)
            if handed < ENOUGH_TO_JUDGE or filtered * 100 <= limit * handed:
                return
            why = f"{filtered} of {handed} messages were filtered out as spam, more than max_filtered_percent {limit}"
            self._halt(conn, why)

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


def _filtered(conn: sa.Connection, window: Window) -> tuple[int, int]:
    """How many of the window's messages networks have filtered, and how many were handed over at all.

    Only those since the campaign was last resumed count: the operator who resumed it has seen the others.
    """
    resumed = (
        sa.select(campaign_table.c.resumed_at).where(campaign_table.c.window_start == window.start).scalar_subquery()
    )
    handed = message.c.sending_at >= sa.func.coalesce(resumed, message.c.sending_at)
    filtered = sa.func.count().filter(handed, message.c.fact == ProviderFact.FILTERED)
    row = conn.execute(
        sa.select(filtered, sa.func.count().filter(handed)).where(message.c.window_start == window.start)
    ).one()
    return row[0], row[1]
