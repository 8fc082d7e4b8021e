"""Several campaigns, or segments, as one lift: each counts by its precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt

from scipy import special

from engage.experiments.lift import LEVEL, Lift, normal_quantile, two_sided_normal


@dataclass(frozen=True)
class PooledLift:
    """The lift over several campaigns."""

    lift: Lift
    campaigns: int
    heterogeneity_p: float | None
    """Probability of lifts this far apart if all campaigns had the same true lift. None for one campaign."""


def pooled(lifts: Sequence[Lift], level: float = LEVEL) -> PooledLift | None:
    """The mean of lifts in one unit, weighted by 1 / standard error². None for no lift.

    It assumes one true lift for all (fixed effect). A small ``heterogeneity_p`` says that they differ: then the
    interval is about these campaigns only, and too short for the next one. The relative lift is left out, as is the
    variance removed. Raises ``ValueError`` for a standard error that is 0 or not finite, which no lift here has.

    The chance that a holdout has no big spender makes its lift and its standard error small together. So pooled spend
    lies a little below the truth, less with more buyers.

    Source: Cochran (1954), *The Combination of Estimates from Different Experiments*; equals statsmodels'
    ``combine_effects``, fixed effect, with its Q test.
    """
    if not lifts:
        return None
    if not all(isfinite(lift.difference) and 0 < lift.standard_error < inf for lift in lifts):
        raise ValueError("each lift needs a finite difference, and a finite standard error above 0")
    weights = [lift.standard_error**-2 for lift in lifts]
    error = 1 / sqrt(sum(weights))
    difference = sum(weight * lift.difference for weight, lift in zip(weights, lifts, strict=True)) / sum(weights)
    reach = normal_quantile(level) * error
    lift = Lift(difference, difference - reach, difference + reach, two_sided_normal(difference / error), error)
    apart = sum(weight * (one.difference - difference) ** 2 for weight, one in zip(weights, lifts, strict=True))
    return PooledLift(lift, len(lifts), float(special.chdtrc(len(lifts) - 1, apart)) if len(lifts) > 1 else None)
