"""The distribution of spend and activity over a campaign's customers, counted in bins.

A number that the rules compare with spend or sessions is a border between two bins, if it is the first of its kind.

The step ``bucket`` keeps the distribution in the campaign's row. ``extract`` and ``aggregate`` take the buckets away,
and a trigger then takes the distribution away (migration 0017), so it is always that of the present numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any, Literal

import sqlalchemy as sa

from engage.campaigns import campaign
from engage.segments import Operator
from engage.settings import Settings
from engage.storage import partitions
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import customer_bucket
from engage.window import WEEKS, Window

BINS = 40
"""About how many bins a chart has along an axis."""


CELL = 4
"""Length of a kept cell: both bins, the segment, the customers."""


@dataclass(frozen=True)
class Axis:
    """Bins of equal width over whole numbers, counted from a border. The last bin holds all larger numbers.

    ``closed``: a number on a border belongs to the bin below it, not to the bin above.
    """

    border: int
    width: int
    below: int
    """Number of bins below the border."""
    bins: int
    closed: bool
    unit: int
    """Divides a number for display: 100 for cents, or 8 for the sessions of 8 weeks."""
    in_view: bool = True
    """Whether the border is the threshold. A threshold far beyond all customers is left out of the chart."""

    def bin_of(self, value: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
        """The bin of a value of 0 or more."""
        shift = self.below * self.width - self.border - int(self.closed)
        return sa.cast(sa.func.least((value + shift) // self.width, self.bins - 1), sa.Integer)

    def edge(self, number: int) -> float:
        """The lower edge of a bin, in display units."""
        return max(0, self._edge(number)) / self.unit

    def span(self, number: int) -> tuple[float, float]:
        """Where a bin is drawn, in display units. The bin of the number 0 alone is drawn below 0, as wide as others."""
        low, high = self._edge(number), self._edge(number + 1)
        return (low if high <= 0 else max(0, low)) / self.unit, high / self.unit

    def to_json(self) -> dict[str, Any]:
        """What tells this axis from others of its kind."""
        return {name: getattr(self, name) for name in ("border", "width", "below", "bins", "closed", "in_view")}

    def _edge(self, number: int) -> int:
        return self.border + (number - self.below) * self.width


def spend_axis(border: int, width: int, below: int, bins: int, *, closed: bool = False, in_view: bool = True) -> Axis:
    """An axis of cents."""
    return Axis(border, width, below, bins, closed=closed, unit=100, in_view=in_view)


def sessions_axis(border: int, width: int, below: int, bins: int, *, closed: bool = True, in_view: bool = True) -> Axis:
    """An axis of the window's sessions."""
    return Axis(border, width, below, bins, closed=closed, unit=WEEKS, in_view=in_view)


