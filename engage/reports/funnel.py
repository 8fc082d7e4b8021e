"""A campaign's funnel: how many customers are left at each stage, from all to delivered."""

from __future__ import annotations

from dataclasses import dataclass

from engage.campaigns.segments import TEXTED
from engage.reports.report import Report
from engage.statuses import MessageStatus


@dataclass(frozen=True)
class Funnel:
    """Customers by stage. Each stage is a part of the stage before; None if it was not computed."""

    customers: int | None
    bucketed: int | None
    """Customers in a texted bucket."""
    eligible: int | None
    """Bucketed customers whose message was not skipped."""
    accepted: int | None
    """Customers whose message the provider accepted."""
    delivered: int | None

    def stages(self) -> dict[str, int | None]:
        """The stages in order, by their names on pages."""
        return {
            "Customers": self.customers,
            f"In {' or '.join(TEXTED)}": self.bucketed,
            "May be texted": self.eligible,
            "Accepted by the provider": self.accepted,
            "Delivered": self.delivered,
        }


def funnel(found: Report) -> Funnel:
    """The funnel of the campaign that a report is about."""
    bucketed = sum(found.buckets[name] for name in TEXTED) if found.buckets else None
    if (counts := found.counts) is None:
        return Funnel(found.customers, bucketed, None, None, None)
    delivered = counts.count(status=MessageStatus.DELIVERED)
    return Funnel(found.customers, bucketed, counts.eligible, counts.taken, delivered)
