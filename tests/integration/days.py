"""A restaurant's days: windows of events, a fixed number on each weekday."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import sqlalchemy as sa

from engage.storage import partitions
from engage.window import Window
from tests.integration.conftest import World

WEEK = (90, 85, 90, 100, 118, 130, 90)
"""Sessions from Monday to Sunday. There is a purchase for every two."""
DAY = timedelta(days=1)

FILL = """INSERT INTO {table} SELECT 1 + n % {customers}, day + n * interval '1 minute'{amount}
    FROM (VALUES {days}) AS counts (day, events), generate_series(0, events - 1) AS n"""


def fill(world: World, window: Window, other: Mapping[date, int] | None = None, *, customers: int = 4) -> None:
    """Add a window's events; ``other`` has the sessions of days that are not as usual."""
    partitions.ensure_windows(world.engine, [window])
    found = {}
    for n in range(56):
        start = window.start + n * DAY
        found[start] = (other or {}).get(start.date(), WEEK[n % 7])
    for table, amount, part in (("app_session", "", 1), ("purchase", ", 100", 2)):
        days = ", ".join(f"('{day.isoformat()}'::timestamptz, {count // part})" for day, count in found.items())
        world.execute(sa.text(FILL.format(table=table, customers=customers, amount=amount, days=days)))


def as_usual(world: World) -> World:
    """The world with four customers, and with the two windows before its own."""
    for _ in range(4):
        world.customer(registered_at=world.window.start - timedelta(days=400))
    for one in before(world.window, 2):
        fill(world, one)
    return world


def before(window: Window, number: int) -> list[Window]:
    """The windows before one, oldest first."""
    found = [window]
    for _ in range(number):
        found.insert(0, found[0].previous())
    return found[:-1]
