"""Approval: a person looks at a campaign's list before anybody is texted, if ``require_approval`` was on.

The list is queued and the campaign frozen before anybody is asked, so what goes out is what was approved of, less whom
nobody may text by then. The ledger keeps that, not the scheduler: no sender takes over a list that nobody has approved
of. A rejected list texts nobody, and reopens its campaign: computed anew, it is asked about anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.campaign import Campaign
from engage.campaigns.run_options import RunOptions
from engage.campaigns.segments import TEXTED
from engage.errors import NotApproved, NotReady
from engage.sending.ledger import MessageSummary
from engage.settings import Settings
from engage.steps import message
from engage.storage.schema import message as message_table
from engage.texts.template import Template
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
    again: bool = False
    """Whether the run has asked this before."""


def ask(engine: sa.Engine, window: Window, *, options: RunOptions, run_id: str, as_of: datetime) -> Request:
    """Queue the window's messages and freeze the campaign, if somebody has to approve of them. Again: the same list.

    Raises:
        NotReady: ``extract`` or ``bucket`` has not run.
        NotApproved: the run has asked about another list before, and would be answered for that.
        GuardStop: something looks wrong, and the run may text people, whether or not somebody has to approve.
        TooManyMessages, TooLate: what ``message.queue`` raises.
    """
    found, settings = _computed(engine, window)
    may_text = options.may_text(window, settings, as_of)
    if may_text and not found.frozen:
        found.guard.enforce(window)
    if not settings.require_approval:
        return Request("Nobody has to approve: engage_require_approval was off when the campaign was computed.")
    if found.approval.state == "approved":
        return Request(found.approval.sentence)
    if may_text and (not found.frozen or found.approval.state == "requested"):
        _refuse_another_list(found, run_id)
    queued = message.queue(engine, window, options=options, as_of=as_of, asking=True)
    if queued.note or not queued.unsettled:
        return Request(queued.note or "Nobody is to be texted, so there is nothing to approve of.")
    return _put(engine, window, run_id, queued)


def _computed(engine: sa.Engine, window: Window) -> tuple[Campaign, Settings]:
    with engine.begin() as conn:
        found = campaign.find(conn, window)
    if found is None or found.settings is None:
        raise NotReady(f"There is no campaign for the window {window} yet: run its extract step first.")
    return found, found.settings


def _put(engine: sa.Engine, window: Window, run_id: str, queued: MessageSummary) -> Request:
    """The question about the list that is frozen, and a note that the run puts it."""
    with engine.begin() as conn:
        found = campaign.find(conn, window, lock=True)
        if found is None or found.settings is None or found.approval.state != "requested":
            return Request("Somebody has answered meanwhile.")
        _refuse_another_list(found, run_id)
        campaign.update(conn, window, asked=_asked_by(run_id, found))
        waiting = _waiting(conn, window)
    texts = {name: found.settings.message(name) for name in waiting}
    return Request(
        messages=waiting,
        segments=sum(waiting[name] * Template.parse(texts[name]).typical_segments() for name in waiting),
        skipped=queued.skipped_by_reason,
        texts=texts,
        hours=found.settings.approval_hours,
        guard=found.guard.note,
        again=run_id in found.asked,
    )


def _refuse_another_list(found: Campaign, run_id: str) -> None:
    """Airflow puts a run's question once: cleared and asked anew, it shows the first one, about the list of then."""
    if found.asked.get(run_id, _list_of(found)) != _list_of(found):
        raise NotApproved(
            f"This run has asked about an earlier list of the window {found.window}, and Airflow would show that "
            "question again. Nobody was asked about the new list, and nobody was texted. Trigger a new run of the "
            "window: it asks about the list as it is then."
        )


def _list_of(found: Campaign) -> str | None:
    """What tells a campaign's lists apart: when each was frozen. There is none while the campaign is open."""
    return found.frozen_at.astimezone(UTC).isoformat() if found.frozen_at else None


def _asked_by(run_id: str, found: Campaign) -> dict[str, str | None]:
    return found.asked | {run_id: _list_of(found)}


def _waiting(conn: sa.Connection, window: Window) -> dict[str, int]:
    query = (
        sa.select(message_table.c.bucket, sa.func.count().label("messages"))
        .where(message_table.c.window_start == window.start, message_table.c.status == "queued")
        .group_by(message_table.c.bucket)
    )
    counts = {row.bucket: row.messages for row in conn.execute(query)}
    return {name: counts[name] for name in TEXTED if name in counts}


def answer(engine: sa.Engine, window: Window, *, approved: bool, by: str | None, run_id: str, as_of: datetime) -> str:
    """Write down what a run was answered, and clear a rejected list; returns that in words. Again: changes nothing.

    ``by`` is None if nobody answered in time.

    Raises:
        NotApproved: nobody was asked, or about another list, or somebody has answered otherwise before.
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
            _refuse_another_list(found, run_id)
            asked = _asked_by(run_id, found)  # also by a run that waited before there was this to write down
            campaign.update(conn, window, approval=wanted, approval_at=as_of, approval_by=by, asked=asked)
            if not approved:
                _clear(conn, window, as_of)
        after = campaign.find(conn, window)
        assert after is not None
        return after.approval.sentence


def refuse_to_bypass(engine: sa.Engine, window: Window) -> None:
    """For a run that cannot ask, and does not know what operations staff have set in Airflow.

    Raises:
        NotApproved: the campaign as it was computed last wants approval, and could be computed anew without it.
    """
    with engine.begin() as conn:
        found = campaign.find(conn, window)
    if found and found.settings and found.settings.require_approval and not found.frozen:
        raise NotApproved(
            f"The campaign of the window {window} wants somebody to approve of its messages, which can only be asked "
            f"in Airflow. {found.approval.sentence or 'Nobody has been asked.'} Trigger a run of the window there. If "
            "nobody has to approve, say so: --set require_approval=false."
        )


def _clear(conn: sa.Connection, window: Window, as_of: datetime) -> None:
    """Skip everybody on the list, and open the campaign again."""
    conn.execute(
        sa.update(message_table)
        .where(message_table.c.window_start == window.start, message_table.c.status == "queued")
        .values(status="skipped", reason="rejected", settled_at=as_of)
    )
    campaign.update(conn, window, status="complete", frozen_at=None)
