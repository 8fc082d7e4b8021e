"""The number that a share of the customers becomes: an exact order statistic, without sorting them.

A sample tells between which two keys the share about ends. One parallel scan then counts the customers before them,
and those at each key between. The sample is of whole blocks, which are quick to read. If it was far off, because the
customers of a block are alike, a sample of single rows takes its place. If that is far off too, a last scan does
without the bound that was wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


_Found = tuple[Key | Fraction, int, int]
"""A key, the customers before it, and those at it."""


@dataclass(frozen=True)
class _Counted:
    """Customers by key in order, and how many come before them."""

    before: int
    keys: Mapping[Key | Fraction, int]

    @property
    def all(self) -> int:
        return self.before + sum(self.keys.values())

    def at(self, place: int) -> _Found | None:
        """What is at a place counted from 0; None if the place is not among the keys."""
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
    everyone = _count(conn, by) if by.is_coarse or customers <= FEW else None
    known = everyone.all if everyone else _known(conn, by, customers)
    if not known:
        return Resolved(Fraction(0), known=0, asked=0, within=0, ties=0)
    wanted = asked.asked(known)
    place = min(wanted, known - 1)  # of the next customer; of the last one if none is next
    if everyone:
        found = everyone.at(place)
    else:
        samples = (
            sa.tablesample(rows, method(100 * SAMPLE / customers), seed=sa.literal(1))
            for method in (sa.func.system, sa.func.bernoulli)
        )
        orders = (order(field, sample, window_end, asked.side) for sample in samples)
        found = _sampled(conn, by, orders, place, known)
    if found and by.ratio:
        found = _exactly(conn, by, by.ratio, float(found[0])).at(place)
    assert found is not None
    key, before, ties = found
    if wanted < known:
        return Resolved(by.value(key), known=known, asked=wanted, within=before, ties=ties)
    return Resolved(by.value(key) + by.step, known=known, asked=wanted, within=known, ties=0)


def _known(conn: sa.Connection, by: Order, customers: int) -> int:
    """How many customers have a value."""
    if by.is_complete:
        return customers
    return int(conn.execute(sa.select(sa.func.count()).where(by.is_known)).scalar_one())


def _guess(conn: sa.Connection, by: Order, part: float) -> tuple[Key | None, Key | None]:
    """Two keys between which a part of the customers very likely ends; None for no bound."""
    keys = sorted(conn.execute(sa.select(by.key).where(by.is_known)).scalars())
    if not keys:
        return None, None
    margin = DEVIATIONS * sqrt(len(keys) * max(part * (1 - part), 0.01))
    first, last = floor(len(keys) * part - margin), ceil(len(keys) * part + margin)
    return keys[first] if first >= 0 else None, keys[last] if last < len(keys) else None


def _sampled(conn: sa.Connection, by: Order, samples: Iterable[Order], place: int, known: int) -> _Found | None:
    """What is at a place of ``known`` ones, with a look at the first sample that is not far off."""
    for sample in samples:
        least, most = _guess(conn, sample, place / known)
        counted = _count(conn, by, least, most)
        if found := counted.at(place):
            return found
    if place < counted.before:
        return _count(conn, by, most=least).at(place)
    return _count(conn, by, least=most).at(place)


def _count(conn: sa.Connection, by: Order, least: Key | None = None, most: Key | None = None) -> _Counted:
    """Customers by key from ``least`` to ``most``, and those before; those after are not looked at."""
    between = by.key if least is None else sa.case((by.key >= sa.literal(least, by.key.type), by.key))
    known = by.is_known if most is None else by.key <= sa.literal(most, by.key.type)
    query = sa.select(between.label("key"), sa.func.count().label("customers")).where(known)
    counts = {row.key: row.customers for row in conn.execute(query.group_by(sa.literal_column("1")))}
    before = counts.pop(None, 0)
    return _Counted(before, dict(sorted(counts.items())))


def _exactly(
    conn: sa.Connection, by: Order, ratio: tuple[sa.ColumnElement[int], sa.ColumnElement[int]], key: float
) -> _Counted:
    """Customers by exact quotient close to a key, and those before."""
    least, most = (sa.literal(key + side * abs(key) * _CLOSE, sa.Double) for side in (-1, 1))
    close = [sa.case((by.key >= least, part)) for part in ratio]
    query = sa.select(close[0], close[1], sa.func.count()).where(by.key <= most)
    before, keys = 0, dict[Key | Fraction, int]()
    for above, below, customers in conn.execute(query.group_by(sa.literal_column("1"), sa.literal_column("2"))):
        if below is None:
            before = customers
        else:
            keys[Fraction(above, below)] = keys.get(Fraction(above, below), 0) + customers
    return _Counted(before, dict(sorted(keys.items())))
