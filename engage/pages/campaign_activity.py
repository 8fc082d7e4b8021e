"""What happened to a campaign and when, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from engage.campaigns.status import StatusKey
from engage.formats import counted, number
from engage.pages.runs import RunFacts, words
from engage.reports.report import Report
from engage.statuses import ApprovalState


class Event(NamedTuple):
    """One event: a word for it, then the rest of the sentence."""

    at: datetime | None
    name: str
    text: str = ""
    tone: str = "none"
    run_id: str | None = None
    """The run to which it links."""


def activity(found: Report, run: RunFacts | None) -> list[Event]:
    """The events, newest first. One without a time stands where it happened."""
    begun = [*_run(found, run), *_extracted(found)]
    later = [*_approval(found), *_sending(found), *_halt(found)]
    later.sort(key=lambda event: event.at or found.record.opened_at)
    return [*begun, *later][::-1]


def _run(found: Report, run: RunFacts | None) -> Iterator[Event]:
    run_id = found.record.run_id
    if run is None:
        yield Event(None, "Run", words(run_id, None) or str(run_id or ""), run_id=run_id)
        return
    options = f", with {' and '.join(run.options)}" if run.options else ""
    if run.user and run.kind != "scheduled":
        yield Event(
            run.started_at,
            run.user,
            f"triggered a {'backfill' if run.kind == 'backfill' else 'run'}{options}",
            run_id=run_id,
        )
    else:
        by = "started by the schedule" if run.kind == "scheduled" else "started"
        yield Event(run.started_at, "Run", f"{by}{options}", run_id=run_id)


def _extracted(found: Report) -> Iterator[Event]:
    if pulled := found.record.pulled:
        text = f"{counted(pulled.read, 'row')} from the source {pulled.source}, which counts {number(pulled.counted)}"
        tone = "info" if pulled.read == pulled.counted else "warning"
        yield Event(found.record.opened_at, "Pulled", text, tone)
    counts = [counted(count, kind.removesuffix("s")) for kind, count in found.events.items()]
    events = " and ".join([*filter(None, [", ".join(counts[:-1])]), *counts[-1:]])
    yield Event(found.record.opened_at, "Extracted", f"{events}, with the settings of that moment", "info")
    guard = found.record.guard
    if guard.findings:
        ignored = f", ignored by {guard.ignored_by}" if guard.ignored_by and guard.stopping else ""
        yield Event(None, "Guard", f"had {counted(len(guard.findings), 'finding')}{ignored}", "warning")


def _approval(found: Report) -> Iterator[Event]:
    approval = found.record.approval
    for run_id, asking in approval.asked.items():
        if asking.about:
            yield Event(datetime.fromisoformat(asking.about), "Approval", "was requested", "awaiting_input", run_id)
    if approval.state in {ApprovalState.APPROVED, ApprovalState.REJECTED}:
        tone = "success" if approval.state is ApprovalState.APPROVED else "failed"
        by = f"by {approval.by}" if approval.by else "as no answer came in time"
        why = f": {approval.reason}" if approval.reason else ""
        yield Event(approval.at, str(approval.state).capitalize(), by + why, tone)
    elif approval.state is ApprovalState.REQUESTED and not any(one.about for one in approval.asked.values()):
        yield Event(approval.at, "Approval", "was requested", "awaiting_input")


def _sending(found: Report) -> Iterator[Event]:
    if not found.counts or not found.counts.first_claim_at:
        return
    yield Event(found.counts.first_claim_at, "Sending", "began", "running")
    if found.status.key is StatusKey.SENT:
        at = found.record.finished_at or found.counts.last_claim_at
        yield Event(at, "Sent", counted(found.counts.gone, "message"), "success")


def _halt(found: Report) -> Iterator[Event]:
    record = found.record
    if record.halted_at:
        yield Event(record.halted_at, "Halted", f"by {record.halted_by}: {record.halted_why}", "failed")
    if record.resumed_at:
        yield Event(record.resumed_at, "Resumed", "", "running")
