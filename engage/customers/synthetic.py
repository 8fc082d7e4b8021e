"""Synthetic customers and their events, to try Engage without real data. Nothing here touches a database.

Sessions and purchases of a customer are Poisson processes, so their times are uniform over the window and their counts
are Poisson distributed; amounts are log-normal. All customers have the same rates, unless their behaviour is varied,
as in ``varied_behaviour``. Customers are generated in blocks, whatever their total number is: customer 17 is the same
in a database of a hundred and of a million.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, auto
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from engage.customers.varied_behaviour import Block, Floats, Integers
from engage.storage.binary_copy import microseconds, packed
from engage.storage.schema import app_session, purchase
from engage.texts.phone import UNASSIGNED, phone_hash
from engage.window import ANCHOR, LENGTH, WEEKS, Window

BLOCK = 10_000
"""Customers that are generated together."""
TIME_ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "Europe/London")
GIVEN_NAMES = ("Ada", "Ben", "Chloe", "Dev", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jun", "Kofi", "Lena", "Mia")
FAMILY_NAMES = ("Abara", "Brandt", "Costa", "Diaz", "Evans", "Fischer", "Gupta", "Haddad", "Ito", "Jensen", "Khan")

_CUSTOMER_STREAM = 0
_STREAMS = {app_session: 1, purchase: 2}


class BehaviourName(StrEnum):
    """The behaviours that a seed can be asked for."""

    PLAIN = auto()
    VARIED = auto()


@dataclass(frozen=True)
class Behaviour:
    """How synthetic customers act: events a week, and the log-normal parameters of an amount in whole currency.

    With ``varied`` these are means over customers who differ, as ``varied_behaviour`` says.
    """

    sessions_per_week: float = 5.0
    purchases_per_week: float = 1.0
    amount_mu: float = 3.0
    amount_sigma: float = 1.0
    varied: bool = False


TYPICAL = Behaviour()
BEHAVIOURS = {BehaviourName.PLAIN: TYPICAL, BehaviourName.VARIED: Behaviour(varied=True)}


def synthetic_customers(first: int, count: int, hash_key: bytes) -> dict[str, list[Any]]:
    """``count`` customers from ``first`` (the first of a block) on, by column; the same on every call.

    Their phones start with ``UNASSIGNED``, so none is real.
    """
    rng = np.random.default_rng(np.random.SeedSequence(_CUSTOMER_STREAM, spawn_key=(first,)))
    given, family, zone = rng.integers(0, (len(GIVEN_NAMES), len(FAMILY_NAMES), len(TIME_ZONES)), (BLOCK, 3)).T.tolist()
    days = rng.integers(1, 366, BLOCK).tolist()
    without_phone = (rng.random(BLOCK) < 0.01).tolist()
    opted_out = (rng.random(BLOCK) < 0.02).tolist()
    ids = range(first, first + count)
    phones = [
        None if without else f"{UNASSIGNED}{number:09}" for number, without in zip(ids, without_phone, strict=False)
    ]
    on_day = [ANCHOR - timedelta(days=day) for day in range(366)]
    registered = [on_day[day] for day in days[:count]]
    return {
        "customer_id": list(ids),
        "registered_at": registered,
        "name": [f"{GIVEN_NAMES[g]} {FAMILY_NAMES[f]}" for g, f in zip(given[:count], family[:count], strict=True)],
        "phone": phones,
        "phone_hash": [phone and phone_hash(phone, hash_key) for phone in phones],
        "locale": ["en"] * count,
        "time_zone": [TIME_ZONES[z] for z in zone[:count]],
        "consent_at": registered,
        "consent_source": ["synthetic"] * count,
        "opted_out_at": [ANCHOR if out else None for out in opted_out[:count]],
        "synthetic": [True] * count,
    }


Purchases = tuple[Integers, Integers, Integers]
"""Each purchase's customer, as a place in the block, its time in µs since the Postgres epoch, and its cents."""


