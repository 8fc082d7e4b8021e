"""Step 1, optional: write synthetic customers and their events, to try Engage without real data.

``customers.synthetic`` generates them; this step checks that the database has no real data, and writes.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from engage.campaigns import campaign, planted_effect, valid_events
from engage.customers.synthetic import BLOCK, TYPICAL, Behaviour, Draws, synthetic_customers
from engage.errors import InputError, SeedRefused
from engage.storage import partitions
from engage.storage.binary_copy import copy_packed, copy_rows
from engage.storage.schema import EVENT_TIMES, app_session, customer, purchase
from engage.window import Window

log = logging.getLogger(__name__)

MAX_RNG_SEED = 2**53 - 1
"""Airflow and JSON carry whole numbers exactly up to here. Airflow's task dies without a word of one over 64 bits."""
MAX_CUSTOMERS = 10_000_000
WRITERS = 2
"""Connections that write events at a time; it divides ``partitions.HASH_MODULUS``."""

Progress = Callable[[int, int], None]
"""Called with (customers done, customers in all)."""


@dataclass(frozen=True)
class SeedSummary:
    """The rows that were written; none if the campaign is ``frozen``.

    ``affected``: customers whose purchase rate an effect changed.
    """

    customers: int
    sessions: int
    purchases: int
    rng_seed: int
    frozen: bool = False
    affected: int = 0


def seed(
    engine: sa.Engine,
    window: Window,
    customers: int,
    rng_seed: int | None,
    *,
    hash_key: bytes,
    behaviour: Behaviour = TYPICAL,
    effects: Mapping[str, float] | None = None,
    progress: Progress = lambda done, total: None,
) -> SeedSummary:
    """Add the synthetic customers 1..``customers`` that are missing, and replace the window's events, all or nothing.

    The same ``rng_seed`` gives the same events. None draws one, and the summary reports it. ``effects`` multiply the
    purchase rate of the customers whom the campaign of the window before has texted, by their segment then.

    Raises:
        InputError: ``customers`` or ``rng_seed`` out of range, or ``effects`` on customers who do not vary.
        SeedRefused: the database holds a real customer, the window an event of an unknown one, or the window before
            has texted no customer for an effect to act on.
    """
    _check(customers, rng_seed, behaviour, effects or {})
    rng_seed = secrets.randbelow(2**32) if rng_seed is None else rng_seed
    partitions.ensure_windows(engine, [window])
    draws = Draws(window, customers, rng_seed, behaviour)
    writing = False
    try:
        with engine.begin() as conn:
            partitions.lock_seeding(conn)
            if _lock(conn, window):
                return SeedSummary(customers=0, sessions=0, purchases=0, rng_seed=rng_seed, frozen=True)
            _refuse_real_data(conn, window)
            planted_effect.require_texted(conn, window, effects or {})
            writing = True
            rows, affected = _write(engine, conn, draws, hash_key, progress, effects=effects or {})
            partitions.swap_in_events(conn, window)
    except BaseException:
        if writing:
            with engine.begin() as conn:  # the new tables are committed already
                partitions.lock_seeding(conn)
                partitions.discard_events(conn, window)
        raise
    return SeedSummary(customers, rows[app_session], rows[purchase], rng_seed, affected=affected)


@partitions.retry_lock
def _lock(conn: sa.Connection, window: Window) -> bool:
    """Let no customer, event or campaign be written between the checks and the commit.

    Returns whether the window's campaign is frozen. The campaign is locked first, as in every step.
    """
    with conn.begin_nested():
        found = campaign.find(conn, window, lock=True)
        partitions.lock_events(conn)
        partitions.lock_customers(conn)
        found = found or campaign.find(conn, window, lock=True)
        return found is not None and found.frozen


def log_progress(done: int, total: int) -> None:
    """Log progress, a line every 10%."""
    if done * 10 // total > (done - BLOCK) * 10 // total:
        log.info("seeded %s of %s customers", done, total)


def _check(customers: int, rng_seed: int | None, behaviour: Behaviour, effects: Mapping[str, float]) -> None:
    if not isinstance(customers, int) or not 1 <= customers <= MAX_CUSTOMERS:
        raise InputError(f"customers is {customers}; it takes a whole number from 1 to {MAX_CUSTOMERS}.")
    if rng_seed is not None and (not isinstance(rng_seed, int) or not 0 <= rng_seed <= MAX_RNG_SEED):
        raise InputError(
            f"rng_seed is {rng_seed}; it takes a whole number from 0 to {MAX_RNG_SEED}, or nothing for a random one."
        )
    if effects and not behaviour.varied:
        raise InputError(
            f"The effect on {next(iter(effects))} needs customers who vary. With plain behaviour nearly every customer "
            "buys again in each window, so no report could show an effect. Add --behaviour varied, or leave out the "
            "effect."
        )


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
            f"The window {window} holds events of customers who are not in the customer table, so they may be real. "
            "Nothing was changed. Run without seed, or seed a database of its own."
        )


def _write(
    engine: sa.Engine,
    conn: sa.Connection,
    draws: Draws,
    hash_key: bytes,
    progress: Progress,
    *,
    effects: Mapping[str, float],
) -> tuple[Counter[sa.Table], int]:
    """Add the customers and write their events into tables beside the live ones.

    Returns the number of rows by table, and of customers on whom an effect acts.

    Several connections copy events, as one COPY keeps one core busy, while the next block is generated. At most two
    blocks are in memory.
    """
    rows: Counter[sa.Table] = Counter()
    affected = 0
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
            factors = planted_effect.factors(conn, draws.window, effects, first, BLOCK) if effects else None
            block = {table: draws.block(table, first, count, factors) for table in EVENT_TIMES}
            share_of = _shares(conn, draws.window, first, count)
            _wait(copying)
            copying = [
                threads.submit(_copy_share, w, draws.window, block, share_of == n) for n, w in enumerate(writers)
            ]
            rows.update({table: len(events) for table, events in block.items()})
            affected += 0 if factors is None else int((factors[:count] != 1).sum())
            progress(first + count - 1, draws.customers)
        _wait(copying)
        _wait([threads.submit(writer.commit) for writer in writers])
    return rows, affected


def _wait(jobs: list[Future[None]]) -> None:
    for job in jobs:
        job.result()


def _shares(conn: sa.Connection, window: Window, first: int, count: int) -> npt.NDArray[np.int8]:
    """The number of the writer for each of ``count`` customers, from customer ``first`` on."""
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
    """Add the missing customers. Existing ones stay as they are, with their opt-outs for example."""
    known = sa.select(customer.c.customer_id).where(customer.c.customer_id.between(first, first + count - 1))
    there = set(conn.execute(known).scalars())
    if len(there) == count:
        return
    columns = synthetic_customers(first, count, hash_key)
    missing = (row for row in zip(*columns.values(), strict=True) if row[0] not in there)
    copy_rows(conn, customer, list(columns), missing)
