"""Step 5, optional: ask an approver whether the campaign's messages may go out, and record the answer.

Asking queues the messages and freezes the campaign first: see ``engage.campaigns.approval``. A rejection skips every
message of the list and opens the campaign again, as no customer was texted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from engage import alert_outbox
from engage.campaigns import approvers, campaign, shares
from engage.campaigns.approval import Approval
from engage.campaigns.run_options import RunOptions
from engage.sending import budget, listed_texts, queue
from engage.sending.ledger import MessageSummary
from engage.settings import Settings
from engage.statuses import AlertKind, ApprovalState, CampaignStatus
from engage.window import Window


@dataclass(frozen=True)
class Question:
    """What the approver is asked. Without ``messages`` there is no question, and ``note`` says why."""

    note: str = ""
    messages: dict[str, int] = field(default_factory=dict)
    """Messages of the list, by segment."""
    segments: int = 0
    """SMS segments of all messages, estimated with names of usual length."""
    cost: Decimal | None = None
    """The most that these segments cost, in the installation's currency; None without a price."""
    budget: str = ""
    """What the budget allows, such as *$500.00*; empty without one."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Customers who are left out, by reason."""
    texts: dict[str, str] = field(default_factory=dict)
    """Each text as a recipient on the list reads it. One in a further language is named as in *REWARD in es*."""
    readers: dict[str, int] = field(default_factory=dict)
    """The recipient of each text, by customer id."""
    unread: tuple[str, ...] = ()
    """The names of texts that no customer on the list reads."""
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What is odd about the texts, by segment."""
    hours: int = 0
    """The hours within which the approver may answer."""
    shares: str = ""
    """What each share of the customers became, such as *lowest 20%*, as sentences; empty without one."""
    guard: str = ""
    """What the guard found, as sentences: what it only tells, and what the run ignores."""
    who_may: str = ""
    """The users who may approve, as a sentence; empty if each user may whom Airflow lets answer."""


def ask(engine: sa.Engine, window: Window, *, options: RunOptions, run_id: str, as_of: datetime) -> Question:
    """Queue the window's messages, freeze the list, and return the question about it. Idempotent.

    Raises:
        NotReady: ``extract`` or ``bucket`` has not run.
        NotApproved: the run asked about another list before, and Airflow would show that question again.
        GuardStop: the guard has findings, and the run may text customers, with or without an approval.
        TooFewCodes, TooManyMessages, OverBudget, TooLate: what ``queue.build`` raises.
    """
    with engine.begin() as conn:
        found = campaign.locked(conn, window)
    approval, may_text = found.approval, options.may_text(window, found.require_settings(), as_of)
    if may_text and not found.frozen:
        found.guard.enforce(window)
    if not approval.may_be_required:
        return Question("No approval is required: engage_require_approval was off when the campaign was computed.")
    if approval.state is ApprovalState.APPROVED:
        return Question(approval.sentence)
    if may_text and (not found.frozen or approval.state is ApprovalState.REQUESTED):
        approval.refuse_another_list(run_id)
    queued = queue.build(engine, window, options=options, as_of=as_of, for_approval=True)
    if queued.note or not queued.unsettled:
        return Question(queued.note or "The list is empty, so there is nothing to approve.")
    if not approval.requires(queued.unsettled):
        return Question(
            f"No approval is required: {queued.unsettled:,} messages wait, engage_approval_above was "
            f"{approval.above:,} and engage_require_approval off when the campaign was computed."
        )
    return _question(engine, window, run_id, queued, by=options.by, as_of=as_of)


def answer(
    engine: sa.Engine,
    window: Window,
    *,
    approved: bool,
    by: str | None,
    run_id: str,
    as_of: datetime,
    reason: str | None = None,
) -> Approval:
    """Record the answer to a run's question, and return the approval on record. Idempotent.

    ``by`` is the approver's user name, or None if the time was up. A time that is up changes nothing while the question
    of another run about the same list is open, or once it was answered. ``reason``: why the list was rejected.

    Raises:
        NotReady: there is no such campaign.
        ApproverRefused: the user may not approve the list, which still waits for an answer.
        NotApproved: no approval was requested, the run asked about another list, or the other answer came first.
    """
    with engine.begin() as conn:
        found = campaign.locked(conn, window)
        given = found.approval.answered(approved=approved, by=by, run_id=run_id, as_of=as_of, reason=reason)
        if given != found.approval:
            if approved:
                approvers.refuse(found, by or "an unknown user")
            if by is None:
                alert_outbox.put(conn, AlertKind.APPROVAL_TIMED_OUT, window=window, as_of=as_of)
            campaign.update(conn, window, **given.columns)
            if not approved:
                queue.reject(conn, window, as_of)
                campaign.update(conn, window, status=CampaignStatus.COMPLETE, frozen_at=None)
        return given


def refuse_to_bypass(engine: sa.Engine, window: Window) -> None:
    """Refuse a run outside Airflow if the window's campaign requires approval.

    Raises:
        NotApproved: it requires approval, and its list is not frozen.
    """
    with engine.begin() as conn:
        if found := campaign.find(conn, window):
            found.approval.refuse_to_bypass()


def _question(
    engine: sa.Engine, window: Window, run_id: str, queued: MessageSummary, *, by: str | None, as_of: datetime
) -> Question:
    """Record that the run asks about the frozen list, with an alert each time, and return the question."""
    with engine.begin() as conn:
        found = campaign.locked(conn, window)
        if found.approval.state is not ApprovalState.REQUESTED:
            return Question("The question was answered in the meantime.")
        settings = found.require_settings()
        until = as_of + timedelta(hours=settings.approval_hours)
        campaign.update(conn, window, **found.approval.asked_by(run_id, until, by).columns)
        waiting = queue.waiting_by_bucket(conn, window)
        detail: dict[str, Any] = {"messages": sum(waiting.values()), "hours": settings.approval_hours}
        alert_outbox.put(conn, AlertKind.APPROVAL_REQUESTED, window=window, as_of=as_of, **detail)
        listed = {
            one.text.named_after(name): one.recipients
            for name in waiting
            for one in listed_texts.of_segment(conn, window, settings, name, thorough=True)
        }
    return Question(
        messages=waiting,
        segments=sum(budget.estimated_segments(settings, waiting).values()),
        cost=budget.most(settings, waiting),
        budget=budget.in_words(settings.message_budget) if settings.message_budget else "",
        skipped=queued.skipped_by_reason,
        texts={name: sms.text for name, found in listed.items() for sms in found.values()},
        readers={name: customer_id for name, found in listed.items() for customer_id in found},
        unread=tuple(name for name, found in listed.items() if not found),
        warnings={
            settings.each_text(name)[0].named_after(name): odd
            for name in waiting
            if (odd := settings.text_warnings(name))
        },
        hours=settings.approval_hours,
        shares=shares.in_words(settings),
        guard=found.guard.remark,
        who_may=_who_may(settings),
    )


def _who_may(settings: Settings) -> str:
    """The users who may approve, as a sentence. Who they are by four eyes is known only when one of them answers."""
    if not settings.approver_names:
        return ""
    names = approvers.in_words(settings.approver_names)
    others = (
        ", and not the user who triggered the run or last changed one of its settings" if settings.four_eyes else ""
    )
    return f"Only {names} may approve{others}."
