"""What happened to the campaigns, event by event, as far as their records keep it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto

import sqlalchemy as sa

from engage.campaigns import campaign, status
from engage.campaigns.campaign import Campaign
from engage.campaigns.message_counts import MessageCounts
from engage.sending import test_requests
from engage.statuses import ApprovalState, SendTestStatus
from engage.window import Window

MOST = 500
"""Campaigns that are looked at: more than seventy years of windows."""


class CampaignEvent(StrEnum):
    """What may happen to a campaign."""

    OPENED = auto()
    APPROVAL_REQUESTED = auto()
    APPROVED = auto()
    REJECTED = auto()
    SENDING = auto()
    HALTED = auto()
    RESUMED = auto()
    FINISHED = auto()


_ANSWERS = {
    ApprovalState.REQUESTED: CampaignEvent.APPROVAL_REQUESTED,
    ApprovalState.APPROVED: CampaignEvent.APPROVED,
    ApprovalState.REJECTED: CampaignEvent.REJECTED,
}


@dataclass(frozen=True)
class Occurrence:
    """One event. ``user`` and ``why`` are given where a user caused it."""

    at: datetime
    event: CampaignEvent
    campaign: Campaign
    counts: MessageCounts
    user: str | None = None
    why: str | None = None

    @property
    def window(self) -> Window:
        """The campaign's window."""
        return self.campaign.window

    @property
    def status(self) -> status.Status:
        """The campaign's status now."""
        return status.of(self.campaign, self.counts)


def occurrences(conn: sa.Connection) -> list[Occurrence]:
    """All events of the campaigns, newest first. A campaign keeps its last halt and its last approval only."""
    found = campaign.find_all(conn, limit=MOST)
    counts = status.counts_of(conn, found)
    events = [event for both in zip(found, counts, strict=True) for event in _of(*both)]
    return sorted(events, key=lambda one: (one.at, one.window.start), reverse=True)


def _of(found: Campaign, counts: MessageCounts) -> Iterator[Occurrence]:
    times: list[tuple[datetime | None, CampaignEvent, str | None, str | None]] = [
        (found.opened_at, CampaignEvent.OPENED, None, None),
        (counts.first_claim_at, CampaignEvent.SENDING, None, None),
        (found.halted_at, CampaignEvent.HALTED, found.halted_by, found.halted_why),
        (found.resumed_at, CampaignEvent.RESUMED, None, None),
        (found.finished_at, CampaignEvent.FINISHED, None, None),
    ]
    if found.approval.state:
        times.append((found.approval.at, _ANSWERS[found.approval.state], found.approval.by, found.approval.reason))
    for at, event, user, why in times:
        if at is not None:
            yield Occurrence(at, event, found, counts, user, why)


@dataclass(frozen=True)
class TriedText:
    """A text that a user had sent to a phone of the staff. ``accepted``: by the provider; None while it is open."""

    at: datetime
    number: int
    user: str
    text: str
    """Its name, such as ``BOOST a in es``."""
    accepted: bool | None
    sentence: str


def tried_texts(
    conn: sa.Connection, *, limit: int, as_of: datetime, before: datetime | None, by: str | None
) -> list[TriedText]:
    """The newest test messages, of those requested at ``before`` or earlier, and by one user or all."""
    return [
        TriedText(
            at=one.requested_at,
            number=one.test_send_id.int % 10**12,
            user=one.requested_by,
            text=f"{one.segment} {one.variant}" + (f" in {one.language}" if one.language else ""),
            accepted=None if one.on_its_way else one.status is SendTestStatus.ACCEPTED,
            sentence=one.sentence,
        )
        for one in test_requests.latest(conn, limit=limit, as_of=as_of, before=before, by=by)
    ]
