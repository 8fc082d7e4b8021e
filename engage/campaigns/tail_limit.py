"""The largest number that chance explains: a limit for customers' sessions and spend, from extreme-value theory.

Far out, the numbers of nearly any population fall off as a generalised Pareto distribution (J. Pickands, Statistical
Inference Using Extreme Order Statistics, Annals of Statistics 3, 1975). Its shape and scale come from the mean ``m``
and the variance ``v`` of the excesses over a threshold: ``shape = (1 - m²/v) / 2`` and ``scale = m · (1 - shape)``
(J. Hosking, J. Wallis, Parameter and Quantile Estimation for the Generalized Pareto Distribution, Technometrics 29,
1987; their k is minus the shape). Of ``n`` excesses, ``e`` are expected beyond the threshold +
``scale / shape · ((n/e)^shape - 1)``.

The threshold is the largest number below the top 1% of the customers, and below the top ``MOST_EXCESSES``: the further
out, the closer the fit. Four things keep the moments from being misled:

- Numbers are whole. An excess counts from half a unit above the threshold, and rounding adds 1/12 to the variance.
- A few bots would raise the variance so far that they hide themselves. So a first limit comes from the excesses that a
  third and a ninth exceed, which the last ninth cannot move. What lies ``MARGIN`` times beyond it is left out.
- Of numbers such as 0, 1 and 2 the moments find an end, just beyond the largest. So the shape is at least
  ``LEAST_SHAPE``, which is about that of a Poisson count.
- Moments give no shape of 1/2 or more. Up to ``MOST_SHAPE`` the limit is a little low; beyond, there is none.

docs/decisions/odd-customers.md has simulations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log
from typing import Any

import sqlalchemy as sa

from engage.statuses import NoLimit, OddMeasure

EXPECTED = 0.5
"""Customers that one limit flags by chance. There are two limits."""
MOST_EXCESSES = 2000
LEAST_EXCESSES = 50
MARGIN = 1.5
LEAST_SHAPE = -0.1
MOST_SHAPE = 0.8
_THIRD, _NINTH = 2 / 3, 8 / 9
_HIGHEST_FIRST_SHAPE = 0.5


@dataclass(frozen=True)
class TailLimit:
    """The largest number that is not odd, or why there is none."""

    most: int | None
    no_limit: NoLimit | None = None


def excesses(customers: int) -> int:
    """How many of so many customers lie above the threshold; 0 if that is too few for a limit."""
    wanted = min(customers // 100, MOST_EXCESSES)
    return wanted if wanted >= LEAST_EXCESSES else 0


def limits(
    conn: sa.Connection, large: sa.FromClause, wanted: int, *, below: Mapping[OddMeasure, int]
) -> dict[OddMeasure, TailLimit]:
    """The limit of each measure, of which ``large`` has a column with at least the ``wanted`` + 1 largest numbers.

    ``below``: numbers above this one are no part of the population, as they are odd by a fixed limit.
    """
    measures = [measure for measure in OddMeasure if measure in large.c]
    tops = [_top(large.c[measure], measure, wanted + 1, below.get(measure)) for measure in measures]
    found = {row.measure: _limit(row) for row in conn.execute(_fitted(sa.union_all(*tops).cte("tops")))}
    return {measure: found.get(measure, TailLimit(None, NoLimit.TOO_FEW)) for measure in measures}


def _top(
    value: sa.ColumnElement[int], measure: OddMeasure, number: int, below: int | None
) -> sa.Select[tuple[str, int]]:
    query = sa.select(sa.literal(measure, sa.Text).label("measure"), value.label("value"))
    query = query if below is None else query.where(value <= below)
    return sa.select(query.order_by(value.desc()).limit(number).subquery())


def _fitted(tops: sa.CTE) -> sa.Select[tuple[object, ...]]:
    """For each measure: the threshold, the number of excesses, their shape by quantiles, and the limit as an excess.

    The limit is null if the excesses do not differ by more than rounding.
    """
    threshold = sa.func.min(tops.c.value).over(partition_by=tops.c.measure)
    ranked = sa.select(tops, threshold.label("threshold")).subquery("ranked")
    over = sa.cast(ranked.c.value - ranked.c.threshold, sa.Double) - sa.literal(0.5, sa.Double)
    excess = (
        sa.select(ranked.c.measure, ranked.c.threshold, over.label("over"))
        .where(ranked.c.value > ranked.c.threshold)
        .cte("excess")
    )
    quantiles = _by_quantiles(excess)
    kept = excess.c.over <= MARGIN * quantiles.c.first_limit
    moments = (
        sa.select(
            *quantiles.c,
            sa.func.avg(excess.c.over).label("mean"),
            (sa.func.var_samp(excess.c.over) - sa.literal(1 / 12, sa.Double)).label("variance"),
        )
        .join_from(excess, quantiles, sa.and_(excess.c.measure == quantiles.c.measure, kept))
        .group_by(*quantiles.c)
        .subquery("moments")
    )
    mean, differ = moments.c.mean, moments.c.variance > 0
    shape = sa.case((differ, sa.func.greatest((1 - mean * mean / moments.c.variance) / 2, LEAST_SHAPE)))
    fitted = sa.select(moments, sa.cast(shape, sa.Double).label("shape")).subquery("fitted")
    limit = _exceeded_by_expected(fitted.c.shape, fitted.c.mean * (1 - fitted.c.shape), fitted.c.excesses)
    names = ("measure", "threshold", "excesses", "quantile_shape")
    return sa.select(*(fitted.c[name] for name in names), limit.label("limit"))


def _by_quantiles(excess: sa.CTE) -> sa.Subquery:
    """The shape and a first limit by the two excesses that a third and a ninth of all exceed.

    The excess that a share p exceeds is ``scale / shape · (p^-shape - 1)``, so the second is ``3^shape + 1`` times the
    first.
    """

    def quantile(share: float) -> sa.ColumnElement[float]:
        return sa.func.percentile_disc(share).within_group(excess.c.over)

    both = (
        sa.select(
            excess.c.measure,
            excess.c.threshold,
            sa.func.count().label("excesses"),
            quantile(_THIRD).label("third"),
            quantile(_NINTH).label("ninth"),
        )
        .group_by(excess.c.measure, excess.c.threshold)
        .subquery("both")
    )
    tiny = 1e-9
    shape = sa.func.ln(sa.func.greatest(both.c.ninth / both.c.third - 1, tiny)) / log(3)
    shaped = sa.select(both, sa.cast(shape, sa.Double).label("quantile_shape")).subquery("shaped")
    usual = sa.cast(sa.func.least(sa.func.greatest(shaped.c.quantile_shape, 1e-3), _HIGHEST_FIRST_SHAPE), sa.Double)
    scale = shaped.c.third * usual / (_power(sa.literal(3.0, sa.Double), usual) - 1)
    names = ("measure", "threshold", "excesses", "quantile_shape")
    first_limit = _exceeded_by_expected(usual, sa.cast(scale, sa.Double), shaped.c.excesses)
    return sa.select(*(shaped.c[name] for name in names), first_limit.label("first_limit")).subquery("quantiles")


def _exceeded_by_expected(
    shape: sa.ColumnElement[float], scale: sa.ColumnElement[float], number: sa.ColumnElement[int]
) -> sa.ColumnElement[float]:
    """The excess beyond which ``EXPECTED`` of the ``number`` lie. A shape of 0 is the exponential distribution."""
    ratio = sa.cast(number, sa.Double) / EXPECTED
    flat = sa.func.abs(shape) < 1e-6
    grown = scale / shape * (_power(ratio, shape) - 1)
    return sa.case((flat, scale * sa.func.ln(ratio, type_=sa.Double)), else_=sa.cast(grown, sa.Double))


def _power(base: sa.ColumnElement[Any], exponent: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
    return sa.func.power(base, exponent, type_=sa.Double)


def _limit(row: sa.Row[tuple[object, ...]]) -> TailLimit:
    if row.excesses < LEAST_EXCESSES:
        return TailLimit(None, NoLimit.TOO_FEW)
    if row.quantile_shape >= MOST_SHAPE:
        return TailLimit(None, NoLimit.TOO_UNEVEN)
    if row.limit is None:
        return TailLimit(None, NoLimit.TOO_EQUAL)
    return TailLimit(ceil(row.threshold + 1 + row.limit) - 1)
