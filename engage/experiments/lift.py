"""What texting changed: a difference with its interval, whatever the measure."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from scipy import special

LEVEL = 0.95
"""The confidence level of every interval."""


@dataclass(frozen=True)
class RelativeLift:
    """The difference as a share of the holdout's mean, with its interval: 0.1 is 10% more."""

    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Lift:
    """The texted arm minus the holdout, in the measure's own unit: cents, sessions, or a share (0.01 is one point)."""

    difference: float
    low: float
    high: float
    p: float
    """Probability of a difference this large if the texts did nothing, two-sided. Below 0.05 where ``low`` to ``high``
    leaves out 0."""
    standard_error: float
    relative: RelativeLift | None = None
    """None if the measure has none, or if its interval has no end: the holdout's mean is too near 0."""
    variance_removed: float = 0.0
    """Share of the variance that the covariates removed. Below 0 if they added some."""


def normal_quantile(level: float = LEVEL) -> float:
    """How many standard errors a two-sided normal interval reaches: 1.96 at 95%."""
    return float(special.ndtri((1 + level) / 2))


def t_quantile(freedom: float, level: float = LEVEL) -> float:
    """The same for Student's t with ``freedom`` degrees of freedom."""
    return float(special.stdtrit(freedom, (1 + level) / 2))


def two_sided_normal(z: float) -> float:
    """The p of a normal deviate, two-sided."""
    return float(2 * special.ndtr(-abs(z)))


def two_sided_t(t: float, freedom: float) -> float:
    """The p of Student's t, two-sided."""
    return float(2 * special.stdtr(freedom, -abs(t)))


def fieller(
    texted: float, holdout: float, variances: tuple[float, float, float], quantile: float
) -> RelativeLift | None:
    """The relative lift of two means, by Fieller's theorem.

    ``variances`` are those of the two means (not of customers), texted first, and then their covariance. The interval
    holds each ratio that the data do not refuse. It leaves out 0 exactly if the interval of the difference does, with
    the same ``quantile``. The delta method would be symmetric, and wrong for a holdout with few buyers.

    None if the holdout's mean is not above 0 by ``quantile`` standard errors: the interval would have no end.

    Source: Fieller (1954), *Some Problems in Interval Estimation*.
    """
    of_texted, of_holdout, covariance = variances
    squared = quantile**2
    a = holdout**2 - squared * of_holdout
    if holdout <= 0 or a <= 0:
        return None
    b = texted * holdout - squared * covariance
    c = texted**2 - squared * of_texted
    root = sqrt(max(b * b - a * c, 0.0))
    return RelativeLift(texted / holdout - 1, (b - root) / a - 1, (b + root) / a - 1)
