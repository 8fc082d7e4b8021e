"""The largest number that chance explains: a limit for customers' sessions and spend, from extreme-value theory.

Far out, the numbers of nearly any population fall off as a generalised Pareto distribution (J. Pickands, Statistical
Inference Using Extreme Order Statistics, Annals of Statistics 3, 1975). Its shape and scale come from the mean ``m``
and the variance ``v`` of the excesses over a threshold: ``shape = (1 - m²/v) / 2`` and ``scale = m · (1 - shape)``
(J. Hosking, J. Wallis, Parameter and Quantile Estimation for the Generalized Pareto Distribution, Technometrics 29,
1987; their k is minus the shape). Of ``n`` excesses, ``e`` are expected beyond the threshold +
``scale / shape · ((n/e)^shape - 1)``.

The threshold is the largest number below the top 1% of the customers, and below the top ``MOST_EXCESSES``: the further
out, the closer the fit. Three things keep the moments from being misled:

- Numbers are whole. An excess counts from half a unit above the threshold, and rounding adds 1/12 to the variance.
- A few bots would raise the variance so far that they hide themselves. So a first limit comes from the median excess,
  and moments only of what is within ``MARGIN`` times that limit give a second one, and that in turn the last one.
- Of numbers such as 0, 1 and 2 the moments find an end, just beyond the largest. So the shape is at least
  ``LEAST_SHAPE``, which is about that of a Poisson count.

Moments give no shape of 1/2 or more. Of numbers that fall off so slowly, more than ``EXPECTED`` are beyond the limit.
docs/decisions/odd-customers.md has simulations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import sqlalchemy as sa

from engage.statuses import NoLimit, OddMeasure

EXPECTED = 0.5
"""Customers beyond one limit by chance. There are two limits."""
MOST_EXCESSES = 2000
LEAST_EXCESSES = 30
MARGIN = 1.5
LEAST_SHAPE = -0.1
_FIRST_SHAPE = 0.1


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
    conn: sa.Connection,
    values: Mapping[OddMeasure, sa.ColumnElement[int]],
    wanted: int,
    *,
    below: Mapping[OddMeasure, int],
) -> dict[OddMeasure, TailLimit]:
    """The limit of each measure from its column, which has at least the ``wanted`` + 1 largest numbers.

    ``below``: numbers above this one are no part of the population, as they are odd by a fixed limit.
    """
    tops = [_top(value, measure, wanted + 1, below.get(measure)) for measure, value in values.items()]
    found = {row.measure: _limit(row) for row in conn.execute(_fitted(sa.union_all(*tops).cte("tops")))}
    return {measure: found.get(measure, TailLimit(None, NoLimit.TOO_FEW)) for measure in values}


def _top(
    value: sa.ColumnElement[int], measure: OddMeasure, number: int, below: int | None
) -> sa.Select[tuple[str, int]]:
    query = sa.select(sa.literal(measure, sa.Text).label("measure"), value.label("value"))
    query = query if below is None else query.where(value <= below)
    return sa.select(query.order_by(value.desc()).limit(number).subquery())


def _fitted(tops: sa.CTE) -> sa.Select[tuple[object, ...]]:
    """For each measure: the threshold, the number of excesses, and the limit as an excess.

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
    return sa.select(_by_moments(excess, _by_moments(excess, _by_median(excess))))


def _by_median(excess: sa.CTE) -> sa.Subquery:
    """The limit if half of the excesses are above the median one, and the shape is ``_FIRST_SHAPE``."""
    number = sa.func.count()
    scale = sa.func.percentile_disc(0.5).within_group(excess.c.over) * (_FIRST_SHAPE / (2**_FIRST_SHAPE - 1))
    limit = _exceeded_by_expected(sa.literal(_FIRST_SHAPE, sa.Double), sa.cast(scale, sa.Double), number)
    return (
        sa.select(excess.c.measure, excess.c.threshold, number.label("excesses"), limit.label("limit"))
        .group_by(excess.c.measure, excess.c.threshold)
        .subquery()
    )


def _by_moments(excess: sa.CTE, before: sa.Subquery) -> sa.Subquery:
    """The limit by the moments of the excesses that are not far beyond the limit ``before``."""
    kept = sa.and_(excess.c.measure == before.c.measure, excess.c.over <= MARGIN * before.c.limit)
    variance = sa.func.var_samp(excess.c.over) - sa.literal(1 / 12, sa.Double)
    moments = (
        sa.select(*before.c, sa.func.avg(excess.c.over).label("mean"), variance.label("variance"))
        .join_from(before, excess, kept, isouter=True)
        .group_by(*before.c)
        .subquery()
    )
    mean, variance = moments.c.mean, moments.c.variance
    shape = sa.case((variance > 0, sa.func.greatest((1 - mean * mean / variance) / 2, LEAST_SHAPE)))
    fitted = sa.select(moments, sa.cast(shape, sa.Double).label("shape")).subquery()
    limit = _exceeded_by_expected(fitted.c.shape, fitted.c.mean * (1 - fitted.c.shape), fitted.c.excesses)
    return sa.select(fitted.c.measure, fitted.c.threshold, fitted.c.excesses, limit.label("limit")).subquery()


def _exceeded_by_expected(
    shape: sa.ColumnElement[float], scale: sa.ColumnElement[float], number: sa.ColumnElement[int]
) -> sa.ColumnElement[float]:
    """The excess beyond which ``EXPECTED`` of the ``number`` lie. A shape of 0 is the exponential distribution."""
    ratio = sa.cast(number, sa.Double) / EXPECTED
    flat = sa.func.abs(shape) < 1e-6
    grown = scale / shape * (sa.func.power(ratio, shape) - 1)
    return sa.case((flat, scale * sa.func.ln(ratio, type_=sa.Double)), else_=sa.cast(grown, sa.Double))


def _limit(row: sa.Row[tuple[object, ...]]) -> TailLimit:
    if row.excesses < LEAST_EXCESSES:
        return TailLimit(None, NoLimit.TOO_FEW)
    if row.limit is None:
        return TailLimit(None, NoLimit.TOO_EQUAL)
    return TailLimit(ceil(row.threshold + 1 + row.limit) - 1)
