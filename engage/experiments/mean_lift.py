"""The lift of a mean: spend or sessions per customer, with and without what the weeks before explain."""

from __future__ import annotations

from math import sqrt

import numpy as np

from engage.experiments.arm import Arm, Floats, pooled_covariances
from engage.experiments.lift import LEVEL, Lift, fieller, t_quantile, two_sided_t

TOO_SMALL = 1e-12
"""A variance below this share of the whole is rounding."""


def welch(texted: Arm, holdout: Arm, level: float = LEVEL) -> Lift | None:
    """The difference of two means, with an interval that lets the arms' variances differ. Ignores covariates.

    Units are the outcome's. None if an arm has fewer than two customers, or if neither arm varies: such data hold no
    estimate of the error. If one arm varies, the interval rests on it alone.

    Source: Welch (1947), *The Generalization of Student's Problem*; equals ``scipy.stats.ttest_ind(equal_var=False)``.
    """
    return _lift(texted, holdout, np.zeros(0), level)


def cuped(texted: Arm, holdout: Arm, level: float = LEVEL) -> Lift | None:
    """``welch`` after the covariates' part is taken from the outcome: the same lift in expectation, a shorter interval.

    One slope per covariate, estimated within the arms and pooled over both. So the difference equals the coefficient of
    "was texted" in the regression of the outcome on it and the covariates (OLS). The interval is Welch's for the
    adjusted outcome. The degrees of freedom do not count the slopes, which matters only below about 50 customers.
    The relative lift is for both arms at the covariates' common means.

    None where ``welch`` has none, and if the covariates explain everything. Without covariates it is ``welch``. A
    covariate that does not vary, or repeats others, changes nothing. Raises ``ValueError`` if the arms have different
    numbers of covariates.

    Source: Deng, Xu, Kohavi and Walker (2013), *Improving the Sensitivity of Online Controlled Experiments by Utilizing
    Pre-Experiment Data*.
    """
    if len(texted.means) != len(holdout.means):
        raise ValueError(f"the arms have {len(texted.means) - 1} and {len(holdout.means) - 1} covariates")
    return _lift(texted, holdout, _slopes(pooled_covariances([texted, holdout])), level)


def _slopes(within: Floats) -> Floats:
    """The outcome's slope on each covariate. Of covariates that repeat each other, each gets a part."""
    deviations = np.sqrt(np.diagonal(within)[1:])
    scale = np.where(deviations > 0, deviations, 1.0)
    correlations = within[1:, 1:] / np.outer(scale, scale)
    slopes: Floats = np.linalg.pinv(correlations, rcond=1e-10, hermitian=True) @ (within[1:, 0] / scale) / scale
    return slopes


def _lift(texted: Arm, holdout: Arm, slopes: Floats, level: float) -> Lift | None:
    if min(texted.count, holdout.count) < 2:
        return None
    weights = np.array([1.0, *-slopes])  # of the outcome and the covariates in the adjusted outcome
    size = len(weights)
    per_customer = [float(weights @ arm.matrix[:size, :size] @ weights) for arm in (texted, holdout)]
    errors = [
        variance / arm.count if variance > TOO_SMALL * arm.variance else 0.0
        for variance, arm in zip(per_customer, (texted, holdout), strict=True)
    ]
    squared = sum(errors)
    plain = texted.variance / texted.count + holdout.variance / holdout.count
    if squared <= TOO_SMALL * plain:
        return None
    error = sqrt(squared)
    parts = zip(errors, (texted.count, holdout.count), strict=True)
    freedom = 1 / sum((part / squared) ** 2 / (count - 1) for part, count in parts)
    apart = texted.vector[:size] - holdout.vector[:size]
    difference = float(weights @ apart)
    quantile = t_quantile(freedom, level)
    # Each arm at the covariates' common means: what is taken from one arm is added to the other, by size.
    of_holdout = holdout.count / (texted.count + holdout.count)
    at_common_means = holdout.mean + (1 - of_holdout) * float(slopes @ apart[1:])
    return Lift(
        difference,
        difference - quantile * error,
        difference + quantile * error,
        two_sided_t(difference / error, freedom),
        error,
        fieller(
            at_common_means + difference,
            at_common_means,
            _of_adjusted_means(texted, holdout, slopes, of_holdout),
            quantile,
        ),
        1 - squared / plain,
    )


def _of_adjusted_means(texted: Arm, holdout: Arm, slopes: Floats, of_holdout: float) -> tuple[float, float, float]:
    """The variances of both arms' means at the covariates' common means, texted first, and their covariance."""
    outcome, explained = np.array([1.0, *(0 * slopes)]), np.array([0.0, *slopes])
    of_texted, size = 1 - of_holdout, len(outcome)
    matrices = [arm.matrix[:size, :size] / arm.count for arm in (texted, holdout)]
    # How each adjusted mean weighs the texted arm's means, and the holdout's.
    texted_mean = outcome - of_holdout * explained, of_holdout * explained
    holdout_mean = of_texted * explained, outcome - of_texted * explained

    def covariance(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> float:
        return sum(float(a @ matrix @ b) for a, matrix, b in zip(one, matrices, other, strict=True))

    return (
        covariance(texted_mean, texted_mean),
        covariance(holdout_mean, holdout_mean),
        covariance(texted_mean, holdout_mean),
    )
