"""A campaign's funnel: how many customers are left at each stage, from all to delivered."""

from __future__ import annotations

from dataclasses import dataclass

from engage.reports.report import Report
from engage.statuses import MessageStatus

SHOWN = 3
"""Most segments that a stage names."""


@dataclass(frozen=True)
class Funnel:
    """Customers by stage. Each stage is a part of the stage before; None if it was not computed."""

    customers: int | None
    bucketed: int | None
    """Customers in a segment with a text."""
    eligible: int | None
    """Bucketed customers whose message was not skipped."""
    accepted: int | None
    """Customers whose message the provider accepted."""
    delivered: int | None
    texted: str
    """What the second stage is called."""

    def stages(self) -> dict[str, int | None]:
        """The stages in order, by their names on pages."""
        return {
            "Customers": self.customers,
            self.texted: self.bucketed,
            "May be texted": self.eligible,
            "Accepted by the provider": self.accepted,
            "Delivered": self.delivered,
        }


def funnel(found: Report) -> Funnel:
    """The funnel of the campaign that a report is about."""
    settings = found.record.settings
    texted = settings.texted if settings else ()
    bucketed = sum(found.buckets.get(name, 0) for name in texted) if found.buckets else None
    words = f"In {' or '.join(texted)}" if 0 < len(texted) <= SHOWN else "In a segment with a text"
    if (counts := found.counts) is None:
        return Funnel(found.customers, bucketed, None, None, None, words)
    delivered = counts.count(status=MessageStatus.DELIVERED)
    return Funnel(found.customers, bucketed, counts.eligible, counts.taken, delivered, words)
