"""How spend and activity are spread over a campaign's customers, counted in bins that its thresholds border on.

A threshold is always the border of two bins, so every bin of the two together lies in one bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import ceil, floor, log10

import sqlalchemy as sa

from engage.settings import Settings
from engage.storage import partitions
from engage.storage.schema import customer_activity
from engage.window import WEEKS, Window

BINS = 40
"""About how many a picture has along a side."""


@dataclass(frozen=True)
class Axis:
    """Bins of one width along a whole number, counted from a border. Whatever lies further out is in the last bin.

    ``closed``: a number that is a border belongs to the bin below it, and not to the one above.
    """

    border: int
    width: int
    below: int
    """How many bins lie below the border."""
    bins: int
    closed: bool
    unit: int
    """How many make one of what a person reads: 100 cents, or the 8 weeks' sessions of one a week."""
    in_view: bool = True
    """Whether the border is the threshold; one far beyond everybody would leave nothing to see."""

    def bin_of(self, value: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
        """Which bin a value of 0 or more is in."""
        shift = self.below * self.width - self.border - int(self.closed)
        return sa.cast(sa.func.least((value + shift) // self.width, self.bins - 1), sa.Integer)

    def edge(self, number: int) -> float:
        """The lower edge of a bin, as a person reads it."""
        return max(0, self.border + (number - self.below) * self.width) / self.unit


def axis(threshold: int, *, closed: bool, unit: int, mean: float, deviation: float, largest: int) -> Axis:
    """Bins for numbers that spread so: from 0 to where few are left, and to the threshold, if that is near."""
    reach = max(1.0, min(float(largest), mean + 3 * deviation))
    in_view = threshold <= 2 * reach
    border = threshold if in_view else 0
    reach = max(reach, 1.25 * border)
    width = _round_number(reach / BINS)
    below = -(-(border + int(closed)) // width)
    return Axis(border, width, below, below + max(1, ceil((reach - border) / width)), closed, unit, in_view)


def _round_number(least: float) -> int:
    """The least of 1, 2, 5, 10, 20, 50, … that is not below ``least``."""
    if least <= 1:
        return 1
    power: int = 10 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


@dataclass(frozen=True)
class Distribution:
    """Customers by bin of spend and bin of sessions; bins without anybody are left out."""

    spend: Axis
    sessions: Axis
    cells: dict[tuple[int, int], int]

    def by_spend(self) -> list[int]:
        """Customers in each bin of spend."""
        return self._along(0, self.spend.bins)

    def by_sessions(self) -> list[int]:
        """Customers in each bin of sessions."""
        return self._along(1, self.sessions.bins)

    def _along(self, side: int, bins: int) -> list[int]:
        counts = [0] * bins
        for cell, customers in self.cells.items():
            counts[cell[side]] += customers
        return counts


def distribution(conn: sa.Connection, window: Window, settings: Settings) -> Distribution:
    """The distribution over the window's ``customer_activity``, which the caller knows to exist."""
    rows = partitions.of(customer_activity, window)
    spread = conn.execute(sa.select(*_spread(rows.c.total_spend_cents), *_spread(rows.c.sessions))).one()
    most_sessions_not_high = floor(settings.high_activity_threshold * Decimal(WEEKS))
    spend = _axis(settings.low_spend_cents, spread[:3], closed=False, unit=100)
    sessions = _axis(most_sessions_not_high, spread[3:], closed=True, unit=WEEKS)
    bins = sa.select(
        spend.bin_of(rows.c.total_spend_cents).label("spend"), sessions.bin_of(rows.c.sessions).label("sessions")
    ).subquery("bins")
    query = sa.select(bins.c.spend, bins.c.sessions, sa.func.count()).group_by(bins.c.spend, bins.c.sessions)
    return Distribution(spend, sessions, {(row[0], row[1]): row[2] for row in conn.execute(query)})


def _spread(column: sa.ColumnElement[int]) -> tuple[sa.ColumnElement[float], ...]:
    value = sa.cast(column, sa.Double)  # sums of squares of whole numbers would be of type numeric, which is slow
    functions = (sa.func.avg, sa.func.stddev_pop, sa.func.max)
    return tuple(sa.func.coalesce(function(value), 0) for function in functions)


def _axis(threshold: int, spread: tuple[float, ...], *, closed: bool, unit: int) -> Axis:
    mean, deviation, largest = spread
    return axis(threshold, closed=closed, unit=unit, mean=mean, deviation=deviation, largest=int(largest))
