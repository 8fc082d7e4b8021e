"""Synthetic customers with habits of their own, which they keep from window to window. Nothing here touches a database.

Rates differ between customers by a gamma distribution, so their counts are negative binomial. Amounts vary around a
level of the customer's own. Customers drop out for good after a lifetime that is Pareto distributed; a few of them come
back for a window. Events follow the days of the week. An effect of a text changes how often a customer buys.

The parameters are those of CDNOW's customers (sources in each docstring); the means are those of ``Behaviour``. All
draws are for a whole block of customers. The habits depend on the seed and the block alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engage.storage.binary_copy import microseconds
from engage.window import ANCHOR, LENGTH, WEEKS, Window

RATE_SHAPE = 0.553
"""Shape of the gamma distribution of rates: below 1, as most customers buy seldom and a few buy very often.

r of the Pareto/NBD model for CDNOW: P. Fader, B. Hardie, K. Lee, "Counting Your Customers" the Easy Way, Marketing
Science 24 (2005), table 2. Sessions take the same shape, for want of a source.
"""
DROP_OUT_SHAPE = 0.606
DROP_OUT_WEEKS = 11.669 + 26
"""Shape and scale of the Pareto distribution of lifetimes from the anchor on: after this many weeks 34% are gone.

s and β of the same model: D. Schmittlein, D. Morrison, R. Colombo, Counting Your Customers, Management Science 33
(1987). Customers registered 26 weeks before the anchor on average. Having lasted so long adds that to β.
"""
RETURN_CHANCE = 0.01
"""The chance that a customer who has dropped out is back, for one window."""
LEVEL_SHARE = 0.64
"""The share of the variance of logarithms of amounts that lies between customers.

ψ'(q) / (ψ'(p) + ψ'(q)) in the gamma-gamma model for CDNOW, p 6.25 and q 3.74: P. Fader, B. Hardie, K. Lee, RFM and
CLV, Journal of Marketing Research 42 (2005). Amounts are log-normal here, so that they add up to the plain ones.
"""
WEEKDAYS = (0.80, 0.85, 0.90, 1.00, 1.25, 1.25, 0.95)
"""Events on each day from Monday to Sunday, in UTC, as multiples of the mean. A choice, not a measurement."""

_HABITS, _RETURNS = 3, 4
"""Streams of random numbers, beside those of ``synthetic``."""
_DAY = LENGTH.days * 86_400_000_000 // (7 * WEEKS)
_WEEK = 7 * _DAY
_DAY_STARTS = np.arange(8) * float(_DAY)
_EVEN_STARTS = np.concatenate([[0], np.cumsum(WEEKDAYS)]) / sum(WEEKDAYS)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Habits:
    """What is a customer's own in every window; arrays with one value per customer of a block."""

    pace: dict[str, Floats]
    """Multiples of the mean rates of ``sessions`` and ``purchases``; their means are 1."""
    level: Floats
    """Standard normal; times the deviation between customers, it is added to the logarithm of each amount."""
    gone_from: Floats
    """When the customer drops out, in µs since the Postgres epoch."""


def habits(rng_seed: int, first: int, size: int) -> Habits:
    """The habits of the ``size`` customers of the block that starts with customer ``first``: the same in every window.

    The lifetime is exponential with a rate that is gamma distributed, which makes it Pareto (Lomax) distributed.
    """
    rng = np.random.default_rng(np.random.SeedSequence(rng_seed, spawn_key=(_HABITS, first)))
    pace = {name: rng.gamma(RATE_SHAPE, 1 / RATE_SHAPE, size) for name in ("sessions", "purchases")}
    level = rng.standard_normal(size)
    weeks = DROP_OUT_WEEKS * rng.pareto(DROP_OUT_SHAPE, size)
    return Habits(pace, level, microseconds(ANCHOR) + weeks * _WEEK)


@dataclass(frozen=True)
class Block:
    """A block's customers in one window."""

    window: Window
    own: Habits
    active_until: Floats
    """µs since the Postgres epoch; a customer has no event from then on."""

    @classmethod
    def of(cls, rng_seed: int, window: Window, number: int, first: int, size: int) -> Block:
        """The block that starts with customer ``first``, in the window with this ``number`` on the grid."""
        own = habits(rng_seed, first, size)
        rng = np.random.default_rng(np.random.SeedSequence(rng_seed, spawn_key=(_RETURNS, number, first)))
        back = (own.gone_from < microseconds(window.start)) & (rng.random(size) < RETURN_CHANCE)
        return cls(window, own, np.where(back, np.inf, own.gone_from))

    def events(self, rng: np.random.Generator, what: str, per_week: float | Floats) -> tuple[Integers, Integers]:
        """Events of a Poisson process: each event's customer, as a place in the block, and its time in µs.

        ``per_week`` is a mean over customers. The day's rate follows ``WEEKDAYS``.
        """
        start = microseconds(self.window.start)
        rates = np.where(self.active_until > start, self.own.pace[what] * per_week * WEEKS, 0)
        number = rng.poisson(rates)
        place = np.repeat(np.arange(len(number)), number)
        times = start + _by_weekday(rng.random(len(place)) * WEEKS)
        active = times < self.active_until[place]
        return place[active], times[active]

    def amounts(self, rng: np.random.Generator, place: Integers, mu: float, sigma: float) -> Integers:
        """Amounts in cents of purchases by the customers at ``place``. ``mu`` and ``sigma`` are over all customers."""
        level = mu + sigma * LEVEL_SHARE**0.5 * self.own.level
        logarithms = level[place] + sigma * (1 - LEVEL_SHARE) ** 0.5 * rng.standard_normal(len(place))
        cents: Integers = np.rint(np.exp(logarithms) * 100).astype(np.int64)
        return cents


def _by_weekday(even: Floats) -> Integers:
    """Evenly spread times in weeks, moved within their week so that ``WEEKDAYS`` hold; in whole µs."""
    week = np.floor(even)
    moved: Integers = (week * _WEEK + np.interp(even - week, _EVEN_STARTS, _DAY_STARTS)).astype(np.int64)
    return moved
