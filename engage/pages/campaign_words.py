"""The events of campaigns in words."""

from __future__ import annotations

from collections.abc import Callable

from engage import formats
from engage.pages.happenings import Happening, Kind
from engage.reports.activity import CampaignEvent, Occurrence
from engage.reports.campaign_list import in_order


def of_occurrence(one: Occurrence) -> Happening:
    """An event of a campaign in words."""
    tone, did = _WORDS[one.event]
    return Happening(
        at=one.at,
        kind=Kind.CAMPAIGNS,
        tone=tone or str(one.status.tone),
        did=did(one),
        user=one.user,
        why=_outcome(one) if one.event is CampaignEvent.OPENED else one.why,
        window=one.window,
        run_id=one.campaign.run_id,
        messages=one.counts.total > 0 and one.event is not CampaignEvent.OPENED,
    )


def _rejected(one: Occurrence) -> str:
    return "rejected the messages" if one.user else "The messages were rejected: no answer came in time"


def _finished(one: Occurrence) -> str:
    taken = f": {formats.counted(one.counts.taken, 'message')} accepted by the provider" if one.counts.gone else ""
    return f"The campaign was finished{taken}"


_WORDS: dict[CampaignEvent, tuple[str, Callable[[Occurrence], str]]] = {
    CampaignEvent.OPENED: ("running", lambda one: "A run began to compute the campaign"),
    CampaignEvent.APPROVAL_REQUESTED: ("awaiting_input", lambda one: f"{_eligible(one)} wait for approval"),
    CampaignEvent.APPROVED: ("success", lambda one: "approved the messages"),
    CampaignEvent.REJECTED: ("skipped", _rejected),
    CampaignEvent.SENDING: ("running", lambda one: f"The first of {_eligible(one)} went out"),
    CampaignEvent.HALTED: ("failed", lambda one: "halted the campaign"),
    CampaignEvent.RESUMED: ("running", lambda one: "The campaign was resumed"),
    CampaignEvent.FINISHED: ("", _finished),
}
"""The tone and the words of each event. A finished campaign has the tone of its status."""


def _eligible(one: Occurrence) -> str:
    return formats.counted(one.counts.eligible, "message")


def _outcome(one: Occurrence) -> str | None:
    buckets = in_order(one.campaign)
    if not buckets:
        return None
    parts = (f"{formats.number(count)} in {name}" for name, count in buckets.items())
    return f"{formats.counted(one.campaign.customers, 'customer')}: {', '.join(parts)}"
