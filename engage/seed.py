"""Step 1, optional: synthetic customers and their events, to try Engage without real data.

Sessions and purchases of a customer are Poisson processes, so their times are uniform over the window and their
counts are Poisson distributed; amounts are log-normal. Customers are generated in blocks that do not depend on how
many customers are asked for: customer 17 is the same in a database of a hundred and of a million.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from engage import campaign, events, partitions
from engage.customer import phone_hash
from engage.errors import InputError, SeedRefused
from engage.schema import app_session, customer, purchase
from engage.window import ANCHOR, LENGTH, WEEKS, Window

log = logging.getLogger(__name__)

BLOCK = 10_000
MAX_CUSTOMERS = 10_000_000
TIME_ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "Europe/London")
GIVEN_NAMES = ("Ada", "Ben", "Chloe", "Dev", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jun", "Kofi", "Lena", "Mia")
FAMILY_NAMES = ("Abara", "Brandt", "Costa", "Diaz", "Evans", "Fischer", "Gupta", "Haddad", "Ito", "Jensen", "Khan")

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_CUSTOMER_STREAM, _EVENT_STREAM = 0, 1
_SEED_LOCK = 0x73656564  # "seed": two runs must not add the same customers at once

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
    """What was written; ``frozen`` when the campaign had begun to text people and nothing was."""

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
    with engine.begin() as conn:
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_SEED_LOCK)))
        if _lock(conn, window):
            return SeedSummary(customers=0, sessions=0, purchases=0, rng_seed=rng_seed, frozen=True)
        _refuse_real_data(conn, window)
        _add_customers(conn, customers, hash_key)
        partitions.empty_events(conn, window)
        sessions, purchases = _copy_events(
            conn, window, customers, rng_seed=rng_seed, behaviour=behaviour, progress=progress
        )
    return SeedSummary(customers, sessions, purchases, rng_seed)


@partitions.retry_lock
def _lock(conn: sa.Connection, window: Window) -> bool:
    """Keep real customers, events and campaigns from coming in between the checks and the commit.

    Returns whether the window's campaign is frozen. The campaign is locked first, as every step does.
    """
    with conn.begin_nested():
        found = campaign.find(conn, window, lock=True)
        partitions.lock_events(conn, window)
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
    if events.of_unknown_customers(conn, window):
        raise SeedRefused(
            f"The window {window} holds events of customers that the customer table does not know, so they may be "
            "real. Nothing was changed. Run without seed, or seed a database of its own."
        )


def _add_customers(conn: sa.Connection, customers: int, hash_key: bytes) -> None:
    """Add the missing ones; those that are there keep what has happened to them, such as an opt-out."""
    there = np.zeros(customers + 1, dtype=bool)
    known = sa.select(customer.c.customer_id).where(customer.c.customer_id.between(1, customers))
    there[conn.execute(known).scalars().all()] = True
    columns = [c.name for c in customer.columns]
    with _cursor(conn).copy(f"COPY customer ({', '.join(columns)}) FROM STDIN") as copy:
        for first in range(1, customers + 1, BLOCK):
            count = min(BLOCK, customers - first + 1)
            if there[first : first + count].all():
                continue
            for row in synthetic_customers(first, count, hash_key):
                if not there[row["customer_id"]]:
                    copy.write_row([row[name] for name in columns])


def synthetic_customers(first: int, count: int, hash_key: bytes) -> Iterator[dict[str, Any]]:
    """Customers ``first`` (the first of a block) and on, as rows of ``customer``; the same on every call.

    The phones start with +999, which no country has (ITU-T E.164, list of assigned country codes): nobody's.
    """
    rng = np.random.default_rng(np.random.SeedSequence(_CUSTOMER_STREAM, spawn_key=(first,)))
    names = rng.integers(0, (len(GIVEN_NAMES), len(FAMILY_NAMES), len(TIME_ZONES)), (BLOCK, 3)).tolist()
    days = rng.integers(1, 366, BLOCK).tolist()
    without_phone = (rng.random(BLOCK) < 0.01).tolist()
    opted_out = (rng.random(BLOCK) < 0.02).tolist()
    for index in range(count):
        given, family, zone = names[index]
        registered_at = ANCHOR - timedelta(days=days[index])
        phone = None if without_phone[index] else f"+999{first + index:09}"
        yield {
            "customer_id": first + index,
            "registered_at": registered_at,
            "name": f"{GIVEN_NAMES[given]} {FAMILY_NAMES[family]}",
            "phone": phone,
            "phone_hash": phone and phone_hash(phone, hash_key),
            "locale": "en",
            "time_zone": TIME_ZONES[zone],
            "consent_at": registered_at,
            "consent_source": "synthetic",
            "opted_out_at": ANCHOR if opted_out[index] else None,
            "synthetic": True,
        }


def _copy_events(
    conn: sa.Connection, window: Window, customers: int, *, rng_seed: int, behaviour: Behaviour, progress: Progress
) -> tuple[int, int]:
    """COPY the events block by block, so that memory does not grow with ``customers``; returns how many."""
    sessions = purchases = 0
    for first in range(1, customers + 1, BLOCK):
        block = _block_of_events(window, first, min(BLOCK, customers - first + 1), rng_seed, behaviour)
        for table, rows in block.items():
            _copy_binary(conn, table, window, rows)
        sessions += len(block[app_session])
        purchases += len(block[purchase])
        progress(min(first + BLOCK - 1, customers), customers)
    return sessions, purchases


def _block_of_events(
    window: Window, first: int, count: int, rng_seed: int, behaviour: Behaviour
) -> dict[sa.Table, npt.NDArray[np.void]]:
    stream = (_EVENT_STREAM, (window.start - ANCHOR) // LENGTH % 2**32, first)
    rng = np.random.default_rng(np.random.SeedSequence(rng_seed, spawn_key=stream))
    sessions = _times(rng, window, first, count, behaviour.sessions_per_week)
    purchases = _times(rng, window, first, count, behaviour.purchases_per_week)
    amounts = rng.lognormal(behaviour.amount_mu, behaviour.amount_sigma, len(purchases[0]))
    return {
        app_session: _binary_rows(*sessions),
        purchase: _binary_rows(*purchases, np.rint(amounts * 100).astype(np.int64)),
    }


def _times(
    rng: np.random.Generator, window: Window, first: int, count: int, per_week: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Customer ids and times (µs since the Postgres epoch) of a block's Poisson processes.

    Drawn for a whole block whatever ``count`` is, and then cut, so that a customer's events do not depend on it.
    """
    per_customer = rng.poisson(per_week * WEEKS, BLOCK)
    ids = np.repeat(np.arange(first, first + BLOCK), per_customer)
    microseconds = LENGTH // timedelta(microseconds=1)
    start = (window.start - _POSTGRES_EPOCH) // timedelta(microseconds=1)
    times = rng.integers(start, start + microseconds, len(ids))
    kept = int(per_customer[:count].sum())
    return ids[:kept], times[:kept]


