"""Odd customers: who is far beyond all others, by fixed limits and by chance."""

from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from benchmarks import odd_customers as simulation
from engage.campaigns import odd_customers
from engage.campaigns.run_options import RunOptions
from engage.customers import erasure
from engage.sending import queue
from engage.statuses import NoLimit, OddLimit, OddMeasure
from engage.steps.bucket import bucket

CUSTOMERS = 10_000


def odd(world):
    """``measure, customer, found_by, value, most`` of each odd customer."""
    query = "SELECT measure, customer_id, found_by, value, most FROM odd_customer ORDER BY 1, 4 DESC, 2"
    return world.rows(query)


def found(world):
    with world.engine.begin() as conn:
        summary = odd_customers.of(conn, world.window)
    assert summary is not None
    return {(one.measure, one.found_by): one for one in summary.found}


@pytest.fixture
def many(world):
    """A campaign of 10,000 customers, whose numbers a test writes."""
    with world.engine.begin() as conn:
        simulation.open_campaign(conn, world.window, CUSTOMERS)
    return world


def drawn(seed=1):
    return simulation.POPULATIONS["heavy"](None, CUSTOMERS, seed)


# --- fixed limits


def test_a_customer_with_more_sessions_a_day_than_the_setting_is_odd(world):
    world.sessions(world.customer(), 56)
    world.sessions(world.customer(), 57)
    world.computed(odd_sessions_per_day="1")
    assert odd(world) == [("sessions", 2, "fixed", 57, 56)]


def test_a_customer_with_one_purchase_above_the_setting_is_odd_whatever_came_back(world):
    ada, ben, eve = (world.customer() for _ in range(3))
    world.purchase(ada, 100_00)
    for cents in (99_99, 99_99):
        world.purchase(ben, cents)
    for cents in (100_01, 150_00, 1):
        world.purchase(eve, cents)
    world.refund(eve, 250_02)
    world.computed(odd_amount="100")
    assert odd(world) == [("purchase", eve, "fixed", 150_00, 100_00)]


def test_customers_are_odd_if_too_many_of_a_list_have_one_phone(world):
    for phone in ("+999000000001",) * 3 + ("+999000000002",) * 2 + (None,) * 4:
        world.purchase(world.customer(phone=phone), 100)
    world.computed(odd_customers_per_phone="2")
    assert odd(world) == []  # the queue compares phones
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    assert odd(world) == [("phone", id_, "fixed", 3, 2) for id_ in (1, 2, 3)]
    assert found(world)[OddMeasure.PHONE, OddLimit.FIXED].customers == 3


def test_customers_who_may_not_be_texted_do_not_count_for_their_phone(world):
    """Whether other customers share another phone, or not."""
    for _ in range(4):
        world.purchase(world.customer(phone="+999000000001", consent_at=None, consent_source=None), 100)
    on_the_list = [world.customer(phone="+999000000002") for _ in range(3)]
    world.purchase(on_the_list[0], 100)
    for holdout, late in (("0", 1), ("100", 1), ("0", 300)):
        world.now = world.window.end + timedelta(days=late)
        world.computed(odd_customers_per_phone="2", holdout_percent=holdout)
        queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
        assert odd(world) == [("phone", id_, "fixed", 3, 2) for id_ in on_the_list]


@pytest.mark.parametrize("off", ["odd_sessions_per_day", "odd_amount", "odd_customers_per_phone"])
def test_zero_is_no_limit(world, off):
    limits = {"odd_sessions_per_day": "1", "odd_amount": "1", "odd_customers_per_phone": "1"}
    for _ in range(2):
        ada = world.customer(phone="+999000000001")
        world.sessions(ada, 57)
        world.purchase(ada, 101)
    world.computed(**limits | {off: "0"})
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    measures = {"odd_sessions_per_day": "sessions", "odd_amount": "purchase", "odd_customers_per_phone": "phone"}
    assert {row[0] for row in odd(world)} == set(measures.values()) - {measures[off]}


def test_a_hundred_are_listed_and_all_are_counted(many):
    sessions, cents = drawn()
    sessions[:150] = np.arange(5000, 5150)
    with many.engine.begin() as conn:
        simulation.write(conn, many.window, (sessions, cents))
    bucket(many.engine, many.window)
    listed = [row[1] for row in odd(many) if row[2] == "fixed"]
    assert listed == [*range(150, 50, -1)]
    assert found(many)[OddMeasure.SESSIONS, OddLimit.FIXED].customers == 150


# --- limits by chance


@pytest.mark.parametrize("population", simulation.POPULATIONS)
def test_chance_flags_about_one_customer_a_window_and_a_planted_bot_is_found(many, population):
    flagged, planted = [], []
    for seed in range(8):
        numbers = simulation.POPULATIONS[population](many.window, CUSTOMERS, seed)
        flagged.append(sum(simulation.by_chance(many.engine, many.window, numbers)))
        planted.append(simulation.planted_found(many.engine, many.window, numbers))
    assert 0.5 <= np.mean(flagged) <= 2
    assert np.all(planted)


