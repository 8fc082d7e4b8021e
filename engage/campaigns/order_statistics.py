"""The number that a share of the customers becomes: an exact order statistic, without sorting them.

A sample tells between which two keys the share about ends. One parallel scan then counts the customers before them,
and those at each key between. If the sample was far off, a second scan does without the bound that was wrong.
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
    """Customers by key in order, and how many come before them."""

    before: int
    keys: Mapping[Key | Fraction, int]

    def at(self, place: int) -> tuple[Key | Fraction, int, int] | None:
        """The key at a place counted from 0, the customers before it, and those at it; None if it is not there."""
        befores = accumulate(self.keys.values(), initial=self.before)
        for (key, customers), before in zip(self.keys.items(), befores, strict=False):
            if before <= place < before + customers:
                return key, before, customers
        return None


def resolve(
    conn: sa.Connection, rows: sa.Table, window_end: datetime, field: str, asked: Relative, *, customers: int
) -> Resolved:
    """What a share of ``rows``, which are like ``customer_activity``, becomes; ``customers`` says how many they are."""
    by = order(field, rows, window_end, asked.side)
    known = customers if by.is_complete else conn.execute(sa.select(sa.func.count(by.key))).scalar_one()
    if not known:
        return Resolved(Fraction(0), known=0, asked=0, within=0, ties=0)
    wanted = asked.asked(known)
    place = min(wanted, known - 1)  # of the next customer; of the last one if none is next
    least, most = None, None
    if known > FEW:
        sample = sa.tablesample(rows, sa.func.system(100 * SAMPLE / customers), seed=sa.literal(1))
        least, most = _guess(conn, order(field, sample, window_end, asked.side), place / known)
    key, before, ties = _at(conn, by, place, least, most)
    if wanted < known:
        return Resolved(by.value(key), known=known, asked=wanted, within=before, ties=ties)
    return Resolved(by.value(key) + by.step, known=known, asked=wanted, within=known, ties=0)


def _guess(conn: sa.Connection, by: Order, part: float) -> tuple[Key | None, Key | None]:
    """Two keys between which a part of the customers very likely ends; None for no bound."""
    keys = sorted(conn.execute(sa.select(by.key).where(by.key.is_not(None))).scalars())
    margin = DEVIATIONS * sqrt(len(keys) * max(part * (1 - part), 0.01))
    first, last = floor(len(keys) * part - margin), ceil(len(keys) * part + margin)
    return keys[first] if first >= 0 else None, keys[last] if last < len(keys) else None


def _at(
    conn: sa.Connection, by: Order, place: int, least: Key | None, most: Key | None
) -> tuple[Key | Fraction, int, int]:
    """The key at a place in the order, the customers before it, and those at it."""
    counted = _count(conn, by, least, most)
    found = counted.at(place)
    if found is None:
        bounds = (None, least) if place < counted.before else (most, None)
        found = _count(conn, by, *bounds).at(place)
    if found and by.ratio is not None:
        found = _exactly(conn, by, by.ratio, float(found[0])).at(place)
    assert found is not None
    return found


def _count(conn: sa.Connection, by: Order, least: Key | None, most: Key | None) -> _Counted:
    """Customers by key from ``least`` to ``most``, and those before; those after are not looked at."""
    between = by.key if least is None else sa.case((by.key >= sa.literal(least, by.key.type), by.key))
    known = by.key.is_not(None) if most is None else by.key <= sa.literal(most, by.key.type)
    query = sa.select(between.label("key"), sa.func.count().label("customers")).where(known)
    counts = {row.key: row.customers for row in conn.execute(query.group_by(sa.literal_column("1")))}
    before = counts.pop(None, 0)
    return _Counted(before, dict(sorted(counts.items())))


def _exactly(
    conn: sa.Connection, by: Order, ratio: tuple[sa.ColumnElement[int], sa.ColumnElement[int]], key: float
) -> _Counted:
    """Customers by exact quotient close to a key, and those before."""
    least, most = (sa.literal(key + side * abs(key) * _CLOSE, sa.Double) for side in (-1, 1))
    before = conn.execute(sa.select(sa.func.count()).where(by.key < least)).scalar_one()
    close = sa.select(*ratio, sa.func.count()).where(by.key.between(least, most)).group_by(*ratio)
    keys: dict[Key | Fraction, int] = {}
    for above, below, customers in conn.execute(close):
        keys[Fraction(above, below)] = keys.get(Fraction(above, below), 0) + customers
    return _Counted(before, dict(sorted(keys.items())))
