"""What the arms of a campaign did in the next window, as the table ``campaign_lift`` keeps it.

Only counts, means and covariances are kept. ``engage.experiments`` makes lifts and intervals of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.experiments.arm import Arm
from engage.experiments.share_lift import Buyers
from engage.statuses import ExperimentArm
from engage.storage.schema import campaign_lift
from engage.window import Window


@dataclass(frozen=True)
class MeasuredArm:
    """The customers of one segment that chance put in one arm, and who were meant to get one text.

    ``variant`` is the text, empty for the holdout. ``buyers`` bought again in the next window. ``spend`` is in cents
    and ``sessions`` in sessions, each of the next window; the covariates are those of the campaign's window and of the
    two before it.
    """

    segment: str
    arm: ExperimentArm
    variant: str
    buyers: Buyers
    spend: Arm
    sessions: Arm
    measured_at: datetime


def of_windows(conn: sa.Connection, windows: Collection[Window]) -> dict[Window, list[MeasuredArm]]:
    """The measured arms of each window's campaign, the holdout last; an empty list if it was not measured."""
    kept = campaign_lift.c
    query = (
        sa.select(campaign_lift)
        .where(kept.window_start.in_([window.start for window in windows]))
        .order_by(kept.segment, kept.arm.desc(), kept.variant)
    )
    found: dict[Window, list[MeasuredArm]] = defaultdict(list)
    for row in conn.execute(query):
        found[Window(row.window_start)].append(
            MeasuredArm(
                segment=row.segment,
                arm=ExperimentArm(row.arm),
                variant=row.variant,
                buyers=Buyers(row.customers, row.bought_again),
                spend=_arm(row.customers, row.spend),
                sessions=_arm(row.customers, row.sessions),
                measured_at=row.measured_at,
            )
        )
    return {window: found[window] for window in windows}


def latest_windows(conn: sa.Connection, windows: Collection[Window], *, limit: int) -> list[Window]:
    """Those of ``windows`` with a measured campaign, at most ``limit``, the newest first."""
    start = campaign_lift.c.window_start
    query = (
        sa.select(start)
        .where(start.in_([window.start for window in windows]))
        .distinct()
        .order_by(start.desc())
        .limit(limit)
    )
    return [Window(found) for found in conn.execute(query).scalars()]


def keep(conn: sa.Connection, window: Window, arms: Iterable[MeasuredArm]) -> None:
    """Make ``arms`` what is kept of the window's campaign."""
    conn.execute(sa.delete(campaign_lift).where(campaign_lift.c.window_start == window.start))
    rows = [
        {
            "window_start": window.start,
            "segment": one.segment,
            "arm": one.arm,
            "variant": one.variant,
            "customers": one.buyers.customers,
            "bought_again": one.buyers.bought,
            "spend": _json(one.spend),
            "sessions": _json(one.sessions),
            "measured_at": one.measured_at,
        }
        for one in arms
    ]
    if rows:
        conn.execute(sa.insert(campaign_lift), rows)


def _json(arm: Arm) -> dict[str, Any]:
    return {"means": arm.means, "covariances": arm.covariances}


def _arm(count: int, kept: dict[str, Any]) -> Arm:
    return Arm(count, tuple(kept["means"]), tuple(map(tuple, kept["covariances"])))
