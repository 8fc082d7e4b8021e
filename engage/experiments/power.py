"""What an experiment could find: the smallest effect for a holdout, and the holdout for an effect.

All of it is the normal approximation, which is good where the rules of ``verdict`` allow an interval. An effect counts
as found if the 95% interval leaves out 0. ``power`` is the share of campaigns that would find it.

Source of all formulas: Cohen (1988), *Statistical Power Analysis for the Behavioral Sciences*, solved for unequal arms
with each arm's own variance.
"""

from __future__ import annotations

from math import isfinite, sqrt

from scipy import special

from engage.experiments.lift import LEVEL, normal_quantile

POWER = 0.8
LARGEST_HOLDOUT = 0.5
"""More than half in the holdout finds less, and texts fewer."""
ENOUGH_BUYERS = 100
"""An interval for spend needs this many buyers in the smaller arm. Below that it covers the truth too seldom."""
SURE = 0.95
"""How often a proposed holdout must get enough buyers."""


def detectable_mean(
    texted: int, holdout: int, variance: float, *, power: float = POWER, level: float = LEVEL
) -> float | None:
    """The smallest difference of means that these arms would find, in the outcome's unit.

    ``texted`` and ``holdout`` are customers. ``variance`` is one customer's, squared units; with covariates, what is
    left after them. None if an arm is empty or the variance is 0: there is nothing to reckon with.
    """
    _check(power, level, variance)
    if min(texted, holdout) < 1 or variance <= 0:
        return None
    return _quantiles(power, level) * sqrt(variance / texted + variance / holdout)


def detectable_share(
    texted: int, holdout: int, share: float, *, power: float = POWER, level: float = LEVEL
) -> float | None:
    """The smallest rise of a share that these arms would find; 0.01 is one point.

    ``share`` is the holdout's, 0 to 1. None if an arm is empty, or if only a share above 1 would be found.
    """
    _check(power, level, share=share)
    if min(texted, holdout) < 1:
        return None
    squared = _quantiles(power, level) ** 2
    # rise² = squared · (share (1 - share) / holdout + (share + rise) (1 - share - rise) / texted)
    a = 1 + squared / texted
    b = squared * (1 - 2 * share) / texted
    c = squared * share * (1 - share) * (1 / texted + 1 / holdout)
    rise = (b + sqrt(b * b + 4 * a * c)) / (2 * a)
    return rise if 0 < rise <= 1 - share else None


def holdout_for_mean(
    customers: int, variance: float, effect: float, *, power: float = POWER, level: float = LEVEL
) -> float | None:
    """The smallest holdout, as a share of a segment's customers, that finds a difference of means.

    ``effect`` and ``variance`` are in the outcome's unit, and its square. None if no holdout up to a half would do, or
    if the effect or the variance is 0.
    """
    _check(power, level, variance, effect)
    return _holdout(customers, variance, variance, effect, _quantiles(power, level))


def holdout_for_share(
    customers: int, share: float, effect: float, *, power: float = POWER, level: float = LEVEL
) -> float | None:
    """The smallest holdout, as a share of a segment's customers, that finds a change of ``share`` by ``effect``.

    0.01 is one point. None if no holdout up to a half would do, if there is no effect, or if the effect leads below 0
    or above 1. None for a share of 0 or 1: a holdout that does not vary says nothing about its size.
    """
    _check(power, level, effect, share=share)
    if not 0 <= share + effect <= 1:
        return None
    after = share + effect
    return _holdout(customers, share * (1 - share), after * (1 - after), effect, _quantiles(power, level))


def holdout_for_buyers(customers: int, share: float, buyers: int = ENOUGH_BUYERS) -> float | None:
    """The smallest holdout, as a share of a segment's customers, that has ``buyers`` buyers in 95% of campaigns.

    ``share`` is the share of customers that buy, 0 to 1. None if no holdout up to a half would do.

    The number of buyers is taken as Poisson. Its tail is the incomplete gamma function (Abramowitz and Stegun 26.4.21).
    """
    _check(POWER, LEVEL, share=share)
    expected = float(special.gammaincinv(buyers, SURE))
    if customers < 1 or expected > customers * share * LARGEST_HOLDOUT:
        return None
    return expected / (customers * share)


def _holdout(customers: int, of_holdout: float, of_texted: float, effect: float, quantiles: float) -> float | None:
    """The smaller root of of_holdout / h + of_texted / (1 - h) = customers · (effect / quantiles)²."""
    if customers < 1 or not effect or of_holdout <= 0:
        return None
    reach = customers * (effect / quantiles) ** 2
    b = reach + of_holdout - of_texted
    inside = b * b - 4 * reach * of_holdout
    if inside < 0 or b <= 0:
        return None
    share = 2 * of_holdout / (b + sqrt(inside))
    return share if share <= LARGEST_HOLDOUT else None


def _quantiles(power: float, level: float) -> float:
    return normal_quantile(level) + float(special.ndtri(power))


def _check(power: float, level: float, *numbers: float, share: float = 0.0) -> None:
    if not all(map(isfinite, numbers)):
        raise ValueError(f"a variance and an effect must be finite numbers: {numbers}")
    if not 0.5 <= power < 1 or not 0 < level < 1:
        raise ValueError(f"power {power} must be from 0.5 to below 1, and level {level} between 0 and 1")
    if not 0 <= share <= 1:
        raise ValueError(f"a share of {share} must be from 0 to 1")
