"""Step 1, optional: synthetic customers and their events, to try Engage without real data.

Sessions and purchases of a customer are Poisson processes, so their times are uniform over the window and their
counts are Poisson distributed; amounts are log-normal. Customers are generated in blocks that do not depend on how
many customers are asked for: customer 17 is the same in a database of a hundred and of a million.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from engage.campaigns import campaign, valid_events
from engage.errors import InputError, SeedRefused
from engage.storage import partitions
from engage.storage.binary_copy import copy_packed, copy_rows, microseconds, packed
from engage.storage.schema import EVENT_TIMES, app_session, customer, purchase
from engage.texts.phone import phone_hash
from engage.window import ANCHOR, LENGTH, WEEKS, Window

log = logging.getLogger(__name__)

BLOCK = 10_000
MAX_CUSTOMERS = 10_000_000
WRITERS = 2
"""Connections that write events at a time; it divides ``partitions.HASH_MODULUS``."""
TIME_ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "Europe/London")
GIVEN_NAMES = ("Ada", "Ben", "Chloe", "Dev", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jun", "Kofi", "Lena", "Mia")
FAMILY_NAMES = ("Abara", "Brandt", "Costa", "Diaz", "Evans", "Fischer", "Gupta", "Haddad", "Ito", "Jensen", "Khan")

_CUSTOMER_STREAM = 0
_STREAMS = {app_session: 1, purchase: 2}

Progress = Callable[[int, int], None]
"""Called with (customers done, customers in all)."""


@dataclass(frozen=True)
class Behaviour:
    """How synthetic customers act: events a week, and the log-normal parameters of an amount in whole currency."""

    sessions_per_week: float = 5.0
    purchases_per_week: float = 1.0
    amount_mu: float = 3.0
    amount_sigma: float = 1.0


@dataclass(frozen=True)
class SeedSummary:
    """What was written; ``frozen`` when the campaign is final and nothing was."""

    customers: int
    sessions: int
    purchases: int
    rng_seed: int
    frozen: bool = False


def seed(
    engine: sa.Engine,
    window: Window,
    customers: int,
    rng_seed: int | None,
    *,
    hash_key: bytes,
    behaviour: Behaviour = Behaviour(),
    progress: Progress = lambda done, total: None,
) -> SeedSummary:
    """Make sure of synthetic customers 1..``customers`` and replace the window's synthetic events, all or nothing.

    The same ``rng_seed`` gives the same events; None draws one and reports it.

    Raises:
        InputError: ``customers`` or ``rng_seed`` out of range.
        SeedRefused: the database holds a real customer, or the window events of an unknown one.
    """
    _check(customers, rng_seed)
    rng_seed = secrets.randbelow(2**32) if rng_seed is None else rng_seed
    partitions.ensure_windows(engine, [window])
    draws = _Draws(window, customers, rng_seed, behaviour)
    writing = False
    try:
        with engine.begin() as conn:
            partitions.lock_seeding(conn)
            if _lock(conn, window):
                return SeedSummary(customers=0, sessions=0, purchases=0, rng_seed=rng_seed, frozen=True)
            _refuse_real_data(conn, window)
            writing = True
            rows = _write(engine, conn, draws, hash_key, progress)
            partitions.swap_in_events(conn, window)
    except BaseException:
        if writing:
            with engine.begin() as conn:  # what was written aside and committed there
                partitions.lock_seeding(conn)
                partitions.discard_events(conn, window)
        raise
    return SeedSummary(customers, rows[app_session], rows[purchase], rng_seed)


@partitions.retry_lock
def _lock(conn: sa.Connection, window: Window) -> bool:
    """Keep real customers, events and campaigns from coming in between the checks and the commit.

    Returns whether the window's campaign is frozen. The campaign is locked first, as every step does.
    """
    with conn.begin_nested():
        found = campaign.find(conn, window, lock=True)
        partitions.lock_events(conn)
        partitions.lock_customers(conn)
        found = found or campaign.find(conn, window, lock=True)
        return found is not None and found.frozen


def log_progress(done: int, total: int) -> None:
    """Progress for a task's log: a line every 10%."""
    if done * 10 // total > (done - BLOCK) * 10 // total:
        log.info("seeded %s of %s customers", done, total)


def _check(customers: int, rng_seed: int | None) -> None:
    if not isinstance(customers, int) or not 1 <= customers <= MAX_CUSTOMERS:
        raise InputError(f"customers is {customers}; it takes a whole number from 1 to {MAX_CUSTOMERS}.")
    if rng_seed is not None and (not isinstance(rng_seed, int) or rng_seed < 0):
        raise InputError(f"rng_seed is {rng_seed}; it takes a whole number from 0, or nothing for a random one.")


def _refuse_real_data(conn: sa.Connection, window: Window) -> None:
    real = sa.select(customer.c.customer_id).where(~customer.c.synthetic).limit(1)
    example = conn.execute(real).scalar_one_or_none()
    if example is not None:
        raise SeedRefused(
            f"This database holds real customers (customer {example} is one), and synthetic data must not mix with "
            "them. Nothing was changed. Run without seed, or seed a database of its own."
        )
    if valid_events.of_unknown_customers(conn, window):
        raise SeedRefused(
            f"The window {window} holds events of customers that the customer table does not know, so they may be "
            "real. Nothing was changed. Run without seed, or seed a database of its own."
        )


