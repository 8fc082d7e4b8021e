"""From all customers to those whose phone has the text: how many are left at each stage of a campaign."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from engage.campaigns.segments import TEXTED
from engage.reports.report import Report
from engage.sending import ledger
from engage.window import Window


@dataclass(frozen=True)
class Funnel:
    """Customers by stage; each stage is a part of the one before it."""

    customers: int
    bucketed: int
    """Those in a bucket that is texted."""
    eligible: int
    """Those of them who may be texted: the ledger has their message, and not as skipped."""
    accepted: int
    """Those whose message the provider took."""
    delivered: int

    def stages(self) -> dict[str, int]:
        """The stages by what a person calls them, in order."""
        return {
            "Customers": self.customers,
            f"In {' or '.join(TEXTED)}": self.bucketed,
            "May be texted": self.eligible,
            "Accepted by the provider": self.accepted,
            "Delivered": self.delivered,
        }


def funnel(conn: sa.Connection, window: Window, report: Report) -> Funnel:
    """The funnel of the campaign that ``report`` is about."""
    rows = ledger.of(window)
    query = sa.select(
        sa.func.count().filter(rows.c.reason.is_(None)),
        sa.func.count(rows.c.accepted_at),
        sa.func.count().filter(rows.c.status == "delivered"),
    ).select_from(rows)
    eligible, accepted, delivered = conn.execute(query).one()
    bucketed = sum(report.buckets.get(name, 0) for name in TEXTED)
    return Funnel(report.customers or 0, bucketed, eligible, accepted, delivered)
