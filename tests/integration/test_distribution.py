"""The distribution and the funnel of a report agree with pandas, row by row."""

import json

import pandas as pd
import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns import distribution as distribution_module
from engage.campaigns.distribution import BINS, Distribution, axis, distribution
from engage.campaigns.distribution import of as distribution_of
from engage.reports import report
from engage.reports.funnel import funnel
from engage.segments import DEFAULT
from engage.settings import validate
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.seed import seed
from tests.integration.conftest import KEY

THRESHOLDS = [("100", "5"), ("0", "0"), ("123.45", "4.9"), ("300", "4.875"), ("1000000000", "1000000"), ("0.01", "0.1")]


def all_in(bins):
    """The customers in all bins of all segments."""
    return sum(map(sum, bins.values()))


@pytest.fixture
def customers(world):
    seed(world.engine, world.window, 800, 1, hash_key=KEY)
    world.customer(customer_id=900_001)
    world.purchase(world.customer(customer_id=900_002), 99_999_999)
    world.sessions(900_001, 40)
    world.computed()
    query = "SELECT a.*, b.bucket FROM customer_activity a JOIN customer_bucket b USING (window_start, customer_id)"
    return pd.read_sql(sa.text(query), world.engine)


@pytest.mark.parametrize(("low", "high"), THRESHOLDS)
def test_every_customer_is_in_the_bin_that_their_numbers_are_in(world, customers, low, high):
    settings = validate({"low_spend_threshold": low, "high_activity_threshold": high})
    with world.engine.begin() as conn:
        found = distribution(conn, world.window, settings)
    spend = customers.total_spend_cents.map(lambda cents: by_hand(found.spend, cents))
    sessions = customers.sessions.map(lambda number: by_hand(found.sessions, number))
    assert found.cells == pd.Series(zip(spend, sessions, customers.bucket, strict=True)).value_counts().to_dict()
    assert all_in(found.spend_by_bucket()) == all_in(found.sessions_by_bucket()) == len(customers)
    assert {len(bins) for bins in found.spend_by_bucket().values()} == {found.spend.bins}
    assert {len(bins) for bins in found.sessions_by_bucket().values()} == {found.sessions.bins}
    assert max(found.spend.bins, found.sessions.bins) < 4 * BINS


def by_hand(side, value):
    """The last bin whose lower edge is at most ``value``, or below it if an edge belongs to the bin below."""
    for number in reversed(range(side.bins)):
        edge = side.border + (number - side.below) * side.width
        if value > edge or (value == edge and not side.closed):
            return number
    raise AssertionError(value)


@pytest.mark.parametrize(("low", "high"), [("100", "5"), ("123.45", "4.9"), ("300", "4.875")])
def test_no_bin_lies_in_two_buckets(world, customers, low, high):
    settings = {"low_spend_threshold": low, "high_activity_threshold": high}
    counts = world.computed(**settings).buckets
    with world.engine.begin() as conn:
        found = distribution(conn, world.window, validate(settings))
    sums = dict.fromkeys(DEFAULT.names, 0)
    for (spend, sessions, segment), number in found.cells.items():
        high_activity = "REWARD" if sessions >= found.sessions.below else "NONE"
        assert segment == ("BOOST" if spend < found.spend.below else high_activity)
        sums[segment] += number
    assert sums == counts


def test_a_threshold_far_beyond_everybody_leaves_the_picture_of_them():
    side = axis(10**11, closed=False, unit=100, mean=250_00, deviation=100_00, largest=900_00)
    assert not side.in_view
    assert side.edge(side.bins) == pytest.approx(560, rel=0.1)


def test_it_can_be_drawn_of_nobody_and_of_people_who_do_nothing():
    side = axis(0, closed=False, unit=100, mean=0, deviation=0, largest=0)
    assert (side.bins, side.edge(0)) == (1, 0)


def test_the_funnel_only_narrows_and_counts_what_the_ledger_has(world, customers):
    world.message()
    world.execute(
        sa.text("UPDATE message SET status = 'delivered' WHERE customer_id IN "
                "(SELECT customer_id FROM message WHERE status = 'accepted' LIMIT 7)")
    )  # fmt: skip
    with world.engine.begin() as conn:
        found = funnel(report.of(conn, world.window))
    ledger = pd.read_sql(sa.text("SELECT * FROM message"), world.engine)
    assert found.customers == len(customers)
    assert found.bucketed == int((customers.bucket != "NONE").sum()) == len(ledger)
    assert found.eligible == int(ledger.reason.isna().sum()) < found.bucketed
    assert found.accepted == int(ledger.accepted_at.notna().sum())
    assert found.delivered == 7
    stages = list(found.stages().values())
    assert stages == sorted(stages, reverse=True)


# --- what the campaign keeps


def of(world):
    with world.engine.begin() as conn:
        found = campaign.find(conn, world.window)
        return distribution_of(conn, world.window, found.settings)


def kept(world):
    return world.value("SELECT distribution FROM campaign")


@pytest.mark.parametrize(("low", "high"), THRESHOLDS)
def test_what_is_kept_is_what_was_counted(world, customers, low, high):
    world.computed(low_spend_threshold=low, high_activity_threshold=high)
    with world.engine.begin() as conn:
        counted = distribution(conn, world.window, campaign.find(conn, world.window).settings)
    assert Distribution.from_json(json.loads(json.dumps(kept(world)))) == counted == of(world)


def test_a_page_counts_no_customer_whom_the_step_has_counted(world, customers, monkeypatch):
    monkeypatch.setattr(distribution_module, "distribution", pytest.fail)
    assert all_in(of(world).spend_by_bucket()) == len(customers)


def test_putting_customers_in_buckets_twice_is_the_same_as_once(world, customers):
    before = kept(world)
    bucket(world.engine, world.window)
    assert kept(world) == before


@pytest.mark.parametrize("step", ["extract", "aggregate"])
def test_a_campaign_that_is_computed_anew_has_no_old_distribution(world, customers, step):
    before = of(world)
    world.sessions(900_002, 400)
    world.extract() if step == "extract" else aggregate(world.engine, world.window)
    assert kept(world) is None
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)
    assert of(world).cells != before.cells


def test_a_version_that_keeps_none_leaves_no_old_one(world, customers):
    world.execute(sa.text("UPDATE campaign SET buckets = 'null'"))
    world.execute(sa.text("UPDATE campaign SET buckets = '{\"BOOST\": 1}'"))
    assert kept(world) is None


def test_the_distribution_of_an_older_campaign_is_counted_once(world, customers, monkeypatch):
    before = kept(world)
    world.execute(sa.text("UPDATE campaign SET distribution = NULL"))
    assert of(world).to_json() == before
    assert kept(world) == before
    monkeypatch.setattr(distribution_module, "distribution", pytest.fail)
    assert of(world).to_json() == before


def test_a_page_neither_waits_for_a_step_nor_keeps_a_count_beside_it(world, customers):
    world.execute(sa.text("UPDATE campaign SET distribution = NULL"))
    with world.engine.begin() as conn:
        campaign.locked(conn, world.window)
        assert all_in(of(world).spend_by_bucket()) == len(customers)
    assert kept(world) is None


def test_a_count_by_other_thresholds_is_not_kept(world, customers):
    world.execute(sa.text("UPDATE campaign SET distribution = NULL"))
    with world.engine.begin() as conn:
        distribution_of(conn, world.window, validate({"low_spend_threshold": "7"}))
    assert kept(world) is None
