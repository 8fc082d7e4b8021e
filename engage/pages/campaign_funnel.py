"""The funnel of a report: how many customers are left at each stage, and why others are not."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engage.pages.message_outcome import NO_RECEIPT, NOT_DELIVERED, Part, outcome, skipped
from engage.pages.segment_tones import tones
from engage.reports.funnel import funnel
from engage.reports.report import Report
from engage.statuses import MessageStatus

SANDBOX = "the sandbox reports no receipts"


@dataclass(frozen=True)
class Stage:
    """One stage: the customers who are left, and those who left since the stage before."""

    name: str
    count: int | None
    losses: list[Part]
    note: str = ""
    """Why there is no number, if so."""


def stages(found: Report) -> list[Stage]:
    """The stages of a campaign, in order."""
    names = funnel(found).stages()
    losses = dict(zip(names, _losses(found), strict=True))
    shown = [
        Stage(name, count, losses[name], "" if count is not None else "not computed") for name, count in names.items()
    ]
    settings = found.record.settings
    if found.counts is not None and settings is not None and not settings.real:
        shown[-1] = replace(shown[-1], count=None, losses=[], note=SANDBOX)
    return shown


def _losses(found: Report) -> tuple[list[Part], ...]:
    """The customers who were lost before each stage."""
    none = _untexted(found)
    if found.counts is None:
        return [], none, [], [], []
    window, counts = found.record.window, found.counts
    waiting = (MessageStatus.QUEUED, MessageStatus.SENDING, MessageStatus.UNKNOWN)
    not_taken = [*outcome(counts, window, *waiting), *_untaken(found)]
    undelivered = [
        replace(part, count=taken)
        for status in NOT_DELIVERED
        for part in outcome(counts, window, status)
        if (taken := counts.count(status=status, taken=True))
    ]
    no_receipt = [replace(part, name=f"{part.name}, no receipt yet") for part in outcome(counts, window, *NO_RECEIPT)]
    return [], none, skipped(counts, window), not_taken, [*undelivered, *no_receipt]


def _untexted(found: Report) -> list[Part]:
    """The customers in segments without a text."""
    if (settings := found.record.settings) is None:
        return []
    colours = tones(settings.segments.names)
    rest = (name for name in settings.segments.names if name not in settings.texted)
    return [Part(f"in {name}", count, colours[name], None) for name in rest if (count := found.buckets.get(name))]


def _untaken(found: Report) -> list[Part]:
    """Failed messages that the provider has not taken."""
    assert found.counts is not None
    count = found.counts.count(status=MessageStatus.FAILED, taken=False)
    parts = outcome(found.counts, found.record.window, MessageStatus.FAILED)
    return [replace(part, name="refused", count=count) for part in parts if count]
