from datetime import timedelta

import pandas as pd
import pytest

from engage.campaigns.valid_events import MAX_AMOUNT_CENTS
from engage.errors import NotReady
from engage.steps.aggregate import aggregate
from engage.steps.seed import seed

COLUMNS = "customer_id, sessions, purchases, total_spend_cents, avg_weekly_sessions"


def activity(world):
    return world.rows(f"SELECT {COLUMNS} FROM customer_activity ORDER BY customer_id")


def run(world):
    world.extract()
    return aggregate(world.engine, world.window)


def test_it_sums_up_each_customer(world):
    ada, ben = world.customer(), world.customer()
    world.sessions(ada, 12)
    world.purchase(ada, 1050)
    world.purchase(ada, 99)
    world.sessions(ben, 1)
    assert run(world).customers == 2
    assert activity(world) == [(ada, 12, 2, 1149, 1.5), (ben, 1, 0, 0, 0.125)]


def test_a_customer_without_any_activity_is_included_with_zeros(world):
    ada, ben = world.customer(), world.customer()
    world.sessions(ada)
    run(world)
    assert activity(world)[1] == (ben, 0, 0, 0, 0.0)


def test_a_customer_with_purchases_only_and_one_with_sessions_only(world):
    ada, ben = world.customer(), world.customer()
    world.sessions(ada, 8)
    world.purchase(ben, 10_000)
    run(world)
    assert activity(world) == [(ada, 8, 0, 0, 1.0), (ben, 0, 1, 10_000, 0.0)]


def test_rows_that_do_not_count_are_in_no_total(world):
    ada = world.customer()
    world.sessions(ada)
    world.sessions(ada, at=None)
    world.sessions(ada, at=world.window.end)
    world.sessions(None)
    for cents in (-1, None):
        world.purchase(ada, cents)
    world.purchase(ada, 700, at=world.window.start - timedelta(seconds=1))
    run(world)
    assert activity(world) == [(ada, 1, 0, 0, 0.125)]


def test_events_of_unknown_customers_are_counted_and_in_no_total(world):
    ada = world.customer()
    world.sessions(ada)
    world.sessions(888, 2)
    world.purchase(999, 100)
    summary = run(world)
    assert summary.rejected["unknown_customer"] == 3
    assert "RejectReason" not in str(summary.rejected)  # as the task's log shows it
    assert activity(world) == [(ada, 1, 0, 0, 0.125)]
    assert world.value("SELECT rejected ->> 'unknown_customer' FROM campaign") == "3"


def test_a_customer_registered_after_the_window_is_not_in_it_and_its_events_have_a_reason_of_their_own(world):
    ada = world.customer()
    late = world.customer(registered_at=world.window.end)
    early = world.customer(registered_at=world.window.end - timedelta(microseconds=1))
    world.sessions(ada)
    world.sessions(late, 2)
    world.sessions(888)
    summary = run(world)
    assert [row[0] for row in activity(world)] == [ada, early]
    assert (summary.rejected["registered_later"], summary.rejected["unknown_customer"]) == (2, 1)


def test_large_amounts_add_up(world):
    ada = world.customer()
    for _ in range(3):
        world.purchase(ada, MAX_AMOUNT_CENTS)
    run(world)
    assert activity(world)[0][3] == 3 * MAX_AMOUNT_CENTS


def test_an_impossible_amount_is_invalid_and_stops_nothing(world):
    ada = world.customer()
    world.purchase(ada, 500)
    world.purchase(ada, MAX_AMOUNT_CENTS + 1)
    world.purchase(ada, 2**63 - 1)
    assert run(world).rejected["invalid_amount"] == 2
    assert activity(world)[0][3] == 500


def test_it_agrees_with_pandas_row_by_row(world):
    seed(world.engine, world.window, 500, 3, hash_key=b"k" * 32)
    run(world)
    with world.engine.connect() as conn:
        customers = pd.read_sql("SELECT customer_id FROM customer", conn)
        sessions = pd.read_sql("SELECT customer_id FROM app_session", conn).value_counts("customer_id")
        amounts = pd.read_sql("SELECT customer_id, amount_cents FROM purchase", conn).groupby("customer_id")
    expected = customers.set_index("customer_id").sort_index()
    expected["sessions"] = sessions
    expected["purchases"] = amounts.size()
    expected["spend"] = amounts.amount_cents.sum()
    expected = expected.fillna(0).astype(int)
    expected["avg"] = expected.sessions / 8
    assert activity(world) == [tuple(row) for row in expected.itertuples(name=None)]


def test_twice_is_the_same_as_once(world):
    world.sessions(world.customer(), 3)
    first = run(world)
    before = activity(world)
    assert aggregate(world.engine, world.window) == first
    assert activity(world) == before


def test_it_needs_an_opened_campaign(world):
    with pytest.raises(NotReady, match="extract step first"):
        aggregate(world.engine, world.window)


def test_a_frozen_campaign_keeps_its_aggregates(world):
    ada = world.customer()
    world.sessions(ada, 8)
    world.computed()
    world.message()
    before = activity(world)
    world.sessions(ada, 8)
    assert aggregate(world.engine, world.window).frozen
    assert activity(world) == before


def test_events_that_arrive_between_extract_and_aggregate_do_not_upset_the_counts(world):
    ada = world.customer()
    world.sessions(ada)
    world.sessions(888)
    world.extract()
    world.sessions(ada, 5)
    world.sessions(888, 2)
    world.sessions(None)
    world.purchase(ada, 100)
    world.purchase(999, 100)
    summary = aggregate(world.engine, world.window)
    assert summary.rejected["unknown_customer"] == 4
    assert summary.rejected["missing_customer"] == 1
    assert world.value("SELECT events FROM campaign") == {"sessions": 9, "purchases": 2}
    assert activity(world) == [(ada, 6, 1, 100, 0.75)]
