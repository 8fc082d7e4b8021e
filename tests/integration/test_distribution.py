"""The distribution and the funnel of a report agree with pandas, row by row."""

import pandas as pd
import pytest
import sqlalchemy as sa

from engage.campaigns.distribution import BINS, axis, distribution
from engage.campaigns.segments import BOOST, NONE, REWARD
from engage.reports import report
from engage.reports.funnel import funnel
from engage.settings import validate
from engage.steps.seed import seed
from tests.integration.conftest import KEY

THRESHOLDS = [("100", "5"), ("0", "0"), ("123.45", "4.9"), ("300", "4.875"), ("1000000000", "1000000"), ("0.01", "0.1")]


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
    assert found.cells == pd.Series(zip(spend, sessions, strict=True)).value_counts().to_dict()
    assert sum(found.by_spend()) == sum(found.by_sessions()) == len(customers)
    assert len(found.by_spend()) == found.spend.bins < 4 * BINS
    assert len(found.by_sessions()) == found.sessions.bins < 4 * BINS


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
    sums = dict.fromkeys((BOOST, REWARD, NONE), 0)
    for (spend, sessions), number in found.cells.items():
        high_activity = REWARD if sessions >= found.sessions.below else NONE
        sums[BOOST if spend < found.spend.below else high_activity] += number
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