def axis(threshold: int | None, *, closed: bool, unit: int, mean: float, deviation: float, largest: int) -> Axis:
    """Bins from 0 up to where few customers are left, and up to the threshold if that is near."""
    reach = max(1.0, min(float(largest), mean + 3 * deviation))
    in_view = threshold is not None and threshold <= 2 * reach
    border = threshold if threshold is not None and in_view else 0
    reach = max(reach, 1.25 * border)
    width = _round_number(reach / BINS)
    below = -(-(border + int(closed)) // width)
    return Axis(border, width, below, below + max(1, ceil((reach - border) / width)), closed, unit, in_view)


def _round_number(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, … that is at least ``least``."""
    if least <= 1:
        return 1
    power: int = 10 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


@dataclass(frozen=True)
class Distribution:
    """Customers by bin of spend, bin of sessions, and segment, without the empty ones."""

    spend: Axis
    sessions: Axis
    cells: dict[tuple[int, int, str], int]

    def spend_by_bucket(self) -> dict[str, list[int]]:
        """Customers of each segment in each bin of spend."""
        return self._along(0, self.spend.bins)

    def sessions_by_bucket(self) -> dict[str, list[int]]:
        """Customers of each segment in each bin of sessions."""
        return self._along(1, self.sessions.bins)

    def to_json(self) -> dict[str, Any]:
        """The distribution as the campaign's row keeps it."""
        axes = {"spend": self.spend.to_json(), "sessions": self.sessions.to_json()}
        return axes | {"cells": [[*cell, customers] for cell, customers in self.cells.items()]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Distribution:
        """Read what a campaign's row keeps."""
        cells = {(spend, sessions, name): customers for spend, sessions, name, customers in kept["cells"]}
        return cls(spend_axis(**kept["spend"]), sessions_axis(**kept["sessions"]), cells)

    def _along(self, side: Literal[0, 1], bins: int) -> dict[str, list[int]]:
        counts: dict[str, list[int]] = {}
        for cell, customers in self.cells.items():
            counts.setdefault(cell[2], [0] * bins)[cell[side]] += customers
        return counts


def of(conn: sa.Connection, window: Window, settings: Settings) -> Distribution:
    """The distribution of a campaign with these settings whose customers are in buckets.

    It is kept in the campaign's row. A campaign of an earlier version has none: its customers are counted, and the
    result is kept, unless a step is at work on the campaign.
    """
    row = campaign_table.c.window_start == window.start
    kept = conn.execute(sa.select(campaign_table.c.distribution).where(row)).scalar_one_or_none()
    if kept and all(len(cell) == CELL for cell in kept["cells"]):  # a page of an earlier version writes shorter ones
        return Distribution.from_json(kept)
    uncounted = sa.and_(row, campaign.has_buckets())
    lock = sa.select(campaign_table.c.settings, campaign_table.c.resolved).where(uncounted)
    locked = conn.execute(lock.with_for_update(skip_locked=True)).one_or_none()
    found = distribution(conn, window, settings)
    if locked and Settings.from_snapshot(*locked) == settings:
        campaign.update(conn, window, distribution=found.to_json())
    return found


def distribution(conn: sa.Connection, window: Window, settings: Settings) -> Distribution:
    """Count the window's ``customer_bucket``. The caller makes sure that it exists."""
    rows = partitions.of(customer_bucket, window)
    opened = sa.cast(rows.c.avg_weekly_sessions * sa.literal(float(WEEKS), sa.Double), sa.BigInteger)
    spread = conn.execute(sa.select(*_spread(rows.c.total_spend_cents), *_spread(opened))).one()
    spend = _axis(*_border(settings, "total_spend", 100), spread[:3], unit=100)
    sessions = _axis(*_border(settings, "avg_weekly_sessions", WEEKS), spread[3:], unit=WEEKS)
    bins = sa.select(
        spend.bin_of(rows.c.total_spend_cents).label("spend"), sessions.bin_of(opened).label("sessions"), rows.c.bucket
    ).subquery("bins")
    query = sa.select(*bins.c, sa.func.count()).group_by(*bins.c)
    return Distribution(spend, sessions, {(row[0], row[1], row[2]): row[3] for row in conn.execute(query)})


def _border(settings: Settings, field: str, unit: int) -> tuple[int | None, bool]:
    """The first number that the rules compare with a field, in the axis's whole numbers, or None if there is none.

    With it, whether a customer at the number is on the side below.
    """
    compared = (one for segment in settings.rules.segments for one in segment.conditions() if one.field == field)
    for one in compared:
        if one.number is not None:
            closed = one.operator in {Operator.ABOVE, Operator.AT_MOST}
            return max(0, (floor if closed else ceil)(one.number * unit)), closed
    return None, False


def _spread(column: sa.ColumnElement[int]) -> tuple[sa.ColumnElement[float], ...]:
    value = sa.cast(column, sa.Double)  # over bigint, Postgres would sum squares as numeric, which is slow
    functions = (sa.func.avg, sa.func.stddev_pop, sa.func.max)
    return tuple(sa.func.coalesce(function(value), 0) for function in functions)


def _axis(threshold: int | None, closed: bool, spread: tuple[float, ...], *, unit: int) -> Axis:
    mean, deviation, largest = spread
    return axis(threshold, closed=closed, unit=unit, mean=mean, deviation=deviation, largest=int(largest))
