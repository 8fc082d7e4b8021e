"""A campaign's funnel: how many customers are left at each stage, from all to delivered."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from engage.campaigns.segments import TEXTED
from engage.reports.report import Report
from engage.sending import ledger
from engage.statuses import MessageStatus
from engage.window import Window


@dataclass(frozen=True)
class Funnel:
    """Customers by stage. Each stage is a part of the stage before."""

    customers: int
    bucketed: int
    """Customers in a texted bucket."""
    eligible: int
    """Bucketed customers whose message was not skipped."""
    accepted: int
    """Customers whose message the provider accepted."""
    delivered: int

    def stages(self) -> dict[str, int]:
        """The stages in order, by their names on pages."""
        return {
            "Customers": self.customers,
            f"In {' or '.join(TEXTED)}": self.bucketed,
            "May be texted": self.eligible,
            "Accepted by the provider": self.accepted,
            "Delivered": self.delivered,
        }


def funnel(conn: sa.Connection, window: Window, report: Report) -> Funnel:
    """The funnel of ``window``'s campaign, whose report is ``report``."""
    rows = ledger.of(window)
    query = sa.select(
        sa.func.count().filter(rows.c.reason.is_(None)),
        sa.func.count(rows.c.accepted_at),
        sa.func.count().filter(rows.c.status == MessageStatus.DELIVERED),
    ).select_from(rows)
    eligible, accepted, delivered = conn.execute(query).one()
    bucketed = sum(report.buckets.get(name, 0) for name in TEXTED)
    return Funnel(report.customers or 0, bucketed, eligible, accepted, delivered)
