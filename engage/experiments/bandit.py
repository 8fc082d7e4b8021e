"""Thompson sampling between campaigns: how often each of a segment's texts is drawn next, given what it did before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from scipy import special

from engage.experiments.arm import Arm
from engage.experiments.share_lift import Buyers

FLOOR = 0.05
"""The least share of a text: no text is given up, as a season may turn."""
_REACH, _POINTS = 8.0, 8001
"""The integral runs this many standard errors to each side, over this many points."""


@dataclass(frozen=True)
class Estimate:
    """The mean outcome of a text's customers, and its standard error, in the same unit.

    Raises ``ValueError`` for a mean that is not finite, and for a standard error that is not finite or not above 0.
    """

    mean: float
    standard_error: float

    def __post_init__(self) -> None:
        if not isfinite(self.mean) or not (isfinite(self.standard_error) and self.standard_error > 0):
            raise ValueError(f"a mean of {self.mean} with the standard error {self.standard_error} is no estimate")


def of_share(buyers: Buyers) -> Estimate | None:
    """The share that bought: mean and standard deviation of its Beta posterior after a uniform prior.

    So the error is above 0 even if no customer bought, or all did. None without a customer.

    Source: Thompson (1933), section 2; Gelman et al. (2013), *Bayesian Data Analysis*, 2.4.
    """
    if not buyers.customers:
        return None
    share = (buyers.bought + 1) / (buyers.customers + 2)
    return Estimate(share, sqrt(share * (1 - share) / (buyers.customers + 3)))


def of_mean(arm: Arm) -> Estimate | None:
    """The mean outcome, in the outcome's unit. None if fewer than two customers or no differences give no error."""
    if arm.count < 2 or not arm.variance:
        return None
    return Estimate(arm.mean, sqrt(arm.variance / arm.count))


def over_campaigns(campaigns: Sequence[Mapping[str, Estimate]]) -> dict[str, Estimate]:
    """Each text's estimate over campaigns that all had the same texts; ``campaigns`` has at least one.

    A campaign has one weight for all its texts, so a good season moves all of them alike and favours none:
    ``mean = sum(w_c * mean_c)`` and ``error^2 = sum(w_c^2 * error_c^2)``, with ``w_c`` in proportion to
    ``1 / sum of error_c^2 over the texts`` and the sum 1. Raises ``ValueError`` for campaigns with different texts.
    """
    if len({frozenset(one) for one in campaigns}) != 1:
        raise ValueError("give at least one campaign; all campaigns must have the same texts")
    precisions = [1 / sum(text.standard_error**2 for text in one.values()) for one in campaigns]
    weights = [precision / sum(precisions) for precision in precisions]
    return {
        name: Estimate(
            sum(weight * one[name].mean for weight, one in zip(weights, campaigns, strict=True)),
            sqrt(sum((weight * one[name].standard_error) ** 2 for weight, one in zip(weights, campaigns, strict=True))),
        )
        for name in campaigns[0]
    }


def best_probabilities(estimates: Sequence[Estimate]) -> list[float]:
    """The probability of each text that its true mean is the highest; the sum is 1.

    Each true mean is normal around its estimate, independent of the others. So text ``i`` is best with probability
    ``integral of phi(z) * product over j != i of Phi((mean_i + error_i * z - mean_j) / error_j) dz``. The trapezoidal
    rule computes it from -8 to 8, so the same estimates always give the same numbers.

    Source: Thompson (1933), *On the Likelihood that One Unknown Probability Exceeds Another in View of the Evidence of
    Two Samples*; Scott (2010), *A Modern Bayesian Look at the Multi-Armed Bandit*, equation 8.
    """
    z = np.linspace(-_REACH, _REACH, _POINTS)
    density = np.exp(-z * z / 2)
    found = []
    for place, one in enumerate(estimates):
        reached = density.copy()
        for other in (*estimates[:place], *estimates[place + 1 :]):
            reached *= special.ndtr((one.mean + one.standard_error * z - other.mean) / other.standard_error)
        found.append(float(reached.sum()))
    return [one / sum(found) for one in found]


def weights(estimates: Mapping[str, Estimate | None], floor: float = FLOOR) -> dict[str, float]:
    """How large a share of the next campaign's customers gets each text; the sum is 1.

    Of ``k`` texts, one without an estimate gets ``1 / k``, a fair share to be measured by. The ``m`` others share the
    rest: ``floor + m * (1 / k - floor) * P(best)``. So equal estimates give equal weights, and if all are known, a
    certain winner gets ``1 - (k - 1) * floor``. Raises ``ValueError`` for a floor that leaves nothing to share.
    """
    count = len(estimates)
    if not 0 <= floor * count <= 1:
        raise ValueError(f"{count} texts cannot each have a share of {floor} or more")
    known = {name: one for name, one in estimates.items() if one is not None}
    to_share = len(known) * (1 / count - floor) if count else 0.0
    best = dict(zip(known, best_probabilities(list(known.values())), strict=True))
    return {name: floor + to_share * best[name] if name in best else 1 / count for name in estimates}
