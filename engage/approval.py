"""Approval: a person looks at a campaign's list before anybody is texted, if ``require_approval`` was on.

The list is queued and the campaign frozen before anybody is asked, so what goes out is what was approved of, less whom
nobody may text by then. The ledger keeps that, not the scheduler: no sender takes over a list that nobody has approved
of. A rejected list texts nobody, and reopens its campaign: computed anew, it is asked about anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from engage import campaign, message
from engage.bucket import TEXTED
from engage.delivery import Delivery
from engage.errors import NotApproved, NotReady
from engage.schema import message as ledger
from engage.settings import Settings
from engage.template import Template
from engage.window import Window


@dataclass(frozen=True)
class Request:
    """What somebody is asked to approve of. Without ``messages`` nobody is asked, and ``note`` says why."""

    note: str = ""
    messages: dict[str, int] = field(default_factory=dict)
    """How many wait, by bucket."""
    segments: int = 0
    """About how many they take, with names of usual length."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Who is not on the list, by reason."""
    texts: dict[str, str] = field(default_factory=dict)
    hours: int = 0
    """How long an answer is waited for."""
    guard: str = ""
    """What the guard has found, and a run was told to ignore."""


def ask(engine: sa.Engine, window: Window, *, delivery: Delivery, as_of: datetime) -> Request:
    """Queue the window's messages and freeze the campaign, if somebody has to approve of them. Again: the same list.

    Raises:
        NotReady: ``extract`` or ``bucket`` has not run.
        GuardStop: something looks wrong, and the run may text people, whether or not somebody has to approve.
        TooManyMessages, TooLate: what ``message.queue`` raises.
    """
    with engine.begin() as conn:
        found = campaign.find(conn, window)
    if found is None or found.settings is None:
        raise NotReady(f"There is no campaign for the window {window} yet: run its extract step first.")
    if not found.frozen and delivery.may_text(window, found.settings, as_of):
        found.guard.enforce(window)
    if not found.settings.require_approval:
        return Request("Nobody has to approve: engage_require_approval was off when the campaign was computed.")
    if found.approval.state == "approved":
        return Request(found.approval.sentence)
    queued = message.queue(engine, window, delivery=delivery, as_of=as_of, asking=True)
    if queued.note:
        return Request(queued.note)
    if not queued.unsettled:
        return Request("Nobody is to be texted, so there is nothing to approve of.")
    with engine.begin() as conn:
        waiting = _waiting(conn, window)
    return _request(found.settings, waiting, queued.skipped_by_reason, found.guard.note)


def _waiting(conn: sa.Connection, window: Window) -> dict[str, int]:
    query = (
        sa.select(ledger.c.bucket, sa.func.count().label("messages"))
        .where(ledger.c.window_start == window.start, ledger.c.status == "queued")
        .group_by(ledger.c.bucket)
    )
    counts = {row.bucket: row.messages for row in conn.execute(query)}
    return {name: counts[name] for name in TEXTED if name in counts}


def _request(settings: Settings, waiting: dict[str, int], skipped: dict[str, int], guard: str) -> Request:
    texts = {name: settings.message(name) for name in waiting}
    return Request(
        messages=waiting,
        segments=sum(waiting[name] * Template.parse(texts[name]).typical_segments() for name in waiting),
        skipped=skipped,
        texts=texts,
        hours=settings.approval_hours,
        guard=guard,
    )


def answer(engine: sa.Engine, window: Window, *, approved: bool, by: str | None, as_of: datetime) -> str:
    """Write down what was answered, and clear a rejected list; returns that in words. Again: changes nothing.

    ``by`` is None if nobody answered in time.

    Raises:
        NotApproved: nobody was asked, or somebody has answered otherwise before.
    """
    wanted = "approved" if approved else "rejected"
    with engine.begin() as conn:
        found = campaign.find(conn, window, lock=True)
        if found is None or found.approval.state not in ("requested", wanted):
            said = found.approval.sentence if found else ""
            raise NotApproved(
                f"The list of the window {window} cannot be {wanted}. {said or 'Nobody is asked about it.'} A campaign "
                "that goes out is stopped by the brake, and one that was rejected is asked about anew by a run."
            )
        if found.approval.state == "requested":
            campaign.update(conn, window, approval=wanted, approval_at=as_of, approval_by=by)
            if not approved:
                _clear(conn, window, as_of)
        after = campaign.find(conn, window)
        assert after is not None
        return after.approval.sentence


def _clear(conn: sa.Connection, window: Window, as_of: datetime) -> None:
    """Skip everybody on the list, and open the campaign again."""
    conn.execute(
        sa.update(ledger)
        .where(ledger.c.window_start == window.start, ledger.c.status == "queued")
        .values(status="skipped", reason="rejected", settled_at=as_of)
    )
    campaign.update(conn, window, status="complete", frozen_at=None)
