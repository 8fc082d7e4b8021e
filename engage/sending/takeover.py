"""Takes a campaign over: its newest sender is its only sender.

Each sender has a fencing token, a number that grows with each takeover. ``claims.claim`` compares it with the
campaign's, so an older sender stops at its next claim, whichever run or process it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic, sleep

import sqlalchemy as sa

from engage.campaigns import campaign, message_counts
from engage.campaigns.campaign import Campaign
from engage.errors import NotReady, Superseded, TooManyMessages
from engage.sending import budget, outcomes
from engage.sending.compose import Composer
from engage.sending.providers import SmsProvider
from engage.settings import Settings
from engage.statuses import CampaignStatus
from engage.window import Window

PATIENCE = timedelta(minutes=1)
"""How long a sender that was superseded waits for the other one to finish, before it gives up."""
PACE = timedelta(seconds=0.5)
"""How often it looks meanwhile."""


@dataclass(frozen=True)
class Ownership:
    """One sender's hold on a campaign, which lasts until the next takeover."""

    window: Window
    token: int
    settings: Settings
    provider: SmsProvider
    composer: Composer
    waiting: int
    """Messages that were queued at the takeover."""


def take_over(
    engine: sa.Engine, window: Window, provider_named: Callable[[str], SmsProvider], now: datetime
) -> Ownership | None:
    """Become the campaign's only sender, and list as unknown what the last sender left; None while halted.

    Once there is a provider to send with, that list is made, and it stays even if the rest fails. Only the rest freezes
    the campaign. The campaign has to be as the queue was made from: a step that has run since reopens it.

    Raises:
        NotReady: the campaign was computed anew, or tried out, since its messages were queued.
        NotApproved: the campaign requires an approval and has none.
        TooManyMessages: more wait than ``max_messages_per_run`` allows; the campaign stays as open as it was.
        OverBudget: what waits may cost more than ``message_budget`` allows; the campaign stays as open as it was.
        Superseded: another sender has taken over in this moment.
    """
    with engine.begin() as conn:
        found, chosen = _sendable(conn, window)
    # before anything is changed: only a process with an account may stop another sender
    provider = None if found.halted_at else provider_named(chosen.sms_provider)
    token = _supersede(engine, window, now)
    with engine.begin() as conn:
        found, settings = _sendable(conn, window)
        if found.sender_token != token or settings != chosen:
            raise superseded(window)
        if provider is None or found.halted_at:
            return None
        campaign.update(conn, window, frozen_at=found.frozen_at or now, status=CampaignStatus.SENDING)
        counts = message_counts.of(conn, window)
        refuse_too_many(window, counts.waiting, settings.max_messages_per_run)
        budget.refuse_too_dear(window, settings, budget.waiting(counts))
        return Ownership(window, token, settings, provider, Composer(window, settings), counts.waiting)


def _supersede(engine: sa.Engine, window: Window, now: datetime) -> int:
    """Stop every earlier sender, and list what they left as unknown; returns the new sender's token."""
    with engine.begin() as conn:
        found, _ = _sendable(conn, window)
        token = found.sender_token + 1
        campaign.update(conn, window, sender_token=token, resume_at=None)  # it said when the sender before goes on
        outcomes.abandon(conn, window, now, before_token=token)
        return token


def _sendable(conn: sa.Connection, window: Window) -> tuple[Campaign, Settings]:
    """The campaign, locked, with its settings."""
    found = campaign.find(conn, window, lock=True)
    if found is None or found.settings is None or not (found.frozen or found.status is CampaignStatus.QUEUED):
        raise NotReady(
            f"The campaign of the window {window} was computed anew, or its queue cleared by a dry run, after its "
            "messages had been queued, so none is sent. Run its steps again, up to message."
        )
    found.approval.enforce(message_counts.of(conn, window).unsettled)
    return found, found.settings


def finished_by_another(engine: sa.Engine, window: Window) -> bool:
    """Wait up to ``PATIENCE`` for the sender that has taken over, and say whether it left no message to send."""
    deadline = monotonic() + PATIENCE.total_seconds()
    while True:
        with engine.connect() as conn:
            found = campaign.find(conn, window)
            if not (found and found.has_ledger and message_counts.of(conn, window).unsettled):
                return found is not None and found.has_ledger
        if found.halted_at or found.resume_at or monotonic() > deadline:
            return False
        sleep(PACE.total_seconds())


def superseded(window: Window) -> Superseded:
    """The error of a sender that finds a newer one."""
    return Superseded(f"Another sender has taken over the campaign of the window {window}; this one stops.")


def refuse_too_many(window: Window, waiting: int, allowed: int) -> None:
    """Refuse to text more customers than one run may; 0 allows any number.

    Raises:
        TooManyMessages: more messages wait than are ``allowed``.
    """
    if allowed and waiting > allowed:
        raise TooManyMessages(
            f"{waiting} messages wait to be sent for the window {window}, and max_messages_per_run allows {allowed}. "
            "No customer was texted. If that many are right, raise it and run the campaign again from extract."
        )
