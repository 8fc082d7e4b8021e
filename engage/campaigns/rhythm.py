"""The rhythm of days: how many events a day usually has, and which days are odd. Pure functions, no database.

What is usual for a day is the level of the 28 days before it, times the factor of its weekday. Both are medians, so a
few odd days move neither. The level looks back only, at the window's own earlier days too: it follows a trend or a new
level within weeks. A day without any event says nothing about the level.

A day's distance from the usual is measured in deviations of the history's days from their own usual. A deviation is
never taken as smaller than chance alone makes it (Poisson), nor as smaller than ``SMALLEST`` of the usual.

Sources: the median absolute deviation times 1.4826 (Hampel 1974; Iglewicz and Hoaglin 1993, *How to Detect and Handle
Outliers*), ratios to a moving median for weekday factors (Cleveland et al. 1990, without its smoothers), and square
roots of counts (Anscombe 1948) below the usual, so that an empty day of a small business is seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import inf, pi, sqrt
from statistics import median

FULL, LEAST = 112, 56
"""Days of history for the usual limit, and the fewest for any check."""
LIMIT, WIDE_LIMIT = 5.0, 6.0
"""Deviations that a day may be off, with ``FULL`` days of history and with fewer."""
LOOKBACK = 168
"""Most days of history: after twelve weeks, the factors are those of a new habit."""
LEVEL_DAYS, LEAST_LEVEL_DAYS = 28, 14
"""Days before a day that give its level, and the fewest of them that have to be known."""
SMALLEST = 0.05
"""The smallest deviation, as a part of the usual. So no day is odd that is less than a quarter off."""
WEEK = 7
_NORMAL = 1.4826
"""Makes a median absolute deviation of normal noise its standard deviation."""
_ROOT = 0.375


@dataclass(frozen=True)
class Day:
    """A day's events beside what is usual; ``usual`` is None if too little before it is known.

    ``off``: by how many deviations, below 0 for too few. ``low`` and ``high``: the counts that are not odd.
    """

    events: int
    usual: float | None = None
    off: float = 0.0
    low: float = 0.0
    high: float = inf
    odd: bool = False


@dataclass(frozen=True)
class Rhythm:
    """The days of a window, judged. ``known``: the days of history; ``limit``: None if these are too few."""

    known: int
    limit: float | None
    days: tuple[Day, ...]

    @property
    def missing(self) -> int:
        """How many days of history are missing for a check."""
        return max(0, LEAST - self.known)


def judge(events: Sequence[int], history: int, explained: Collection[int] = ()) -> Rhythm:
    """Judge the days after the first ``history`` ones. ``events``: of consecutive days, the oldest first.

    ``explained``: the places of days that stay out of every median. Those after the history are judged all the same.
    History begins with its first event, and reaches back ``LOOKBACK`` days at most.
    """
    first = next((n for n in range(max(0, history - LOOKBACK), history) if events[n]), history)
    known = history - first
    limit = LIMIT if known >= FULL else WIDE_LIMIT if known >= LEAST else None
    if limit is None:
        return Rhythm(known, None, tuple(map(Day, events[history:])))
    left_out = frozenset(explained)
    used = [n for n in range(first, len(events)) if n not in left_out]
    usual = _usual(events, used, history)
    past = [n for n in used if n < history and usual[n] is not None]
    deviation = _deviation([_off(events[n], usual[n] or 0.0) for n in past])
    judged = (_day(events[n], usual[n], deviation, limit) for n in range(history, len(events)))
    return Rhythm(known, limit, tuple(judged))


def _usual(events: Sequence[int], used: Sequence[int], history: int) -> list[float | None]:
    """What is usual for each day: first by plain medians of the weekdays, then by their ratios to the level."""
    past = [n for n in used if n < history]
    medians = _by_weekday((n, float(events[n])) for n in past)
    whole = median(medians.values() or [0.0]) or max(medians.values(), default=0.0) or 1.0
    rough = {weekday: found / whole for weekday, found in medians.items()}
    levels = _levels(events, used, rough)
    factors = _by_weekday((n, events[n] / level) for n in past if (level := levels[n]))
    return [
        None if level is None or n % WEEK not in factors else level * factors[n % WEEK]
        for n, level in enumerate(levels)
    ]


def _by_weekday(values: Iterable[tuple[int, float]]) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for n, value in values:
        found.setdefault(n % WEEK, []).append(value)
    return {weekday: median(those) for weekday, those in found.items()}


def _levels(events: Sequence[int], used: Sequence[int], factors: dict[int, float]) -> list[float | None]:
    """The level before each day; the last known one where too few days before it count."""
    part = {n: events[n] / factor for n in used if events[n] and (factor := factors.get(n % WEEK))}
    levels: list[float | None] = []
    for n in range(len(events)):
        before = [part[m] for m in range(max(0, n - LEVEL_DAYS), n) if m in part]
        last = levels[-1] if levels else None
        levels.append(median(before) if len(before) >= LEAST_LEVEL_DAYS else last)
    return levels


def _deviation(offs: Sequence[float]) -> float:
    """The deviation, in square roots of the usual. The factors fit the days that they were made of too well."""
    fitted = WEEK * pi / 2  # the variance of a median is pi / 2 times that of a mean
    if len(offs) <= fitted:
        return inf
    return max(1.0, _NORMAL * median(map(abs, offs)) * sqrt((len(offs) + fitted) / (len(offs) - fitted)))


def _off(events: int, usual: float) -> float:
    """How far a count is from the usual, in the deviation that chance alone gives it."""
    if events > usual:
        return (events - usual) / sqrt(usual + 1)
    return 2 * (sqrt(events + _ROOT) - sqrt(usual + _ROOT))


def _day(events: int, usual: float | None, deviation: float, limit: float) -> Day:
    if usual is None or deviation == inf:
        return Day(events)
    unit = max(deviation, SMALLEST * sqrt(usual))
    off = _off(events, usual) / unit
    root = sqrt(usual + _ROOT) - limit * unit / 2
    low = max(0.0, root * root - _ROOT) if root > 0 else 0.0
    return Day(events, usual, off, low, usual + limit * unit * sqrt(usual + 1), odd=abs(off) > limit)
