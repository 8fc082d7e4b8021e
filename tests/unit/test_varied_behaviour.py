"""Customers with habits of their own, as the generator draws them. Tolerances are of four standard errors or more."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from engage.customers.synthetic import BEHAVIOURS, BLOCK, BehaviourName, Draws
from engage.customers.varied_behaviour import (
    DROP_OUT_SHAPE,
    DROP_OUT_WEEKS,
    RATE_SHAPE,
    RETURN_CHANCE,
    WEEKDAYS,
    Block,
    habits,
)
from engage.storage.binary_copy import microseconds
from engage.storage.schema import app_session, purchase
from engage.window import ANCHOR, LENGTH, Window

VARIED = BEHAVIOURS[BehaviourName.VARIED]
FIRST, LATE = Window(ANCHOR), Window(datetime(2026, 2, 2, tzinfo=UTC))
DAY = 86_400_000_000
TABLES = [app_session, purchase]
each_table = pytest.mark.parametrize("table", TABLES)


def events(table, window=LATE, *, first=1, count=BLOCK, rng_seed=7, factors=None):
    """One block's events as plain columns: customer, time, and cents of purchases."""
    rows = Draws(window, first + count - 1, rng_seed, VARIED).block(table, first, count, factors)
    return np.array([rows[name].astype(np.int64) for name in rows.dtype.names if name.startswith("value")])


def counts(table, window=LATE, **options):
    return np.bincount(events(table, window, **options)[0] - options.get("first", 1), minlength=BLOCK)


def many_habits():
    """The habits of a hundred thousand customers."""
    return [habits(7, first, BLOCK) for first in range(1, 10 * BLOCK, BLOCK)]


def stays(window):
    """Which customers of the first block have not dropped out by the window's end."""
    return habits(7, 1, BLOCK).gone_from >= microseconds(window.end)


# --- what persists, and what does not


@each_table
def test_the_same_seed_gives_the_same_events(table):
    np.testing.assert_array_equal(events(table), events(table))


@each_table
def test_a_customer_keeps_the_rate_in_each_window_and_the_draws_differ(table):
    there = stays(LATE)
    one, other = counts(table, FIRST)[there], counts(table, LATE)[there]
    assert not np.array_equal(one, other)
    assert np.corrcoef(one, other)[0, 1] > 0.85


@each_table
def test_the_rate_is_that_of_the_habits_whatever_the_window(table):
    own = habits(7, 1, BLOCK).pace["sessions" if table is app_session else "purchases"]
    weekly = VARIED.sessions_per_week if table is app_session else VARIED.purchases_per_week
    for window in (FIRST, FIRST.next(), LATE):
        there = stays(window)
        expected = own[there] * weekly * 8
        deviations = (counts(table, window)[there] - expected) / np.sqrt(np.maximum(expected, 1))
        assert np.abs(deviations).max() < 7
        assert counts(table, window)[there].sum() == pytest.approx(expected.sum(), abs=4 * expected.sum() ** 0.5)


@each_table
@pytest.mark.parametrize("other", [{"rng_seed": 8}, {"rng_seed": 2**53 - 1}, {"first": BLOCK + 1}])
def test_another_seed_or_block_gives_other_rates(table, other):
    one, another = counts(table, FIRST), counts(table, FIRST, **other)
    assert abs(np.corrcoef(one, another)[0, 1]) < 0.1


@each_table
@pytest.mark.parametrize("fewer", [1, 17, BLOCK - 1])
def test_a_customers_events_do_not_depend_on_how_many_customers_there_are(table, fewer):
    all_ = events(table)
    np.testing.assert_array_equal(events(table, count=fewer), all_[:, all_[0] <= fewer])


