"""An arm of an experiment as sufficient statistics: the texted customers, or the holdout.

An arm holds all customers that were drawn for it, texted in the end or not (intention to treat).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """The outcome of an arm's customers, and their covariates from before the campaign.

    ``means`` has the outcome's mean, then each covariate's. ``covariances`` is the sample covariance matrix (divided by
    count - 1) in the same order, so its diagonal holds the variances. Units are the outcome's own, such as cents.

    Raises ``ValueError`` for a negative count or variance, a number that is not finite, or a matrix of another shape.
    """

    count: int
    means: tuple[float, ...]
    covariances: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        size = len(self.means)
        if self.count < 0:
            raise ValueError(f"an arm has {self.count} customers; it cannot have fewer than 0")
        if not size or len(self.covariances) != size or any(len(row) != size for row in self.covariances):
            raise ValueError(f"{size} means need a {size} by {size} matrix of covariances, and at least one mean")
        if not all(map(isfinite, (*self.means, *(number for row in self.covariances for number in row)))):
            raise ValueError(f"an arm's means and covariances must be finite numbers: {self.means}, {self.covariances}")
        if any(self.covariances[place][place] < 0 for place in range(size)):
            raise ValueError(f"an arm's variances cannot be below 0: {self.covariances}")

    @classmethod
    def of(cls, count: int, mean: float | None, variance: float | None) -> Arm:
        """An arm without covariates. None, which Postgres gives for an empty arm or one customer, becomes 0."""
        return cls.from_database(count, [mean], [[variance]])

    @classmethod
    def from_database(
        cls, count: int, means: Sequence[float | None], covariances: Sequence[Sequence[float | None]]
    ) -> Arm:
        """An arm from ``count(*)``, ``avg`` and ``covar_samp`` in float8; ``covar_samp(x, x)`` is ``var_samp(x)``.

        None, which Postgres gives for an empty arm or one customer, becomes 0. No column may hold a null: Postgres
        leaves such rows out of some of the numbers, so write a missing covariate as 0.
        """
        return cls(
            count,
            tuple(float(mean or 0) for mean in means),
            tuple(tuple(float(number or 0) for number in row) for row in covariances),
        )

    @property
    def mean(self) -> float:
        """Mean of the outcome."""
        return self.means[0]

    @property
    def variance(self) -> float:
        """Sample variance of the outcome."""
        return self.covariances[0][0]

    @property
    def vector(self) -> Floats:
        """``means`` as an array."""
        return np.array(self.means)

    @property
    def matrix(self) -> Floats:
        """``covariances`` as an array."""
        return np.array(self.covariances)


def merged(arms: Sequence[Arm]) -> Arm:
    """One arm of several, for example of all variants of a segment's texts. Exact, whatever the arms' sizes.

    Merge no segments with different holdout shares: pool their lifts instead (``pooling``).

    Source: Chan, Golub and LeVeque (1983), *Algorithms for Computing the Sample Variance*, for vectors. Raises
    ``ValueError`` for no arm, and for arms with different numbers of covariates. All arms empty give an empty arm.
    """
    if len({len(arm.means) for arm in arms}) != 1:
        raise ValueError("give at least one arm; all arms must have the same covariates")
    count = sum(arm.count for arm in arms)
    if not count:
        return arms[0]
    mean: Floats = sum_of(arm.count * arm.vector for arm in arms) / count
    scatter: Floats = sum_of(_scatter(arm) + arm.count * np.outer(arm.vector - mean, arm.vector - mean) for arm in arms)
    return Arm(count, tuple(mean.tolist()), tuple(map(tuple, (scatter / max(count - 1, 1)).tolist())))


def pooled_covariances(arms: Sequence[Arm]) -> Floats:
    """The covariance matrix within the arms, each around its own means, divided by customers - arms.

    Zeros if no arm has two customers.
    """
    freedom = sum(max(arm.count - 1, 0) for arm in arms)
    matrix: Floats = sum_of(_scatter(arm) for arm in arms) / max(freedom, 1)
    return matrix


def sum_of(arrays: Any) -> Floats:
    """The sum of at least one array."""
    total: Floats = np.sum(list(arrays), axis=0)
    return total


def _scatter(arm: Arm) -> Floats:
    return max(arm.count - 1, 0) * arm.matrix
