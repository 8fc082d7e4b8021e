"""Where a campaign stands, from its events to its messages: the steps with their figures and times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from engage.campaigns.message_counts import MessageCounts
from engage.campaigns.status import StatusKey
from engage.formats import counted, duration, number
from engage.reports.report import Report
from engage.statuses import ApprovalState, RunMode

_NO_MESSAGES = {
    StatusKey.DRY_RUN: "a dry run sends none",
    StatusKey.BACKFILLED: "a backfill sends none",
    StatusKey.REJECTED: "the list was rejected",
}
"""Why a campaign in this status has sent no message."""


class Step(NamedTuple):
    """One step, as the macro ``stepper`` takes it."""

    name: str
    state: str
    """``done``, ``current``, ``todo``, ``skipped``, ``stopped`` or ``waiting``."""
    note: str = ""
    at: datetime | None = None


def steps(found: Report) -> list[Step]:
    """The steps of a campaign, in order."""
    return [_extracted(found), _bucketed(found), _guard(found), _approval(found), _queued(found), _sent(found)]


def _extracted(found: Report) -> Step:
    rejected = sum(found.rejected.values())
    parts = [f"{number(count)} {kind}" for kind, count in found.events.items()]
    if rejected:
        parts.append(f"{counted(rejected, 'event')} rejected")
    return Step("Extracted", "done", ", ".join(parts), found.record.opened_at)


def _bucketed(found: Report) -> Step:
    name = "In segments"
    if not found.buckets:
        stopped = found.status.key is StatusKey.STOPPED_BY_GUARD
        return Step(name, "todo" if stopped else "current", "not computed")
    took = sum(found.timings.get(step, 0) for step in ("aggregate", "bucket"))
    return Step(name, "done", f"{counted(found.customers, 'customer')}, in {duration(round(took, 1))}")


def _guard(found: Report) -> Step:
    guard = found.record.guard
    findings = counted(len(guard.findings), "finding")
    if not guard.findings:
        words = f"nothing odd; {guard.caveat}" if guard.caveat else "nothing odd"
        return Step("Guard", "done", words) if found.buckets else Step("Guard", "todo")
    if guard.stands:
        return Step("Guard", "stopped" if found.record.may_text else "done", findings)
    if not guard.stopping:
        return Step("Guard", "done" if found.buckets else "todo", f"{findings}, which stop no run")
    return Step("Guard", "done", f"{findings}, ignored")


def _approval(found: Report) -> Step:
    approval, name = found.record.approval, "Approval"
    if approval.state is ApprovalState.REQUESTED:
        return Step(name, "waiting", "waits for an answer", approval.at)
    if approval.state is not None:
        by = f"by {approval.by}" if approval.by else "no answer came in time"
        state = "done" if approval.state is ApprovalState.APPROVED else "stopped"
        return Step(name, state, f"{approval.state} {by}" if approval.by else by, approval.at)
    if approval.required:
        return Step(name, "todo", "required")
    if approval.above and found.counts is None:
        return Step(name, "todo", f"required above {counted(approval.above, 'message')}")
    return Step(name, "skipped", "not required")


def _queued(found: Report) -> Step:
    counts, name = found.counts, "Queued"
    if counts is None:
        why = "a dry run queues none" if found.record.mode is RunMode.DRY_RUN and found.buckets else ""
        return Step(name, "skipped" if why else "todo", why)
    skipped = counts.total - counts.eligible
    note = f"{number(counts.eligible)}, {number(skipped)} skipped" if skipped else number(counts.eligible)
    return Step(name, "done" if counts.eligible else "skipped", note, None)


def _sent(found: Report) -> Step:
    counts, status, name = found.counts, found.status, "Sent"
    if status.key in _NO_MESSAGES:
        return Step(name, "skipped", _NO_MESSAGES[status.key])
    if counts is None:
        return Step(name, "todo")
    if status.key is StatusKey.SENDING:
        waits = bool(found.record.resume_at)
        note = f"{status.percent}% gone" + (", the rest waits" if waits else "")
        return Step(name, "waiting" if waits else "current", note, found.record.resume_at)
    if status.key is StatusKey.HALTED:
        return Step(name, "stopped", f"halted at {status.percent}%", found.record.halted_at)
    if status.key is StatusKey.SENT:
        return Step(name, "done", ", ".join(_speed(counts)), counts.last_claim_at)
    return Step(name, "todo") if counts.unsettled else Step(name, "skipped", "no message may be sent")


def _speed(counts: MessageCounts) -> Iterator[str]:
    yield number(counts.gone)
    if rate := average_rate(counts):
        yield rate_in_words(rate)


def average_rate(counts: MessageCounts) -> float | None:
    """Messages a second from the first claim to the last one; None if these are not apart."""
    first, last = counts.first_claim_at, counts.last_claim_at
    if first is None or last is None or last - first < timedelta(seconds=1):
        return None
    return counts.gone / (last - first).total_seconds()


def rate_in_words(rate: float) -> str:
    """Messages a second in words; a slow rate by the minute or the hour."""
    for seconds, unit in ((1, "a second"), (60, "a minute")):
        if rate * seconds >= 1:
            return f"{number(round(rate * seconds))} {unit}"
    return f"{number(round(rate * 3600))} an hour"