def test_the_level_of_amounts_persists():
    means = []
    for window in (FIRST, LATE):
        ids, _, cents = events(purchase, window)
        often = np.bincount(ids - 1, minlength=BLOCK)
        total = np.bincount(ids - 1, np.log(cents), minlength=BLOCK)
        means.append((often, total / np.maximum(often, 1)))
    there = (means[0][0] > 10) & (means[1][0] > 10)
    assert there.sum() > 500
    assert np.corrcoef(means[0][1][there], means[1][1][there])[0, 1] > 0.8


# --- distributions


@pytest.mark.parametrize("what", ["sessions", "purchases"])
def test_rates_are_gamma_distributed_with_the_plain_mean(what):
    pace = np.concatenate([own.pace[what] for own in many_habits()])
    assert pace.mean() == pytest.approx(1, abs=4 * (1 / RATE_SHAPE / len(pace)) ** 0.5)
    assert pace.var() == pytest.approx(1 / RATE_SHAPE, rel=0.05)
    assert (pace < 0.1).mean() > 0.2  # many buy hardly ever


def test_the_means_of_customers_who_stay_are_the_plain_ones():
    for table, mean in ((app_session, 40.0), (purchase, 8.0)):
        found = counts(table, FIRST)[stays(FIRST)]
        error = ((mean + mean**2 / RATE_SHAPE) / len(found)) ** 0.5
        assert found.mean() == pytest.approx(mean, abs=4 * error)


def test_amounts_are_log_normal_as_the_plain_ones_and_most_of_their_variance_lies_between_customers():
    everyone = np.concatenate([np.arange(BLOCK)] * 2)
    block = Block.of(7, FIRST, 0, 1, BLOCK)
    logarithms = np.log(block.amounts(np.random.default_rng(1), everyone, 3.0, 1.0) / 100).reshape(2, BLOCK)
    assert logarithms.mean() == pytest.approx(3, abs=0.05)
    assert logarithms.std() == pytest.approx(1, abs=0.04)
    assert np.corrcoef(logarithms)[0, 1] == pytest.approx(0.64, abs=0.03)


