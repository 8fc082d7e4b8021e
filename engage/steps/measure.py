"""Step beside ``bucket``: measure what the texts of the campaign before did, now that its next window is complete.

The arms of that campaign are compared by all that its customers did in the window just aggregated. It is one look, at
the end of a horizon that was fixed beforehand. An arm keeps each customer who was drawn for it, texted in the end or
not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array

from engage.campaigns import campaign, measured_arms, message_counts
from engage.campaigns.measured_arms import MeasuredArm
from engage.experiments.arm import Arm
from engage.experiments.share_lift import Buyers
from engage.statuses import ExperimentArm
from engage.storage import connection, partitions
from engage.storage.schema import campaign_lift, customer_activity, message
from engage.window import Window

LOOK_BACK = 6
"""Campaigns before the last one that are measured too, if they were not: their run may have failed."""


@dataclass(frozen=True)
class MeasureSummary:
    """The customers in the arms of each campaign that was measured, by window."""

    measured: dict[str, int] = field(default_factory=dict)


def measure(engine: sa.Engine, window: Window, *, as_of: datetime) -> MeasureSummary:
    """Measure the campaign of the window before ``window``, which is aggregated, and earlier ones that were left out.

    It measures no campaign without a holdout or texts, nor one whose first text went out after its next window's end.
    Measuring again gives the same, unless the window was aggregated anew. It waits for no step of the window but
    ``aggregate``.
    """
    measured = {}
    for target in _due(engine, window):
        with engine.begin() as conn:
            connection.tune(conn)
            arms = _arms(conn, target, as_of)
            campaign.find(conn, target, lock=True)  # two runs at once take turns
            measured_arms.keep(conn, target, arms)
        if arms:
            measured[str(target)] = sum(one.buyers.customers for one in arms)
    return MeasureSummary(measured)


def _due(engine: sa.Engine, window: Window) -> list[Window]:
    """The campaigns to measure, the latest first."""
    last = window.previous()
    with engine.connect() as conn:
        earlier = campaign.latest_windows(conn, before=last, limit=LOOK_BACK)
        kept = set(conn.execute(sa.select(campaign_lift.c.window_start).distinct()).scalars())
        missing = [one for one in earlier if one.start not in kept]
        return [one for one in (last, *missing) if _can_be_measured(conn, one)]


def _can_be_measured(conn: sa.Connection, target: Window) -> bool:
    """Whether the campaign sent texts before the end of the next window, and the next window is aggregated."""
    found, following = campaign.find(conn, target), campaign.find(conn, target.next())
    if found is None or not found.frozen or following is None or following.customers is None:
        return False
    if not found.settings or not found.settings.holdout_percent:
        return False
    counts = message_counts.of(conn, target)
    return counts.taken > 0 and counts.first_claim_at is not None and counts.first_claim_at < target.next().end


def _arms(conn: sa.Connection, target: Window, as_of: datetime) -> list[MeasuredArm]:
    return [_measured(row, as_of) for row in conn.execute(sums(conn, target))]


def sums(conn: sa.Connection, target: Window) -> sa.Select[Any]:
    """One row per segment, arm and text: customers, buyers, and the means and sums of products of spend and sessions.

    One pass over the ledger, joined with what its customers did in the window after, in its own and in the one before.
    A customer without a row has done nothing. Postgres sums in float8 by Youngs and Cramer's method, which cancels no
    digits (src/backend/utils/adt/float.c).
    """
    rows = partitions.of(message, target)
    after = partitions.of(customer_activity, target.next()).alias("after")
    during = partitions.of(customer_activity, target).alias("during")
    source = rows.outerjoin(after, after.c.customer_id == rows.c.customer_id).outerjoin(
        during, during.c.customer_id == rows.c.customer_id
    )
    spend = [after.c.total_spend_cents, during.c.total_spend_cents, during.c.previous_total_spend_cents]
    sessions = [after.c.sessions, during.c.sessions, during.c.previous_sessions]
    if (earlier := partitions.find(conn, customer_activity, target.previous())) is not None:
        before = earlier.alias("before")
        source = source.outerjoin(before, before.c.customer_id == rows.c.customer_id)
        spend.append(before.c.previous_total_spend_cents)
        sessions.append(before.c.previous_sessions)
    group = (rows.c.bucket, rows.c.arm, sa.func.coalesce(rows.c.variant, "").label("variant"))
    return (
        sa.select(
            *group,
            sa.func.count().label("customers"),
            sa.func.count().filter(after.c.purchases > 0).label("bought"),
            *_moments("spend", spend),
            *_moments("sessions", sessions),
        )
        .select_from(source)
        .where(rows.c.arm.is_not(None))
        .group_by(*group)
    )


def _moments(name: str, columns: Sequence[sa.ColumnElement[Any]]) -> list[sa.ColumnElement[Any]]:
    """Two arrays: the columns' means, and the upper half of their sums of products, row by row.

    Postgres computes all aggregates of one pair of columns at once, so each pair costs one pass of additions.
    """
    numbers = [sa.cast(sa.func.coalesce(column, 0), sa.Double) for column in columns]
    *others, last = numbers
    means = [*(sa.func.regr_avgy(one, last) for one in others), sa.func.regr_avgx(numbers[0], last)]
    squares = [*(sa.func.regr_syy(one, last) for one in others), sa.func.regr_sxx(numbers[0], last)]
    products = [
        squares[row] if row == column else sa.func.regr_sxy(numbers[row], numbers[column])
        for row in range(len(numbers))
        for column in range(row, len(numbers))
    ]
    return [array(means).label(f"{name}_means"), array(products).label(f"{name}_products")]


def _measured(row: Any, as_of: datetime) -> MeasuredArm:
    return MeasuredArm(
        segment=row.bucket,
        arm=ExperimentArm(row.arm),
        variant=row.variant,
        buyers=Buyers(row.customers, row.bought),
        spend=_arm(row.customers, row.spend_means, row.spend_products),
        sessions=_arm(row.customers, row.sessions_means, row.sessions_products),
        measured_at=as_of,
    )


def _arm(count: int, means: Sequence[float], products: Sequence[float]) -> Arm:
    size = len(means)
    matrix = [[0.0] * size for _ in range(size)]
    half = iter(products)
    for row in range(size):
        for column in range(row, size):
            matrix[row][column] = matrix[column][row] = next(half) / max(count - 1, 1)
    return Arm.from_database(count, means, matrix)
