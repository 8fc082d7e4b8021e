"""Campaigns as a list shows them, and the campaigns that one can be compared with. No ledger is counted for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.campaigns import campaign, status
from engage.campaigns.campaign import Campaign
from engage.campaigns.guard import Guard
from engage.campaigns.message_counts import MessageCounts
from engage.campaigns.status import Status, StatusKey
from engage.currency import currency
from engage.reports import share_facts
from engage.settings import kept_threshold
from engage.window import Window


@dataclass(frozen=True)
class ListedCampaign:
    """One campaign of the list: its record, its messages counted, its status for people."""

    campaign: Campaign
    messages: MessageCounts
    status: Status

    @property
    def window(self) -> Window:
        """The campaign's window."""
        return self.campaign.window

    @property
    def run_id(self) -> str | None:
        """The run that computed it last."""
        return self.campaign.run_id

    @property
    def guard(self) -> Guard:
        """What the guard found."""
        return self.campaign.guard

    @property
    def customers(self) -> int | None:
        """All customers of the window; None if they were not computed."""
        return self.campaign.customers

    @property
    def buckets(self) -> dict[str, int]:
        """Customers by bucket; empty if they were not computed."""
        return in_order(self.campaign)

    @property
    def cost(self) -> Decimal | None:
        """What the provider charges for its messages; None without a price or a message."""
        return self.campaign.cost(self.messages)

    @property
    def thresholds(self) -> dict[str, float | str]:
        """What the thresholds that its rules name are set to; empty before ``extract``."""
        settings = self.campaign.settings
        return {name: kept_threshold(value) for name, value in settings.thresholds.items()} if settings else {}

    def to_dict(self) -> dict[str, Any]:
        """The campaign for JSON. Times are ISO 8601 in UTC."""
        return {
            "window": {"start": formats.iso(self.window.start), "end": formats.iso(self.window.end)},
            "status": asdict(self.status),
            "run_id": self.run_id,
            "customers": self.customers,
            "buckets": self.buckets,
            "messages": self.messages.to_dict(),
            "cost": amount(self.cost),
            "currency": currency(),
            "thresholds": self.thresholds,
            "resolved": share_facts.to_json(self.campaign.settings) if self.campaign.settings else {},
        }


def in_order(found: Campaign) -> dict[str, int]:
    """Customers by segment in the order of the campaign's rules; empty if they were not computed."""
    buckets = found.buckets or {}
    names = found.settings.segments.names if found.settings else ()
    return {name: buckets.get(name, 0) for name in names} if buckets else {}


def amount(cost: Decimal | None) -> str | None:
    """A cost for JSON, such as 38.9707: its digits as text, so that none is lost."""
    return None if cost is None else f"{cost:f}"


def listed(conn: sa.Connection, *, before: Window | None = None, limit: int) -> list[ListedCampaign]:
    """The latest campaigns, or the latest before ``before``; newest first."""
    found = campaign.find_all(conn, before=before, limit=limit)
    counts = status.counts_of(conn, found)
    return [ListedCampaign(one, those, status.of(one, those)) for one, those in zip(found, counts, strict=True)]


@dataclass(frozen=True)
class Comparable:
    """Campaigns to compare one with, newest first: each window, and its status. ``default`` is the last one sent."""

    campaigns: dict[Window, Status]
    default: Window | None


def comparable(conn: sa.Connection, window: Window) -> Comparable:
    """The campaigns that the campaign of ``window`` can be compared with: all others whose customers are in buckets.

    The default is the last one before it that was sent; None if none was.
    """
    found = [one for one in campaign.find_all(conn) if one.buckets and one.window != window]
    windows = [one.window for one in found]
    statuses = dict(zip(windows, status.of_all(conn, found), strict=True))
    sent = (one for one in windows if one < window and statuses[one].key is StatusKey.SENT)
    return Comparable(statuses, next(sent, None))
