"""Sample-ratio mismatch: whether the arms have the sizes that they were drawn with."""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose

from scipy import special

MISMATCH = 0.001
"""Below this p, an experiment gives no verdict: an arm has lost or gained customers."""
FEWEST_EXPECTED = 10
"""The test needs this many expected customers in each arm."""


def sample_ratio_p(counts: Sequence[int], shares: Sequence[float]) -> float | None:
    """Probability that a sound draw gives sizes this far from plan: Pearson's chi-square over any number of arms.

    ``counts`` are customers by arm; ``shares`` are the planned shares in the same order, above 0, with the sum 1.
    None if there is one arm, or an arm would have fewer than 10 customers by plan: the test is wrong below that.
    Raises ``ValueError`` for counts below 0 and for shares that are no plan.

    Source: Pearson (1900); equals ``scipy.stats.chisquare``. The threshold: Fabijan et al. (2019), *Diagnosing Sample
    Ratio Mismatch in Online Controlled Experiments*.
    """
    if len(counts) != len(shares) or min(counts, default=0) < 0:
        raise ValueError(f"{list(counts)} customers in {len(shares)} planned arms; give a count of 0 or more for each")
    if not all(share > 0 for share in shares) or not isclose(sum(shares), 1, abs_tol=1e-9):
        raise ValueError(f"the planned shares {list(shares)} must be above 0 and have the sum 1")
    expected = [share * sum(counts) for share in shares]
    if len(counts) < 2 or min(expected) < FEWEST_EXPECTED:
        return None
    distance = sum((count - plan) ** 2 / plan for count, plan in zip(counts, expected, strict=True))
    return float(special.chdtrc(len(counts) - 1, distance))


def is_mismatch(p: float | None) -> bool:
    """Whether ``sample_ratio_p`` found arms that no sound draw gives. A missing p is no mismatch."""
    return p is not None and p < MISMATCH
