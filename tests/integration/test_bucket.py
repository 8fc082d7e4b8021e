import pytest

from engage.errors import NotReady
from engage.steps.bucket import bucket


def buckets(world):
    return dict(world.rows("SELECT customer_id, bucket FROM customer_bucket"))


@pytest.mark.parametrize(
    ("cents", "sessions", "expected"),
    [
        (9_999, 0, "BOOST"),
        (9_999, 80, "BOOST"),  # low spend goes first
        (10_000, 40, "NONE"),  # 5.0 a week is not more than 5.0
        (10_000, 41, "REWARD"),
        (10_000, 0, "NONE"),
        (0, 41, "BOOST"),
    ],
)
def test_the_rule_with_its_defaults(world, cents, sessions, expected):
    ada = world.customer()
    world.purchase(ada, cents)
    world.sessions(ada, sessions) if sessions else None
    world.computed()
    assert buckets(world) == {ada: expected}


def test_a_customer_without_events_lands_in_boost(world):
    ada, ben = world.customer(), world.customer()
    world.sessions(ada)
    world.computed()
    assert buckets(world)[ben] == "BOOST"


def test_zero_is_a_threshold_that_no_customer_spends_less_than(world):
    ada, ben = world.customer(), world.customer()
    world.sessions(ada)
    summary = world.computed(low_spend_threshold="0", high_activity_threshold="0")
    assert buckets(world) == {ada: "REWARD", ben: "NONE"}
    assert summary.buckets == {"BOOST": 0, "REWARD": 1, "NONE": 1}


def test_thresholds_come_from_the_snapshot(world):
    ada = world.customer()
    world.purchase(ada, 11_000)
    world.sessions(ada, 40)
    world.computed(low_spend_threshold="110.01")
    assert buckets(world) == {ada: "BOOST"}
    world.computed(low_spend_threshold="110", high_activity_threshold="4.9")
    assert buckets(world) == {ada: "REWARD"}


def test_each_row_keeps_the_values_that_were_compared(world):
    ada = world.customer()
    world.purchase(ada, 11_000)
    world.sessions(ada, 20)
    world.computed()
    assert world.rows("SELECT total_spend_cents, avg_weekly_sessions FROM customer_bucket") == [(11_000, 2.5)]


def test_the_summary_and_the_campaign_count_every_bucket(world):
    for spent in (0, 0, 20_000):
        world.purchase(world.customer(), spent)
    assert world.computed().buckets == {"BOOST": 2, "REWARD": 0, "NONE": 1}
    assert world.value("SELECT buckets FROM campaign") == {"BOOST": 2, "REWARD": 0, "NONE": 1}


def test_twice_is_the_same_as_once(world):
    world.purchase(world.customer(), 0)
    first = world.computed()
    before = world.dump("customer_bucket")
    assert bucket(world.engine, world.window) == first
    assert world.dump("customer_bucket") == before


def test_it_needs_the_aggregates_of_this_run(world):
    world.sessions(world.customer())
    world.extract()
    with pytest.raises(NotReady, match="aggregate step first"):
        bucket(world.engine, world.window)


def test_a_frozen_campaign_keeps_its_buckets(world):
    world.purchase(world.customer(), 0)
    world.computed()
    world.message()
    before = world.dump("customer_bucket", "campaign")
    summary = world.computed(low_spend_threshold="0")
    assert summary.frozen
    assert summary.buckets == {"BOOST": 1, "REWARD": 0, "NONE": 0}
    assert world.dump("customer_bucket", "campaign") == before
