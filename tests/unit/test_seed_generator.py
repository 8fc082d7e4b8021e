"""The generator alone; what reaches the database is tested with one."""

from __future__ import annotations

import hashlib
import logging
import re
import struct
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engage.customers.synthetic import BLOCK, TIME_ZONES, Behaviour, Draws, synthetic_customers
from engage.errors import InputError
from engage.steps.seed import MAX_CUSTOMERS, log_progress, seed
from engage.storage import binary_copy
from engage.storage.binary_copy import packed
from engage.storage.schema import app_session, customer, purchase
from engage.texts.phone import phone_hash
from engage.window import ANCHOR, Window

KEY = b"k" * 32
WINDOW = Window(datetime(2026, 2, 2, tzinfo=UTC))
POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
SEVERAL_BLOCKS = 5
DEFAULT = Behaviour()


def events(
    *,
    window: Window = WINDOW,
    first: int = 1,
    count: int = BLOCK,
    rng_seed: int = 7,
    behaviour: Behaviour = DEFAULT,
) -> tuple[np.ndarray, np.ndarray]:
    """One block's sessions (customer, time) and purchases (customer, time, cents), as plain columns."""
    draws = Draws(window, first + count - 1, rng_seed, behaviour)
    return columns(draws.block(app_session, first, count)), columns(draws.block(purchase, first, count))


def columns(rows: np.ndarray) -> np.ndarray:
    return np.array([rows[name].astype(np.int64) for name in rows.dtype.names if name.startswith("value")])


def microseconds(moment: datetime) -> int:
    return (moment - POSTGRES_EPOCH) // timedelta(microseconds=1)


def per_customer(ids: np.ndarray, first: int = 1) -> np.ndarray:
    return np.bincount(ids - first, minlength=BLOCK)


def customers(first: int, count: int) -> list[dict]:
    """Rows of ``customer``."""
    columns_ = synthetic_customers(first, count, KEY)
    return [dict(zip(columns_, row, strict=True)) for row in zip(*columns_.values(), strict=True)]


def several_blocks() -> list[dict]:
    firsts = range(1, SEVERAL_BLOCKS * BLOCK, BLOCK)
    return [row for first in firsts for row in customers(first, BLOCK)]


# --- customers


def test_the_customers_are_the_same_on_every_call():
    assert customers(1, 500) == customers(1, 500)


@pytest.mark.parametrize("fewer", [1, 17, 500])
def test_fewer_customers_are_the_first_of_more(fewer):
    assert customers(1, fewer) == customers(1, 1000)[:fewer]


def test_two_blocks_hold_different_customers():
    names = [[row["name"] for row in customers(first, 500)] for first in (1, BLOCK + 1)]
    assert names[0] != names[1]


def test_a_customer_has_every_column_of_the_table():
    assert set(customers(1, 1)[0]) == {column.name for column in customer.columns}


def test_customers_are_numbered_without_a_gap():
    assert [row["customer_id"] for row in several_blocks()] == list(range(1, SEVERAL_BLOCKS * BLOCK + 1))


def test_every_phone_is_e164_in_a_range_that_is_nobodys_and_no_two_are_the_same():
    firsts = [1, BLOCK + 1, MAX_CUSTOMERS - BLOCK + 1]
    rows = [row for first in firsts for row in customers(first, BLOCK)]
    phones = [row["phone"] for row in rows if row["phone"] is not None]
    assert [phone for phone in phones if not re.fullmatch(r"\+999[0-9]{1,12}", phone)] == []
    assert len(set(phones)) == len(phones) > 0.9 * len(rows)


def test_the_phone_hash_is_that_of_the_phone_and_missing_with_it():
    for row in customers(1, 1000):
        assert row["phone_hash"] == (None if row["phone"] is None else phone_hash(row["phone"], KEY))


def test_about_one_in_a_hundred_has_no_phone_and_two_have_opted_out():
    rows = several_blocks()
    without_phone = sum(row["phone"] is None for row in rows)
    opted_out = sum(row["opted_out_at"] is not None for row in rows)
    assert without_phone == pytest.approx(0.01 * len(rows), abs=4 * (0.01 * 0.99 * len(rows)) ** 0.5)
    assert opted_out == pytest.approx(0.02 * len(rows), abs=4 * (0.02 * 0.98 * len(rows)) ** 0.5)


