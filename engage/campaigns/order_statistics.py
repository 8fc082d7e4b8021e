"""The number that a share of the customers becomes: an exact order statistic, without sorting them.

A sample tells between which two keys the share about ends. One parallel scan then counts the customers below, above,
and at each key between. If the sample was far off, a second scan does without the bound that was wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import accumulate
from math import ceil, floor, sqrt

import sqlalchemy as sa

from engage.segments import Relative, Resolved
from engage.segments.order import Key, Order, order
from engage.segments.relative import Side

SAMPLE = 5000
"""About how many customers are looked at first."""
FEW = 20_000
"""Customers of a window who are all counted by their key, without a sample."""
DEVIATIONS = 5
"""Half the width of the guess, in standard deviations of a place in the sample."""
_CLOSE = 1e-12
"""Relative distance within which two quotients may have been rounded to one key. Rounding is a thousand times finer."""


@dataclass(frozen=True)
class _Counted:
    """Customers by key between two bounds, in order, and how many are below and above them."""

    below: int
    keys: Mapping[Key | Fraction, int]
    above: int

    @property
    def known(self) -> int:
        """Customers with a value."""
        return self.below + sum(self.keys.values()) + self.above

    def at(self, place: int) -> tuple[Key | Fraction, int, int] | None:
        """The key at a place in the order, counted from 0, the customers below it, and those at it. None if beyond."""
        ends = accumulate(self.keys.values(), initial=self.below)
        for (key, count), before in zip(self.keys.items(), ends, strict=False):
            if before <= place < before + count:
                return key, before, count
        return None


def resolve(
    conn: sa.Connection, rows: sa.Table, window_end: datetime, field: str, asked: Relative, *, customers: int
) -> Resolved:
    """What a share of ``rows`` becomes, which are like ``customer_activity``. ``customers``: about how many they are."""
    by = order(field, rows, window_end)
    counted, place = _around(conn, rows, window_end, field, asked, customers=customers)
    known = counted.known
    if not known:
        return Resolved(Fraction(0), known=0, asked=0, within=0, ties=0)
    found = counted.at(place)
    assert found is not None
    if by.ratio is not None:
        found = _exactly(conn, rows, by, float(found[0])).at(place)
        assert found is not None
    key, below, ties = found
    wanted, lowest = asked.asked(known), asked.side is Side.LOWEST
    if wanted < known:
        within = below if lowest else known - below - ties
        return Resolved(by.value(key), known=known, asked=wanted, within=within, ties=ties)
    beyond = by.value(key) + (by.step if lowest else -by.step)  # no customer is next
    return Resolved(beyond, known=known, asked=wanted, within=known, ties=0)


def _place(asked: Relative, known: int) -> int:
    """The place of the next customer after the share, counted from below; of the last one if the share has all."""
    place = min(asked.asked(known), known - 1)
    return place if asked.side is Side.LOWEST else known - 1 - place


def _around(
    conn: sa.Connection, rows: sa.Table, window_end: datetime, field: str, asked: Relative, *, customers: int
) -> tuple[_Counted, int]:
    """Customers by key around the end of the share, and the place of the next one."""
    by = order(field, rows, window_end)
    least, most = _guess(conn, rows, window_end, field, asked, customers=customers) if customers > FEW else (None, None)
    counted = _count(conn, rows, by, least, most)
    place = _place(asked, counted.known) if counted.known else 0
    if place < counted.below:
        return _count(conn, rows, by, None, least), place
    if counted.known and place >= counted.known - counted.above:
        return _count(conn, rows, by, most, None), place
    return counted, place


def _guess(
    conn: sa.Connection, rows: sa.Table, window_end: datetime, field: str, asked: Relative, *, customers: int
) -> tuple[Key | None, Key | None]:
    """Two keys between which the share very likely ends; None for no bound."""
    sample = sa.tablesample(rows, sa.func.system(100 * SAMPLE / customers), seed=sa.literal(1))
    by = order(field, sample, window_end)
    keys = sorted(conn.execute(sa.select(by.key).where(by.key.is_not(None))).scalars())
    if not keys:
        return None, None
    # the sample knows the share of customers with a value, and a number of customers is a share of those
    known = customers * min(1.0, len(keys) / SAMPLE)
    part = min(1.0, float(asked.amount) / (100 if asked.is_share else known))
    at = len(keys) * (part if asked.side is Side.LOWEST else 1 - part)
    # a number of customers asks for another share if fewer have a value than the sample says
    margin = DEVIATIONS * sqrt(len(keys) * max(part * (1 - part), 0.01)) * (1 if asked.is_share else 2)
    first, last = floor(at - margin), ceil(at + margin)
    return keys[first] if first >= 0 else None, keys[last] if last < len(keys) else None


def _count(conn: sa.Connection, rows: sa.Table, by: Order, least: Key | None, most: Key | None) -> _Counted:
    """Customers by key from ``least`` to ``most``, and those outside."""
    below = sa.false() if least is None else by.key < sa.literal(least, by.key.type)
    above = sa.false() if most is None else by.key > sa.literal(most, by.key.type)
    part = sa.case((below, -1), (above, 1), else_=0)
    between = sa.case((sa.or_(below, above), sa.null()), else_=by.key)
    query = (
        sa.select(part.label("part"), between.label("key"), sa.func.count().label("customers"))
        .where(by.key.is_not(None))
        .group_by(sa.literal_column("1"), sa.literal_column("2"))
    )
    outside, keys = {-1: 0, 1: 0}, {}
    for row in conn.execute(query):
        if row.part:
            outside[row.part] = row.customers
        else:
            keys[row.key] = row.customers
    return _Counted(outside[-1], dict(sorted(keys.items())), outside[1])


def _exactly(conn: sa.Connection, rows: sa.Table, by: Order, key: float) -> _Counted:
    """Customers by exact quotient close to a key, and those outside."""
    assert by.ratio is not None
    least, most = (sa.literal(key * (1 + side * _CLOSE), sa.Double) for side in (-1, 1))
    close = by.key.between(least, most)
    near = sa.select(*by.ratio, sa.func.count()).where(close).group_by(*by.ratio)
    keys: dict[Key | Fraction, int] = {}
    for above, below, customers in conn.execute(near):
        keys[Fraction(above, below)] = keys.get(Fraction(above, below), 0) + customers
    outside = sa.select(sa.func.count().filter(by.key < least), sa.func.count().filter(by.key > most))
    below, above = conn.execute(outside.select_from(rows)).one()
    return _Counted(below, dict(sorted(keys.items())), above)
