"""The live window for people: why there is no projection, what the guard finds so far, and all of it for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engage import formats
from engage.campaigns.live_window import LiveWindow
from engage.currency import currency
from engage.reports import budget_cut_words, share_facts
from engage.reports.campaign_list import amount
from engage.statuses import GuardCheck

NOT_COMPUTED = (
    "The running window is not computed yet. The DAG engage_maintenance computes it once a day, and the command "
    "`engage live --compute` does so now."
)
STALE = timedelta(days=2)
"""From this age on, the daily task seems not to run."""
_PROJECTED = {GuardCheck.VOLUME, GuardCheck.MIX}
"""What the guard checks by the projection."""


@dataclass(frozen=True)
class LiveFinding:
    """What the guard finds weeks ahead. ``projected``: by the projection, not by what is there so far."""

    sentence: str
    projected: bool


def findings(found: LiveWindow) -> list[LiveFinding]:
    """What the guard finds, without days that are explained."""
    return [
        LiveFinding(f"{one.sentence[0].upper()}{one.sentence[1:]}.", one.check in _PROJECTED)
        for one in found.guard.findings
    ]


def why_no_projection(found: LiveWindow) -> str:
    """Why nothing is projected; empty if there is a projection."""
    if found.projection:
        return ""
    if any(found.events.values()):
        return f"There is a projection from {formats.day(found.projected_from)} on, once 7 days of the window are over."
    if found.settings.source:
        return f"There is no event yet: the campaign pulls them from {found.settings.source} after the window's end."
    return "There is no event in this window yet, so there is nothing to project."


def why_old(found: LiveWindow, as_of: datetime) -> str:
    """A warning that the numbers are old; empty if they are not."""
    age = as_of - found.as_of
    if age < STALE:
        return ""
    return f"These numbers are {formats.duration(age)} old. Look whether the DAG engage_maintenance is paused."


def budget(found: LiveWindow) -> str:
    """What the budget would do to the list of the projection; empty if the list is within it."""
    if found.projection is None:
        return ""
    return budget_cut_words.preview(found.settings, found.in_order(found.projection.recipients))


def to_dict(found: LiveWindow) -> dict[str, Any]:
    """The live window for JSON. Times are ISO 8601 in UTC, amounts are cents or decimal text."""
    ahead = found.projection
    return {
        "window": {"start": formats.iso(found.window.start), "end": formats.iso(found.window.end)},
        "as_of": formats.iso(found.as_of),
        "days_left": found.days_left,
        "customers": found.customers,
        "events": dict(found.events),
        "total_spend_cents": found.total_spend_cents,
        "buckets": found.in_order(found.buckets),
        "resolved": share_facts.to_json(found.settings),
        "projection": ahead
        and {
            "events": dict(ahead.events),
            "total_spend_cents": ahead.total_spend_cents,
            "buckets": found.in_order(ahead.buckets),
            "messages": found.in_order(ahead.recipients),
            "sms_segments": found.sms_segments,
            "cost": amount(found.cost),
            "currency": currency(),
            "budget": budget(found),
        },
        "guard": [{"finding": one.sentence, "projected": one.projected} for one in findings(found)],
        "note": why_no_projection(found),
    }
