"""The watchdog: finds windows whose customers were not texted in time, and campaigns that cannot move on by themselves.

A run that fails sends an alert of its own. The watchdog is for what no run reports: a run that was never made, was
marked by hand, texted no customer, or lost its sender.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from engage import alert_outbox
from engage.campaigns import campaign, lateness, message_counts
from engage.campaigns.campaign import Campaign
from engage.campaigns.message_counts import MessageCounts
from engage.errors import WindowError
from engage.settings import Settings
from engage.statuses import AlertKind, ApprovalState, CampaignStatus, RunMode, SkipReason
from engage.storage import schema
from engage.storage.schema import customer
from engage.window import GRACE, Window

SLACK = timedelta(hours=1)
"""How long after it is due a run, an answer or a campaign may be missing."""
QUIET = timedelta(minutes=30)
"""Without a message claimed for this long, a campaign with messages that may be sent has no sender."""
HALTED_FOR = timedelta(hours=24)
"""A halt that lasts longer may be forgotten."""


@dataclass(frozen=True)
class Finding:
    """A window that needs the operator: what is wrong, and the way out."""

    window: Window
    problem: str
    way_out: str
    late: bool
    """Whether a run texts its customers only with send_late."""
    incident: str
    """The same while the problem is the same."""
    go_on: bool = True
    """Whether a run of the window helps at once; a halt has to end first."""


class _Problem(NamedTuple):
    """What is wrong with a window, what to do before a new run, and what tells the problem from a later one.

    ``effect`` is what the new run does, if that needs a word.
    """

    problem: str
    first: str
    mark: str
    go_on: bool = True
    effect: str = ""


@dataclass(frozen=True)
class Watch:
    """The findings as a task's summary, and the numbers of alerts that were not mailed before."""

    findings: list[str]
    alerts_waiting: int
    alerts_expired: int

    @classmethod
    def of(cls, found: list[Finding], unmailed: alert_outbox.Unmailed) -> Watch:
        """The summary of these findings."""
        return cls([f"{finding.window}: {finding.problem}" for finding in found], *unmailed)


def watch(engine: sa.Engine, settings: Settings, *, as_of: datetime) -> list[Finding]:
    """Put an alert in the outbox about each finding that has none yet; returns all findings.

    It goes out if a later look finds the same: a run may be at work, or start together with this look. Alerts that were
    not mailed are withdrawn once their problem is over.
    """
    with engine.begin() as conn:
        found = findings(conn, settings, as_of=as_of)
        alert_outbox.withdraw(conn, AlertKind.WINDOW_STUCK, but=[one.incident for one in found], as_of=as_of)
        for finding in found:
            alert_outbox.put(
                conn,
                AlertKind.WINDOW_STUCK,
                as_of=as_of,
                window=finding.window,
                incident=finding.incident,
                problem=finding.problem,
                way_out=finding.way_out,
            )
    return found


def findings(conn: sa.Connection, settings: Settings, *, as_of: datetime) -> list[Finding]:
    """The windows that need the operator, newest first. ``settings`` are those of the moment."""
    due = _last_due(as_of)
    unfinished = sa.select(schema.campaign.c.window_start).where(schema.campaign.c.status != CampaignStatus.COMPLETE)
    windows = {Window(start) for start in conn.execute(unfinished).scalars()} | ({due} if due else set())
    found = []
    for window in sorted(windows, reverse=True):
        late = lateness.is_late(window, settings, as_of)
        for one in _problems(conn, window, late=late, due=window == due, as_of=as_of):
            incident, way_out = f"{window.key} {one.mark}", _way_out(window, one, late=late)
            found.append(Finding(window, one.problem, way_out, late, incident, one.go_on))
    return found


def _last_due(as_of: datetime) -> Window | None:
    """The latest window whose scheduled run should have started."""
    try:
        return Window.last_complete(as_of - GRACE - SLACK)
    except WindowError:
        return None


def _problems(conn: sa.Connection, window: Window, *, late: bool, due: bool, as_of: datetime) -> Iterator[_Problem]:
    found = campaign.find(conn, window)
    if found is None:
        missed = not late or campaign.latest_windows(conn, before=window, limit=1)  # else a new installation
        if missed and _has_customers(conn, window):
            yield _Problem("No run has computed its campaign.", "Check that the DAG is not paused. ", "no campaign")
    elif found.frozen:
        yield from _stuck(conn, found, as_of)
    elif due:
        yield from _not_texted(conn, found, late, as_of)


def _stuck(conn: sa.Connection, found: Campaign, as_of: datetime) -> Iterator[_Problem]:
    """Problems of a frozen campaign, whose messages wait for an answer, for the end of a halt or for a sender."""
    approval, counts = found.approval, message_counts.of(conn, found.window)
    if not counts.unsettled:
        return
    if approval.state is ApprovalState.REQUESTED and approval.at:
        hours = found.require_settings().approval_hours
        if approval.at + timedelta(hours=hours) + SLACK < as_of:
            problem = f"Its list still waits for an approval, though {hours} hours have passed."
            yield _Problem(problem, "", f"approval {approval.at}", effect=": it asks again")
    elif found.halted_at:
        if found.halted_at + HALTED_FOR < as_of:
            mark = f"halted {found.halted_at}"
            yield _Problem("It is halted, and messages wait.", "Resume it first. ", mark, go_on=False)
    elif _last_sign(found, counts) + QUIET < as_of:
        problem = f"Of its messages {counts.unsettled:,} wait, and no sender is at work."
        yield _Problem(problem, "", f"no sender {found.sender_token} {approval.at}")


def _not_texted(conn: sa.Connection, found: Campaign, late: bool, as_of: datetime) -> Iterator[_Problem]:
    """Problems of an open campaign whose customers should have been texted by now. A late backfill is in order."""
    if found.status is not CampaignStatus.COMPLETE:
        if not late and found.window.end + GRACE + SLACK + QUIET < as_of:
            dry = found.mode is RunMode.DRY_RUN and found.status is CampaignStatus.BUCKETED
            stopped = f"Its run stopped when the campaign was {found.status}."
            problem = "Only a dry run has computed its campaign." if dry else stopped
            yield _Problem(problem, "", f"stopped {found.run_id}")
        return
    counts = message_counts.of(conn, found.window)
    reasons = (SkipReason.TOO_LATE,) if late else (SkipReason.TOO_LATE, SkipReason.BACKFILL)
    if (count := sum(counts.count(reason=reason) for reason in reasons)) and not counts.eligible:
        problem = f"Its run texted none of {count:,} customers, as it was a backfill or came too late."
        yield _Problem(problem, "", f"not texted {found.run_id}")


def _way_out(window: Window, one: _Problem, *, late: bool) -> str:
    options = " and send_late" if late else ""
    return f"{one.first}Trigger a run with window_start {window.start:%Y-%m-%d}{options}{one.effect}."


def _has_customers(conn: sa.Connection, window: Window) -> bool:
    return bool(conn.execute(sa.select(sa.exists().where(customer.c.registered_at < window.end))).scalar_one())


def _last_sign(found: Campaign, counts: MessageCounts) -> datetime:
    """The last moment at which a sender was at work, or had reason not to be."""
    signs = (found.frozen_at, found.approval.at, found.resumed_at, found.resume_at, counts.last_claim_at)
    return max(sign for sign in signs if sign is not None)
