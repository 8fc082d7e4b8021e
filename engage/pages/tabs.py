"""The tabs above every page, in their order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tab:
    """One tab. A template of the page, or of a page below it, names its tab with ``{% set tab = "..." %}``."""

    name: str
    address: str
    """The route, relative to the other pages."""
    template: str
    """The page's template. The tab is shown once it exists."""


TABS = (
    Tab("Campaigns", "campaigns", "campaign_list.html"),
    Tab("Messages", "messages", "messages.html"),
    Tab("Customers", "customer", "customer.html"),
    Tab("Segments", "segments", "segments.html"),
    Tab("Texts and settings", "settings", "settings.html"),
    Tab("Activity", "activity", "activity.html"),
)