def test_ten_bots_do_not_hide_each_other(many):
    sessions, cents = drawn()
    sessions[:10] = 1600
    listed = simulation.listed(many.engine, many.window, (sessions, cents))
    assert listed[OddMeasure.SESSIONS] >= set(range(1, 11))


@pytest.mark.parametrize("bots", [60, 150])
def test_a_crowd_beyond_the_fixed_limit_does_not_change_the_limit_by_chance(many, bots):
    sessions, cents = drawn()
    sessions[-bots:], cents[-bots:] = 0, 100
    simulation.listed(many.engine, many.window, (sessions, cents))
    alone = found(many)[OddMeasure.SESSIONS, OddLimit.CHANCE]
    sessions[-bots:] = np.arange(5000, 5000 + bots)
    simulation.listed(many.engine, many.window, (sessions, cents))
    assert found(many)[OddMeasure.SESSIONS, OddLimit.CHANCE] == alone
    assert found(many)[OddMeasure.SESSIONS, OddLimit.FIXED].customers == bots


def test_a_refund_of_what_was_bought_earlier_is_no_spend(many):
    sessions, cents = drawn()
    cents[:3] = 0
    with many.engine.begin() as conn:
        simulation.write(conn, many.window, (sessions, cents))
    many.purchase(2, 50_00)
    many.purchase(3, 900_000_00)
    many.execute(sa.text("UPDATE customer_activity SET refunded_cents = 100000000 WHERE customer_id <= 3"))
    bucket(many.engine, many.window)
    listed = {row[1]: row[3] for row in odd(many) if row[0] == "spend"}
    assert {one: listed.get(one) for one in (1, 2, 3)} == {1: None, 2: None, 3: 900_000_00}


@pytest.mark.parametrize("customers", [2_999, 3_000])
def test_of_too_few_customers_there_is_no_limit(many, customers):
    sessions, cents = (column[:customers] for column in drawn())
    simulation.listed(many.engine, many.window, (sessions, cents))
    one = found(many)[OddMeasure.SPEND, OddLimit.CHANCE]
    assert (one.no_limit is NoLimit.TOO_FEW) == (one.most is None) == (customers < 3_000)


def test_numbers_that_hardly_differ_give_no_limit(many):
    sessions, cents = drawn()
    sessions[:] = 1
    sessions[:90] = 2
    cents[:] = 500
    simulation.listed(many.engine, many.window, (sessions, cents))
    assert found(many)[OddMeasure.SESSIONS, OddLimit.CHANCE].no_limit is NoLimit.TOO_EQUAL
    assert found(many)[OddMeasure.SPEND, OddLimit.CHANCE].no_limit is NoLimit.TOO_FEW  # none is above the others


def test_few_small_counts_flag_no_crowd(many):
    """Of counts from 0 to 4 moments alone would find an end of the tail within them."""
    rng = np.random.default_rng(3)
    sessions, cents = rng.poisson(rng.gamma(2, 0.15, CUSTOMERS)), drawn()[1]
    assert len(simulation.listed(many.engine, many.window, (sessions, cents))[OddMeasure.SESSIONS]) <= 2


# --- kept with the campaign


def test_twice_is_the_same_as_once(world):
    world.sessions(world.customer(), 57)
    world.purchase(world.customer(phone=None), 2_00)
    world.computed(odd_sessions_per_day="1", odd_amount="1")
    before = world.dump("odd_customer"), found(world)
    bucket(world.engine, world.window)
    assert (world.dump("odd_customer"), found(world)) == before
    assert len(before[0]["odd_customer"]) == 2


def test_a_frozen_campaign_keeps_its_odd_customers(world):
    world.sessions(world.customer(), 57)
    world.computed(odd_sessions_per_day="1")
    world.message()
    before = world.dump("odd_customer"), found(world)
    world.computed(odd_sessions_per_day="0")
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    assert (world.dump("odd_customer"), found(world)) == before


def test_without_buckets_a_campaign_has_found_nothing_yet(world):
    world.sessions(world.customer(), 57)
    world.computed(odd_sessions_per_day="1")
    world.extract()
    with world.engine.begin() as conn:
        assert odd_customers.of(conn, world.window) is None


def test_an_erasure_takes_the_customer_off_the_list(world):
    world.sessions(world.customer(), 57)
    world.computed(odd_sessions_per_day="1")
    erasure.forget(world.engine, 1, as_of=world.now)
    assert odd(world) == []
    assert found(world)[OddMeasure.SESSIONS, OddLimit.FIXED].customers == 1


def test_a_dry_run_lists_shared_phones_too(world):
    for _ in range(3):
        world.purchase(world.customer(phone="+999000000001"), 100)
    world.computed(odd_customers_per_phone="2")
    queue.build(world.engine, world.window, options=RunOptions(dry_run=True), as_of=world.now)
    assert [row[0] for row in odd(world)] == ["phone"] * 3
