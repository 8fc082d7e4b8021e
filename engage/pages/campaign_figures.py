"""The figures above the list of campaigns: the last one that was sent, delivery, opt-outs, the newest events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engage.campaigns.status import StatusKey
from engage.pages.message_outcome import NOT_DELIVERED
from engage.reports import freshness, opt_outs
from engage.reports.campaign_list import ListedCampaign
from engage.statuses import MessageStatus

LAST = 6
"""Campaigns of which the share that was delivered is counted."""


@dataclass(frozen=True)
class Delivery:
    """What became of the messages of the last campaigns that were sent to real phones."""

    campaigns: int
    taken: int
    delivered: int
    lost: int
    unknown: int


@dataclass(frozen=True)
class Figures:
    """The figures. What there is not yet is None."""

    last: ListedCampaign | None
    """The last campaign that was sent."""
    before: ListedCampaign | None
    """The one that was sent before it."""
    delivery: Delivery | None
    """None if all went to the sandbox, which reports no receipts."""
    opted_out: int | None
    """Opt-outs since the first message of ``last``."""
    events: str | None
    """When the newest batch of events arrived, in words; None if there is none of the last week."""


def figures(conn: sa.Connection, campaigns: Sequence[ListedCampaign], *, as_of: datetime) -> Figures:
    """The figures of these campaigns, newest first."""
    sent = [one for one in campaigns if one.status.key is StatusKey.SENT]
    last = sent[0] if sent else None
    begun = last.messages.first_claim_at if last else None
    newest = freshness.newest_batch(conn, as_of)
    return Figures(
        last=last,
        before=sent[1] if len(sent) > 1 else None,
        delivery=_delivery([one for one in sent if one.campaign.settings and one.campaign.settings.real][:LAST]),
        opted_out=opt_outs.between(conn, [begun])[0] if begun else None,
        events=newest[1] if newest else None,
    )


def _delivery(sent: Sequence[ListedCampaign]) -> Delivery | None:
    if not sent:
        return None
    counts = [one.messages for one in sent]
    return Delivery(
        len(sent),
        taken=sum(one.taken for one in counts),
        delivered=sum(one.count(status=MessageStatus.DELIVERED) for one in counts),
        lost=sum(one.count(status=status) for one in counts for status in NOT_DELIVERED),
        unknown=sum(one.count(status=MessageStatus.UNKNOWN) for one in counts),
    )
