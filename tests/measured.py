"""Measured arms of made-up campaigns, as the step that measures would keep them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from engage.campaigns.measured_arms import MeasuredArm
from engage.experiments.arm import Arm
from engage.experiments.share_lift import Buyers
from engage.statuses import ExperimentArm

MEASURED_AT = datetime(2027, 1, 5, 12, tzinfo=UTC)


def outcome(customers: int, mean: float, deviation: float) -> Arm:
    """An outcome with three covariates, the first of which explains a quarter of it."""
    variance = deviation**2
    rows = [[variance * (1.0 if row == column else 0.0) for column in range(4)] for row in range(4)]
    rows[0][1] = rows[1][0] = variance / 2
    return Arm(customers, (mean, 5000.0, 5000.0, 5000.0), tuple(map(tuple, rows)))


def texted(
    segment: str, customers: int, bought: int, *, spend: float, sessions: float = 40.0, variant: str = "a"
) -> MeasuredArm:
    """The customers that were meant to get a text. ``spend``: cents a customer."""
    return MeasuredArm(
        segment=segment,
        arm=ExperimentArm.TEXTED,
        variant=variant,
        buyers=Buyers(customers, bought),
        spend=outcome(customers, spend, 6000.0),
        sessions=outcome(customers, sessions, 12.0),
        measured_at=MEASURED_AT,
    )


def holdout(segment: str, customers: int, bought: int, *, spend: float, sessions: float = 40.0) -> MeasuredArm:
    """The customers without a text."""
    same = texted(segment, customers, bought, spend=spend, sessions=sessions)
    return replace(same, arm=ExperimentArm.HOLDOUT, variant="")


CLEAR = (
    texted("BOOST", 9000, 2880, spend=5400.0, sessions=41.0),
    holdout("BOOST", 1000, 270, spend=4700.0),
    texted("REWARD", 18000, 9072, spend=9950.0, variant="a"),
    texted("REWARD", 18000, 9180, spend=10050.0, variant="b"),
    holdout("REWARD", 4000, 2000, spend=9900.0),
)
"""BOOST bought again more often, which is clear. REWARD has two texts, and no effect is shown."""
