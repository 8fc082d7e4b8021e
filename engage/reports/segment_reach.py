"""How far a slider for a threshold has to reach: beyond it there are few customers."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, log10

import sqlalchemy as sa

from engage.campaigns import window_customers
from engage.segments.fields import FIELDS, NEVER, Unit, value
from engage.window import Window

SAMPLE = 2000
"""About how many customers are looked at."""
PART = 0.99
"""Share of the customers that the slider reaches."""


def reach(conn: sa.Connection, window: Window, customers: int) -> dict[str, float]:
    """For each field with an order, a round number that few of the window's ``customers`` exceed.

    A sample decides, the same one each time. The window's customers are computed.
    """
    rows = window_customers.rows(conn, window)
    percent = min(100.0, 100 * SAMPLE / max(1, customers))
    query = sa.select(sa.tablesample(rows, sa.func.system(percent), seed=sa.literal(1))).limit(10 * SAMPLE)
    sample = [row._asdict() for row in conn.execute(query)]
    return {name: _reach(name, sample, window) for name, field in FIELDS.items() if field.unit is not Unit.SEGMENT}


def _reach(name: str, sample: list[Mapping[str, object]] | list[dict[str, object]], window: Window) -> float:
    found = (value(FIELDS[name], row, window.end) for row in sample)
    numbers = sorted(float(one) for one in found if one is not None and one != NEVER and not isinstance(one, str))
    return _round(numbers[floor(PART * (len(numbers) - 1))]) if numbers else 1.0


def _round(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, 50, … that is at least ``least``."""
    if least <= 1:
        return 1.0
    power = 10 ** floor(log10(least))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least))