@dataclass(frozen=True)
class Draws:
    """The events of a window; the same values give the same events."""

    window: Window
    customers: int
    rng_seed: int
    behaviour: Behaviour

    def block(
        self, table: sa.Table, first: int, count: int, purchase_factors: Floats | None = None
    ) -> npt.NDArray[np.void]:
        """The events of ``count`` customers of the block that starts with customer ``first``.

        ``purchase_factors``: by how much an effect multiplies the purchase rate of each customer of the block; only for
        varied behaviour. It changes no event of a customer whose factor is 1.
        """
        if self.behaviour.varied:
            return self._varied(table, first, count, purchase_factors)
        rng = self._rng(_STREAMS[table], first)
        if table is app_session:
            return packed(*_times(rng, self.window, first, count, self.behaviour.sessions_per_week))
        ids, times = _times(rng, self.window, first, count, self.behaviour.purchases_per_week)
        amounts = rng.lognormal(self.behaviour.amount_mu, self.behaviour.amount_sigma, len(ids))
        return packed(ids, times, np.rint(amounts * 100).astype(np.int64))

    @property
    def _number(self) -> int:
        """The window's number on the grid, as a seed takes it."""
        return (self.window.start - ANCHOR) // LENGTH % 2**32

    def _rng(self, stream: int, first: int) -> np.random.Generator:
        key = (stream, self._number, first)
        return np.random.default_rng(np.random.SeedSequence(self.rng_seed, spawn_key=key))

    def _varied(self, table: sa.Table, first: int, count: int, purchase_factors: Floats | None) -> npt.NDArray[np.void]:
        customers = Block.of(self.rng_seed, self.window, self._number, first, BLOCK)
        rng = self._rng(_STREAMS[table], first)
        if table is app_session:
            return _cut(first, count, *customers.events(rng, "sessions", self.behaviour.sessions_per_week))
        purchases = self._purchases(customers, rng, self.behaviour.purchases_per_week)
        if purchase_factors is not None:
            purchases = self._with_effect(customers, purchases, rng, purchase_factors)
        return _cut(first, count, *purchases)

    def _purchases(self, customers: Block, rng: np.random.Generator, per_week: float | Floats) -> Purchases:
        place, times = customers.events(rng, "purchases", per_week)
        return place, times, customers.amounts(rng, place, self.behaviour.amount_mu, self.behaviour.amount_sigma)

    def _with_effect(
        self, customers: Block, purchases: Purchases, rng: np.random.Generator, factors: Floats
    ) -> Purchases:
        """The purchases with some left out where the factor is below 1, and more where it is above.

        The sum of two Poisson processes is one, and so is a process that loses each event with one chance.
        """
        kept = rng.random(len(purchases[0])) < factors[purchases[0]]
        more = self._purchases(customers, rng, self.behaviour.purchases_per_week * np.maximum(factors - 1, 0))
        place, times, cents = (np.concatenate([old[kept], new]) for old, new in zip(purchases, more, strict=True))
        return place, times, cents


def _cut(first: int, count: int, place: Integers, *others: Integers) -> npt.NDArray[np.void]:
    """The events of the first ``count`` customers of a block."""
    if count == BLOCK:
        return packed(place + first, *others)
    kept = place < count
    return packed(place[kept] + first, *(column[kept] for column in others))


def _times(
    rng: np.random.Generator, window: Window, first: int, count: int, per_week: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Customer ids and times (µs since the Postgres epoch) of a block's Poisson processes.

    They are drawn for a whole block and then cut, so that a customer's events do not depend on ``count``.
    """
    per_customer = rng.poisson(per_week * WEEKS, BLOCK)
    ids = np.repeat(np.arange(first, first + BLOCK), per_customer)
    times = rng.integers(microseconds(window.start), microseconds(window.end), len(ids))
    kept = int(per_customer[:count].sum())
    return ids[:kept], times[:kept]