def _binary_rows(*columns: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """Rows of int64 columns in Postgres's binary COPY format: field count, then length and value of each.

    https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format". A timestamptz is an int64 too.
    """
    fields = [(f"{kind}{n}", ">i4" if kind == "length" else ">i8") for n in range(len(columns)) for kind in _FIELD]
    rows = np.empty(len(columns[0]), dtype=[("fields", ">i2"), *fields])
    rows["fields"] = len(columns)
    for n, values in enumerate(columns):
        rows[f"length{n}"] = 8
        rows[f"value{n}"] = values
    return rows


_FIELD = ("length", "value")
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TRAILER = b"\xff\xff"


def _copy_binary(conn: sa.Connection, table: sa.Table, window: Window, rows: npt.NDArray[np.void]) -> None:
    """Straight into the window's partition, which spares Postgres one level of routing for each row."""
    target = partitions.partition_name(table, window)
    columns = ", ".join(c.name for c in table.columns)
    with _cursor(conn).copy(f"COPY {target} ({columns}) FROM STDIN (FORMAT binary)") as copy:
        copy.write(_COPY_HEADER)
        copy.write(rows.tobytes())
        copy.write(_COPY_TRAILER)


def _cursor(conn: sa.Connection) -> Any:
    """psycopg's own cursor: COPY is not part of the DBAPI."""
    return conn.connection.cursor()