def _write(
    engine: sa.Engine, conn: sa.Connection, draws: _Draws, hash_key: bytes, progress: Progress
) -> Counter[sa.Table]:
    """Add the customers and write their events into the tables aside; returns how many rows each has.

    The events go out on several connections, as a COPY keeps one core busy, while the next block is drawn. A block
    at a time is in memory, twice.
    """
    rows: Counter[sa.Table] = Counter()
    with engine.begin() as other:
        partitions.build_events(other, draws.window)
    with ExitStack() as transactions, ThreadPoolExecutor(WRITERS) as threads:
        writers = [transactions.enter_context(engine.begin()) for _ in range(WRITERS)]
        for share, writer in enumerate(writers):
            partitions.claim_share(writer, draws.window, share, WRITERS)
        copying: list[Future[None]] = []
        for first in range(1, draws.customers + 1, BLOCK):
            count = min(BLOCK, draws.customers - first + 1)
            _add_customers(conn, first, count, hash_key)
            block = {table: draws.block(table, first, count) for table in EVENT_TIMES}
            share_of = _shares(conn, draws.window, first, count)
            _wait(copying)
            copying = [
                threads.submit(_copy_share, w, draws.window, block, share_of == n) for n, w in enumerate(writers)
            ]
            rows.update({table: len(events) for table, events in block.items()})
            progress(first + count - 1, draws.customers)
        _wait(copying)
        _wait([threads.submit(writer.commit) for writer in writers])
    return rows


def _wait(jobs: list[Future[None]]) -> None:
    for job in jobs:
        job.result()


def _shares(conn: sa.Connection, window: Window, first: int, count: int) -> npt.NDArray[np.int8]:
    """Which writer writes the events of each of ``count`` customers from ``first`` on."""
    ids = sa.func.generate_series(first, first + count - 1).column_valued("ids")
    customer_id = sa.cast(ids, sa.BigInteger)
    number = sa.case(
        *((partitions.in_share(window, customer_id, share, WRITERS), share) for share in range(1, WRITERS)), else_=0
    )
    return np.array(conn.execute(sa.select(number)).scalars().all(), dtype=np.int8)


def _copy_share(
    conn: sa.Connection, window: Window, block: dict[sa.Table, npt.NDArray[np.void]], mine: npt.NDArray[np.bool_]
) -> None:
    for table, rows in block.items():
        of_row = rows["value0"].astype(np.int64)
        copy_packed(conn, partitions.fresh_name(table, window), table, rows[mine[(of_row - 1) % BLOCK]])


def _add_customers(conn: sa.Connection, first: int, count: int, hash_key: bytes) -> None:
    """Add the missing ones; those that are there keep what has happened to them, such as an opt-out."""
    known = sa.select(customer.c.customer_id).where(customer.c.customer_id.between(first, first + count - 1))
    there = set(conn.execute(known).scalars())
    if len(there) == count:
        return
    columns = synthetic_customers(first, count, hash_key)
    missing = (row for row in zip(*columns.values(), strict=True) if row[0] not in there)
    copy_rows(conn, customer, list(columns), missing)


def synthetic_customers(first: int, count: int, hash_key: bytes) -> dict[str, list[Any]]:
    """Customers ``first`` (the first of a block) and on, column by column; the same on every call.

    The phones start with +999, which no country has (ITU-T E.164, list of assigned country codes): nobody's.
    """
    rng = np.random.default_rng(np.random.SeedSequence(_CUSTOMER_STREAM, spawn_key=(first,)))
    given, family, zone = rng.integers(0, (len(GIVEN_NAMES), len(FAMILY_NAMES), len(TIME_ZONES)), (BLOCK, 3)).T.tolist()
    days = rng.integers(1, 366, BLOCK).tolist()
    without_phone = (rng.random(BLOCK) < 0.01).tolist()
    opted_out = (rng.random(BLOCK) < 0.02).tolist()
    ids = range(first, first + count)
    phones = [None if without else f"+999{number:09}" for number, without in zip(ids, without_phone, strict=False)]
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


@dataclass(frozen=True)
class _Draws:
    """What decides the events of a window."""

    window: Window
    customers: int
    rng_seed: int
    behaviour: Behaviour

    def block(self, table: sa.Table, first: int, count: int) -> npt.NDArray[np.void]:
        """The events of ``count`` customers of the block that starts with customer ``first``."""
        stream = (_STREAMS[table], (self.window.start - ANCHOR) // LENGTH % 2**32, first)
        rng = np.random.default_rng(np.random.SeedSequence(self.rng_seed, spawn_key=stream))
        if table is app_session:
            return packed(*_times(rng, self.window, first, count, self.behaviour.sessions_per_week))
        ids, times = _times(rng, self.window, first, count, self.behaviour.purchases_per_week)
        amounts = rng.lognormal(self.behaviour.amount_mu, self.behaviour.amount_sigma, len(ids))
        return packed(ids, times, np.rint(amounts * 100).astype(np.int64))


def _times(
    rng: np.random.Generator, window: Window, first: int, count: int, per_week: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Customer ids and times (µs since the Postgres epoch) of a block's Poisson processes.

    Drawn for a whole block whatever ``count`` is, and then cut, so that a customer's events do not depend on it.
    """
    per_customer = rng.poisson(per_week * WEEKS, BLOCK)
    ids = np.repeat(np.arange(first, first + BLOCK), per_customer)
    times = rng.integers(microseconds(window.start), microseconds(window.end), len(ids))
    kept = int(per_customer[:count].sum())
    return ids[:kept], times[:kept]
