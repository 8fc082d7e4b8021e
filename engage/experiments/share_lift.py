"""The lift of a share: how many more of the texted customers bought again."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from scipy.optimize import brentq

from engage.experiments.lift import LEVEL, Lift, normal_quantile, two_sided_normal

FARTHEST = 38.0
"""Standard errors beyond which a p is below the smallest float."""


@dataclass(frozen=True)
class Buyers:
    """An arm's customers, and those of them that bought. Raises ``ValueError`` for more buyers than customers."""

    customers: int
    bought: int

    def __post_init__(self) -> None:
        if not 0 <= self.bought <= self.customers:
            raise ValueError(f"{self.bought} of {self.customers} customers bought; give 0 to {self.customers}")

    @property
    def share(self) -> float:
        """Buyers over customers; 0 for an empty arm."""
        return self.bought / self.customers if self.customers else 0.0


def newcombe(texted: Buyers, holdout: Buyers, level: float = LEVEL) -> Lift | None:
    """The difference of two shares (0.01 is one point), with Newcombe's hybrid score interval.

    The p is the one at which the interval would end at 0, so it is below 0.05 exactly if the 95% interval leaves out 0.
    The standard error is the interval's half width over the normal quantile, for pooling. So it is never 0.
    None if an arm is empty. One customer, all or none bought: the interval stays within -1 and 1, and is wide.

    Source: Newcombe (1998), *Interval Estimation for the Difference between Independent Proportions*, method 10, as in
    statsmodels' ``confint_proportions_2indep(method="newcomb")``. The standard error: Cochrane Handbook, 6.3.1.
    """
    if not texted.customers or not holdout.customers:
        return None
    difference = texted.share - holdout.share
    z = normal_quantile(level)
    low = max(-1.0, difference - _reach(texted, holdout, z))  # beyond 1 only by rounding
    high = min(1.0, difference + _reach(holdout, texted, z))
    larger, smaller = (texted, holdout) if difference > 0 else (holdout, texted)
    return Lift(difference, low, high, _p(larger, smaller), (high - low) / (2 * z))


def wilson(arm: Buyers, z: float) -> tuple[float, float]:
    """The score interval of one share, ``z`` standard errors wide. The arm must not be empty.

    Source: Wilson (1927), *Probable Inference, the Law of Succession, and Statistical Inference*, as in statsmodels'
    ``proportion_confint(method="wilson")``.
    """
    count, share, squared = arm.customers, arm.share, z * z
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    half = z * sqrt(share * (1 - share) / count + squared / (4 * count**2)) / (1 + squared / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def _reach(larger: Buyers, smaller: Buyers, z: float) -> float:
    """From the difference of two shares to the end of its interval where ``larger`` is less and ``smaller`` is more."""
    return sqrt((larger.share - wilson(larger, z)[0]) ** 2 + (wilson(smaller, z)[1] - smaller.share) ** 2)


def _p(larger: Buyers, smaller: Buyers) -> float:
    difference = larger.share - smaller.share
    if difference <= 0:
        return 1.0
    if _reach(larger, smaller, FARTHEST) <= difference:
        return 0.0
    z = brentq(lambda z: _reach(larger, smaller, z) - difference, 0.0, FARTHEST, xtol=1e-12)
    return two_sided_normal(z)