def test_events_follow_the_days_of_the_week():
    for table in TABLES:
        times = events(table)[1] - microseconds(LATE.start)
        of_day = np.bincount(times // DAY % 7, minlength=7)
        expected = np.array(WEEKDAYS) / sum(WEEKDAYS) * len(times)
        assert np.abs(of_day - expected).max() < 5 * expected.max() ** 0.5
        assert np.bincount(times // DAY // 7, minlength=8).min() > 0.1 * len(times)
    assert sum(WEEKDAYS) == pytest.approx(7)


def test_a_days_events_are_spread_evenly_over_it():
    times = events(app_session)[1]
    hours = np.bincount(times % DAY // (DAY // 24), minlength=24)
    assert np.abs(hours - len(times) / 24).max() < 5 * (len(times) / 24) ** 0.5


@each_table
@pytest.mark.parametrize("window", [FIRST, LATE, Window(ANCHOR + 40 * LENGTH), Window(ANCHOR - LENGTH)])
def test_every_event_lies_in_the_window(table, window):
    times = events(table, window)[1]
    assert len(times) > 1000
    assert microseconds(window.start) <= times.min()
    assert times.max() < microseconds(window.end)


# --- drop-out


def test_lifetimes_are_pareto_distributed():
    gone_from = np.concatenate([own.gone_from for own in many_habits()])
    weeks = (gone_from - microseconds(ANCHOR)) / (7 * DAY)
    assert weeks.min() >= 0
    for after in (8, 38, 104, 520):
        share = (1 + after / DROP_OUT_WEEKS) ** -DROP_OUT_SHAPE
        assert (weeks > after).mean() == pytest.approx(share, abs=4 * (share * (1 - share) / len(weeks)) ** 0.5)


@each_table
def test_customers_who_have_dropped_out_stay_out_but_for_a_few(table):
    windows = [Window(ANCHOR + number * LENGTH) for number in range(12)]
    own = habits(7, 1, BLOCK)
    missing = 0
    for window in windows:
        gone = own.gone_from < microseconds(window.start)
        assert gone.sum() >= missing
        missing = gone.sum()
        assert (
            counts(table, window)[gone].astype(bool).sum()
            <= missing * RETURN_CHANCE + 4 * (missing * RETURN_CHANCE) ** 0.5
        )
    assert missing > BLOCK / 3


def test_fewer_customers_buy_from_window_to_window():
    buyers = [(counts(purchase, Window(ANCHOR + number * LENGTH)) > 0).sum() for number in (0, 3, 6, 9, 12)]
    assert buyers == sorted(buyers, reverse=True)
    assert len(set(buyers)) == len(buyers)


def test_a_customer_has_no_event_after_dropping_out_in_a_window():
    own = habits(7, 1, BLOCK)
    gone = (own.gone_from > microseconds(FIRST.start)) & (own.gone_from < microseconds(FIRST.end))
    assert gone.sum() > 500
    for table in TABLES:
        ids, times, *_ = events(table, FIRST)
        of_gone = gone[ids - 1]
        assert of_gone.sum() > 500
        assert (times[of_gone] < own.gone_from[ids[of_gone] - 1]).all()


def test_a_customer_who_comes_back_opens_the_app_and_buys():
    gone = habits(7, 1, BLOCK).gone_from < microseconds(LATE.start)
    opened, bought = (set(np.flatnonzero((counts(table) > 0) & gone)) for table in TABLES)
    assert len(opened) > 10
    assert len(bought) > 10
    assert len(bought - opened) <= 5  # the rates are independent, and a slow one may give no event


# --- an effect


FACTORS = np.where(np.arange(BLOCK) % 2 == 1, 2.0, 1.0)


def of_customers(found, wanted):
    return found[:, wanted[found[0] - 1]]


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.3, 11.0])
def test_an_effect_leaves_the_others_events_as_they_are(factor):
    factors = np.where(np.arange(BLOCK) % 2 == 1, factor, 1.0)
    found, without = events(purchase, factors=factors), events(purchase)
    others = factors == 1
    np.testing.assert_array_equal(of_customers(found, others), of_customers(without, others))


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 1.3, 2.0, 11.0])
def test_an_effect_multiplies_the_purchases(factor):
    found, without = (
        sum(events(purchase, first=first, factors=f).shape[1] for first in range(1, 5 * BLOCK, BLOCK))
        for f in (np.full(BLOCK, factor), None)
    )
    assert found / without == pytest.approx(factor, abs=4 * (abs(factor - 1) * (1 + abs(factor - 1)) / without) ** 0.5)


def test_an_effect_of_all_leaves_no_purchase_and_every_session():
    assert events(purchase, factors=np.zeros(BLOCK)).shape == (3, 0)
    np.testing.assert_array_equal(events(app_session, factors=np.zeros(BLOCK)), events(app_session))


def test_more_purchases_are_added_to_those_there_would_have_been_and_fewer_are_some_of_them():
    without = set(map(tuple, events(purchase).T.tolist()))
    more = set(map(tuple, events(purchase, factors=FACTORS).T.tolist()))
    fewer = set(map(tuple, events(purchase, factors=1 / FACTORS).T.tolist()))
    assert fewer < without < more


def test_added_purchases_are_like_the_others():
    own, window = habits(7, 1, BLOCK), FIRST
    without = set(map(tuple, events(purchase, window).T.tolist()))
    added = np.array([row for row in events(purchase, window, factors=FACTORS).T.tolist() if tuple(row) not in without])
    ids, times, cents = added.T
    assert set(ids % 2) == {0}
    assert (times < own.gone_from[ids - 1]).all()
    assert microseconds(window.start) <= times.min() <= times.max() < microseconds(window.end)
    assert np.corrcoef(np.log(cents), own.level[ids - 1])[0, 1] == pytest.approx(0.8, abs=0.03)
