"""The windows that need a person: campaigns that wait for one, and what the watchdog has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from engage.campaigns.watchdog import Finding
from engage.reports.campaign_list import ListedCampaign
from engage.sending import budget
from engage.settings import Settings
from engage.window import Window


@dataclass(frozen=True)
class Attention:
    """One window that needs a person."""

    window: Window
    campaign: ListedCampaign | None
    """Its campaign, if that waits for a person by its status."""
    findings: tuple[Finding, ...]
    """What the watchdog has found."""

    @property
    def go_on(self) -> Finding | None:
        """A finding that a new run of the window ends, if there is one."""
        return next((one for one in self.findings if one.go_on), None)

    @property
    def until(self) -> datetime | None:
        """When the last question about the list rejects itself."""
        if self.campaign is None:
            return None
        asked = self.campaign.campaign.approval.asked.values()
        return max((one.until for one in asked if one.until), default=None)

    @property
    def cost(self) -> Decimal | None:
        """About what the waiting messages cost; None without a price."""
        settings = self.campaign.campaign.settings if self.campaign else None
        if self.campaign is None or settings is None:
            return None
        return settings.cost(expected_segments(settings, budget.waiting(self.campaign.messages)))


def expected_segments(settings: Settings, messages: Mapping[str, int]) -> int:
    """The SMS segments of so many messages by bucket, with names of usual length."""
    return sum(budget.estimated_segments(settings, messages).values())


def attention(campaigns: Sequence[ListedCampaign], findings: Sequence[Finding]) -> list[Attention]:
    """The windows that need a person, newest first."""
    waiting = {one.window: one for one in campaigns if one.status.needs_person}
    windows = sorted({*waiting, *(one.window for one in findings)}, reverse=True)
    return [
        Attention(window, waiting.get(window), tuple(one for one in findings if one.window == window))
        for window in windows
    ]