def test_every_customer_is_synthetic_and_consented_before_the_first_window():
    for row in customers(1, BLOCK):
        assert row["synthetic"] is True
        assert row["consent_source"] == "synthetic"
        assert ANCHOR - timedelta(days=366) < row["registered_at"] == row["consent_at"] < ANCHOR
        assert row["opted_out_at"] in {None, ANCHOR}


def test_the_time_zones_exist_and_all_occur():
    zones = Counter(row["time_zone"] for row in customers(1, BLOCK))
    assert {ZoneInfo(zone).key for zone in zones} == set(TIME_ZONES)


# --- events


def test_the_same_seed_gives_the_same_events():
    for one, other in zip(events(), events(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "other", [{"rng_seed": 8}, {"rng_seed": 0}, {"rng_seed": 2**64}, {"window": WINDOW.next()}, {"first": BLOCK + 1}]
)
def test_another_seed_window_or_block_gives_other_events(other):
    """Compared as how many events each customer has, which neither the window nor the block's ids shift."""
    first = other.get("first", 1)
    for one, another in zip(events(), events(**other), strict=True):
        assert not np.array_equal(per_customer(one[0]), per_customer(another[0], first))


@pytest.mark.parametrize("fewer", [1, 17, BLOCK - 1])
def test_a_customers_events_do_not_depend_on_how_many_customers_there_are(fewer):
    for few, all_ in zip(events(count=fewer), events(), strict=True):
        np.testing.assert_array_equal(few, all_[:, all_[0] <= fewer])


@pytest.mark.parametrize("first", [1, 3 * BLOCK + 1])
def test_every_event_is_of_a_customer_of_the_block(first):
    for columns_ in events(first=first, count=100):
        assert set(columns_[0].tolist()) <= set(range(first, first + 100))


@pytest.mark.parametrize("window", [Window(ANCHOR), WINDOW, Window(datetime(2028, 1, 31, tzinfo=UTC))])
def test_every_event_lies_in_the_window(window):
    for columns_ in events(window=window):
        assert microseconds(window.start) <= columns_[1].min()
        assert columns_[1].max() < microseconds(window.end)


def test_events_are_spread_evenly_over_the_weeks():
    for columns_ in events():
        weeks = (columns_[1] - microseconds(WINDOW.start)) // (7 * 86_400_000_000)
        counts = np.bincount(weeks, minlength=8)
        expected = len(weeks) / 8
        assert len(counts) == 8
        assert abs(counts - expected).max() < 5 * expected**0.5


@pytest.mark.parametrize(
    ("behaviour", "sessions", "purchases"),
    [(Behaviour(), 40.0, 8.0), (Behaviour(sessions_per_week=0.5, purchases_per_week=2.0), 4.0, 16.0)],
)
def test_counts_are_poisson_with_the_weekly_rate(behaviour, sessions, purchases):
    for columns_, mean in zip(events(behaviour=behaviour), (sessions, purchases), strict=True):
        counts = per_customer(columns_[0])
        assert counts.mean() == pytest.approx(mean, abs=4 * (mean / BLOCK) ** 0.5)
        assert counts.var() == pytest.approx(mean, rel=4 * (2 / BLOCK + 1 / (mean * BLOCK)) ** 0.5)


@pytest.mark.parametrize(("mu", "sigma"), [(3.0, 1.0), (5.0, 0.25)])
def test_amounts_are_log_normal_in_whole_currency(mu, sigma):
    _, (_, _, cents) = events(behaviour=Behaviour(amount_mu=mu, amount_sigma=sigma))
    logarithms = np.log(cents / 100)
    assert logarithms.mean() == pytest.approx(mu, abs=4 * sigma / len(cents) ** 0.5)
    assert logarithms.std() == pytest.approx(sigma, abs=4 * sigma / (2 * len(cents)) ** 0.5)


def test_plain_customers_and_events_are_value_by_value_those_of_earlier_versions():
    """The digests were taken before other behaviours came."""
    found = hashlib.sha256()
    for first, count in ((1, BLOCK), (2 * BLOCK + 1, 137)):
        for table in (app_session, purchase):
            found.update(Draws(WINDOW, first + count - 1, 7, DEFAULT).block(table, first, count).tobytes())
    assert found.hexdigest() == "5cb5af44c30293e553c3c0cfc37b2268c9ce9fa52829dc005fbd47a41e7e4b93"
    people = hashlib.sha256(repr(synthetic_customers(BLOCK + 1, 500, KEY)).encode())
    assert people.hexdigest() == "b389b5991b24b5d5efa43f8584ae0b446c3a09e5f79b40332b162f713dd3c069"


def test_the_default_behaviour_is_that_of_the_replaced_script():
    assert Behaviour() == Behaviour(sessions_per_week=5.0, purchases_per_week=1.0, amount_mu=3.0, amount_sigma=1.0)


def test_without_activity_there_are_no_rows():
    sessions, purchases = events(behaviour=Behaviour(sessions_per_week=0, purchases_per_week=0))
    assert sessions.shape == (2, 0)
    assert purchases.shape == (3, 0)


# --- binary COPY


def decode(stream: bytes) -> list[tuple[int, ...]]:
    """Rows of bigint out of a binary COPY stream, read as Postgres's manual describes it."""
    assert stream[:11] == b"PGCOPY\n\xff\r\n\0"
    flags, extension = struct.unpack_from(">ii", stream, 11)
    assert (flags, extension) == (0, 0)
    position, rows = 19, []
    while (fields := struct.unpack_from(">h", stream, position)[0]) != -1:
        position += 2
        row = []
        for _ in range(fields):
            length, value = struct.unpack_from(">iq", stream, position)
            assert length == 8
            position += 12
            row.append(value)
        rows.append(tuple(row))
    assert position + 2 == len(stream)
    return rows


def stream_of(rows: np.ndarray) -> bytes:
    return binary_copy._HEADER + rows.tobytes() + binary_copy._TRAILER


@pytest.mark.parametrize(
    "given",
    [
        [(1,), (2,)],
        [(1, 2), (3, 4), (5, 6)],
        [(1, 2, 3), (-1, 0, 2**63 - 1), (-(2**63), 255, 256)],
        [(0, 1, 2, 3)],
    ],
)
def test_binary_rows_decode_to_the_values_they_were_made_of(given):
    rows = packed(*np.array(given, dtype=np.int64).T)
    assert decode(stream_of(rows)) == given


def test_no_rows_are_an_empty_stream():
    nothing = np.array([], dtype=np.int64)
    assert decode(stream_of(packed(nothing, nothing))) == []


@pytest.mark.parametrize("table", [app_session, purchase])
def test_a_block_decodes_to_its_events_with_one_field_for_each_column(table):
    block = Draws(WINDOW, 20, 7, DEFAULT).block(table, 1, 20)
    rows = decode(stream_of(block))
    assert {len(row) for row in rows} == {len(table.columns)}
    assert rows == [tuple(row) for row in columns(block).T.tolist()]
    times = [POSTGRES_EPOCH + timedelta(microseconds=row[1]) for row in rows]
    assert WINDOW.start <= min(times)
    assert max(times) < WINDOW.end


# --- input and progress


@pytest.mark.parametrize(
    ("customers", "rng_seed", "message"),
    [
        (0, 1, "customers is 0; it takes a whole number from 1 to 10000000."),
        (-5, None, "customers is -5; it takes a whole number from 1 to 10000000."),
        (10_000_001, 1, "customers is 10000001; it takes a whole number from 1 to 10000000."),
        (10.0, 1, "customers is 10.0; it takes a whole number from 1 to 10000000."),  # for JSON that is an integer
        (10, 5.0, "rng_seed is 5.0; it takes a whole number from 0 to 9007199254740991, or nothing for a random one."),
        (
            10,
            2**70,
            f"rng_seed is {2**70}; it takes a whole number from 0 to 9007199254740991, or nothing for a random one.",
        ),
        (10, -1, "rng_seed is -1; it takes a whole number from 0 to 9007199254740991, or nothing for a random one."),
    ],
)
def test_numbers_out_of_range_are_refused_before_the_database_is_asked_anything(customers, rng_seed, message):
    no_engine = None
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        seed(no_engine, WINDOW, customers, rng_seed, hash_key=KEY)


@pytest.mark.parametrize(
    ("total", "lines"), [(1, 1), (BLOCK, 1), (BLOCK + 1, 2), (100_000, 10), (1_000_000, 10), (10_000_000, 10)]
)
def test_a_log_shows_at_most_a_line_for_each_tenth_and_one_at_the_end(caplog, total, lines):
    caplog.set_level(logging.INFO, logger="engage.steps.seed")
    for first in range(1, total + 1, BLOCK):
        log_progress(min(first + BLOCK - 1, total), total)
    assert len(caplog.messages) == lines
    assert caplog.messages[-1] == f"seeded {total} of {total} customers"
    done = [int(message.split()[1]) for message in caplog.messages]
    assert all(later > earlier for earlier, later in pairwise(done))
