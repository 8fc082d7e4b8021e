"""What the aggregate knows of a customer beyond counts: times, app events, the window before."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.customers import erasure
from engage.errors import NoValidEvents
from engage.steps.aggregate import activity, aggregate
from engage.steps.bucket import bucket
from engage.storage.schema import customer_activity
from tests.waiting import until

APP_EVENTS = ("viewed", "liked", "added_to_basket")
TIMES = ("last_session_at", "first_purchase_at", "last_purchase_at")
PREVIOUS = ("previous_total_spend_cents", "previous_sessions", "previous_segment")
NOTHING = (None, None, None)


@pytest.fixture
def before(in_window, window):
    """The window before."""
    return in_window(window.previous())


def day(world, days):
    return world.window.start + timedelta(days=days)


def numbers(world, customer_id, columns):
    """Columns of a customer's row in the world's window."""
    table = customer_activity
    query = sa.select(*(table.c[name] for name in columns))
    [row] = world.rows(query.where(table.c.customer_id == customer_id, table.c.window_start == world.window.start))
    return row


def aggregated(world):
    world.extract()
    return aggregate(world.engine, world.window)


@pytest.fixture
def ada(world):
    """A customer of both windows; another one keeps each window from being empty."""
    world.sessions(world.customer(customer_id=900), at=day(world, 1))
    return world.customer()


@pytest.fixture
def earlier(before):
    """Ada's customers' window before, which is not empty either."""
    before.sessions(900)
    return before


# --- the window alone


def test_a_customer_without_any_event_has_zeros_and_no_times(world, ada):
    aggregated(world)
    assert numbers(world, ada, APP_EVENTS) == (0, 0, 0)
    assert numbers(world, ada, TIMES) == NOTHING
    assert numbers(world, ada, PREVIOUS) == NOTHING
    assert numbers(world, ada, ["registered_at", "favourite_item"]) == (day(world, -30), None)


def test_the_times_are_those_of_the_last_session_and_the_first_and_last_purchase(world, ada):
    for days in (5, 9, 7):
        world.sessions(ada, at=day(world, days))
        world.purchase(ada, 100, at=day(world, days + 10))
    aggregated(world)
    assert numbers(world, ada, TIMES) == (day(world, 9), day(world, 15), day(world, 19))


def test_a_customer_who_only_opened_the_app_has_never_bought(world, ada):
    world.sessions(ada, at=day(world, 5))
    aggregated(world)
    assert numbers(world, ada, TIMES) == (day(world, 5), None, None)


@pytest.mark.parametrize("cents", [-1, None, 10**13])
def test_a_purchase_that_does_not_count_has_no_time_either(world, ada, cents):
    world.purchase(ada, cents, at=day(world, 1))
    world.purchase(ada, 100, at=day(world, 2))
    world.purchase(ada, cents, at=day(world, 3))
    aggregated(world)
    assert numbers(world, ada, TIMES) == (None, day(world, 2), day(world, 2))


def test_an_event_at_the_windows_edges_is_in_it_or_not(world, ada):
    world.sessions(ada, at=world.window.start)
    world.sessions(ada, at=world.window.end)
    world.purchase(ada, 1, at=world.window.end - timedelta(microseconds=1))
    world.purchase(ada, 1, at=world.window.start - timedelta(microseconds=1))
    aggregated(world)
    last = world.window.end - timedelta(microseconds=1)
    assert numbers(world, ada, TIMES) == (world.window.start, last, last)


def test_app_events_are_counted_by_kind(world, ada):
    for kind, times in (("viewed", 3), ("liked", 2), ("added_to_basket", 1)):
        for _ in range(times):
            world.app_event(ada, kind)
    aggregated(world)
    assert numbers(world, ada, APP_EVENTS) == (3, 2, 1)
    assert numbers(world, ada, ["sessions", "purchases", "total_spend_cents"]) == (0, 0, 0)


def test_dirty_app_events_are_in_no_number_and_upset_no_count(world, ada):
    late = world.customer(registered_at=world.window.end)
    world.app_event(ada, "liked", item="never heard of")
    aggregated(world)
    columns = "status, events, rejected, customers"
    clean = world.rows(f"SELECT {columns} FROM campaign"), world.dump("customer_activity")
    for kind in APP_EVENTS:
        world.app_event(None, kind)
        world.app_event(888, kind)
        world.app_event(late, kind)
        world.app_event(ada, kind, at=None)
        world.app_event(ada, kind, at=world.now + timedelta(days=400))
        world.app_event(ada, kind, at=world.window.end)
    aggregated(world)
    assert (world.rows(f"SELECT {columns} FROM campaign"), world.dump("customer_activity")) == clean
    assert numbers(world, ada, APP_EVENTS) == (0, 1, 0)


def test_an_unknown_customer_with_sessions_and_app_events_is_rejected_by_the_sessions_alone(world, ada):
    world.sessions(888, 2)
    for _ in range(5):
        world.app_event(888, "viewed")
    assert aggregated(world).rejected["unknown_customer"] == 2
    assert world.value("SELECT count(*) FROM customer_activity WHERE customer_id = 888") == 0


def test_a_window_of_app_events_only_has_no_valid_event(world):
    world.app_event(world.customer(), "viewed")
    with pytest.raises(NoValidEvents):
        world.extract()


# --- the favourite item


def favourites(world, **options):
    query = activity(world.window, **options).subquery()
    return dict(world.rows(sa.select(query.c.customer_id, query.c.favourite_item)))


def test_the_favourite_item_is_found_only_on_request(world, ada):
    world.app_event(ada, "liked")
    aggregated(world)
    assert numbers(world, ada, ["favourite_item"]) == (None,)
    assert favourites(world) == {ada: None, 900: None}
    assert favourites(world, favourite_items=True) == {ada: "pie", 900: None}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("viewed pie, viewed pie, liked bun", "pie"),  # most often
        ("viewed bun, viewed bun, viewed pie, liked pie", "pie"),  # more likes
        ("viewed pie, viewed bun", "bun"),  # the smaller id
        ("viewed a, viewed B", "B"),  # on every server, whatever its collation
        ("added_to_basket pie, added_to_basket pie, viewed bun", "bun"),
        ("added_to_basket pie", None),
    ],
)
def test_the_favourite_item_is_the_one_viewed_or_liked_most_often(world, ada, events, expected):
    for event in events.split(", "):
        kind, item = event.split()
        world.app_event(ada, kind, item)
    aggregated(world)
    assert favourites(world, favourite_items=True)[ada] == expected


def test_dirt_is_not_a_favourite_item(world, ada):
    for _ in range(3):
        world.app_event(ada, "viewed", None)
        world.app_event(ada, "viewed", "")
        world.app_event(ada, "viewed", "late", at=world.window.end)
        world.app_event(None, "viewed", "cake")
        world.app_event(888, "viewed", "cake")
    world.app_event(ada, "viewed", "pie")
    aggregated(world)
    assert favourites(world, favourite_items=True) == {ada: "pie", 900: None}


# --- the window before


def test_without_a_campaign_of_the_window_before_there_is_nothing_to_carry_on(world, ada, earlier):
    earlier.sessions(ada, 8)
    earlier.purchase(ada, 700)
    earlier.extract()
    aggregate(earlier.engine, earlier.window)  # its customers are in no buckets
    aggregated(world)
    assert numbers(world, ada, TIMES + PREVIOUS) == NOTHING * 2


def test_a_customer_only_of_the_window_before_keeps_its_times(world, ada, earlier):
    earlier.sessions(ada, 9, at=day(earlier, 5))
    earlier.purchase(ada, 700, at=day(earlier, 6))
    earlier.purchase(ada, 11_000, at=day(earlier, 7))
    earlier.computed()
    aggregated(world)
    assert numbers(world, ada, TIMES) == (day(earlier, 5), day(earlier, 6), day(earlier, 7))
    assert numbers(world, ada, PREVIOUS) == (11_700, 9, "NONE")
    assert numbers(world, ada, ["sessions", "purchases", "total_spend_cents"]) == (0, 0, 0)


def test_a_customer_of_both_windows_has_the_first_of_the_earlier_and_the_last_of_the_later(world, ada, earlier):
    for each in (earlier, world):
        each.sessions(ada, at=day(each, 5))
        each.purchase(ada, 700, at=day(each, 6))
    earlier.computed()
    aggregated(world)
    assert numbers(world, ada, TIMES) == (day(world, 5), day(earlier, 6), day(world, 6))
    assert numbers(world, ada, PREVIOUS) == (700, 1, "BOOST")


def test_a_customer_who_never_bought_in_two_windows_has_no_purchase(world, ada, earlier):
    earlier.computed()
    aggregated(world)
    assert numbers(world, ada, TIMES + PREVIOUS) == (*NOTHING, 0, 0, "BOOST")


def test_a_customer_registered_since_is_not_in_the_window_before(world, ada, earlier):
    earlier.computed()
    ben = world.customer(registered_at=world.window.start)
    world.purchase(ben, 700, at=day(world, 6))
    aggregated(world)
    assert numbers(world, ben, TIMES + PREVIOUS) == (None, day(world, 6), day(world, 6), *NOTHING)


def test_times_are_carried_on_over_two_windows(world, ada, earlier, in_window):
    first = in_window(earlier.window.previous())
    first.sessions(900)
    first.sessions(ada, at=day(first, 50))
    first.purchase(ada, 700, at=day(first, 51))
    world.execute(sa.text("UPDATE customer SET registered_at = '2025-01-01'"))
    for each in (first, earlier, world):
        each.computed()
    expected = (day(first, 50), day(first, 51), day(first, 51))
    assert numbers(world, ada, TIMES) == expected
    assert numbers(world, ada, PREVIOUS) == (0, 0, "BOOST")


def test_a_campaign_of_an_earlier_version_carries_on_no_times(world, ada, earlier):
    earlier.sessions(ada, 3)
    earlier.purchase(ada, 700)
    earlier.computed()
    world.execute(sa.update(customer_activity).values(dict.fromkeys(TIMES)))
    world.purchase(ada, 500, at=day(world, 6))
    aggregated(world)
    assert numbers(world, ada, TIMES) == (None, day(world, 6), day(world, 6))
    assert numbers(world, ada, PREVIOUS) == (700, 3, "BOOST")


def test_more_sessions_than_a_float_has_digits_for_are_carried_on_exactly(world, ada, earlier):
    earlier.computed()
    world.execute(sa.update(customer_activity).values(sessions=2**53 + 1))
    aggregated(world)
    assert numbers(world, ada, ["previous_sessions"]) == (2**53 + 1,)


def test_twice_is_the_same_as_once(world, ada, earlier):
    for each in (earlier, world):
        each.sessions(ada, 3)
        each.purchase(ada, 700)
        each.app_event(ada, "liked")
    earlier.computed()
    first = world.computed()
    before = world.dump("customer_activity", "customer_bucket")
    for step in (aggregate, bucket):
        step(world.engine, world.window)
    assert world.dump("customer_activity", "customer_bucket") == before
    assert world.computed() == first
    assert world.dump("customer_activity", "customer_bucket") == before


def test_nothing_of_an_erased_customer_is_carried_on(world, ada, earlier):
    earlier.purchase(ada, 700)
    earlier.app_event(ada, "liked")
    earlier.computed()
    aggregated(world)
    erasure.forget(world.engine, ada, as_of=world.now)
    assert world.value("SELECT count(*) FROM app_event") == 0
    assert world.value(f"SELECT count(*) FROM customer_activity WHERE customer_id = {ada}") == 0
    [times] = world.rows("SELECT last_purchase_at FROM customer_activity WHERE customer_id < 0 AND purchases > 0")
    assert times == (None,)  # a till's records would lead from the time to the customer
    world.customer(customer_id=ada)  # the id is used again
    aggregated(world)
    assert numbers(world, ada, TIMES + PREVIOUS) == NOTHING * 2


# --- at once with the window before


def test_it_waits_for_a_step_of_the_window_before(world, ada, earlier):
    earlier.computed()
    world.extract()
    with ThreadPoolExecutor() as pool:
        with campaign.step(world.engine, earlier.window, "bucket"):
            waiting = pool.submit(aggregate, world.engine, world.window)
            until(lambda: world.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1, "aggregate waits")
            assert not waiting.done()
        assert waiting.result(30).customers == 2


def test_it_does_not_wait_for_a_window_before_that_cannot_change(world, ada, earlier):
    earlier.computed()
    earlier.message()
    world.extract()
    with campaign.step(world.engine, earlier.window, "message"):
        assert aggregate(world.engine, world.window).customers == 2


def test_both_windows_may_be_computed_at_once_again_and_again(world, ada, earlier):
    for each in (earlier, world):
        each.computed()

    def again(each):
        for _ in range(8):
            aggregate(each.engine, each.window)
            bucket(each.engine, each.window)

    with ThreadPoolExecutor() as pool:
        list(pool.map(again, (earlier, world)))
    # between its two steps, the window before is in no segments: an aggregate of that moment carries nothing on
    assert numbers(world, ada, PREVIOUS) in {(0, 0, "BOOST"), NOTHING}
    aggregate(world.engine, world.window)
    assert numbers(world, ada, PREVIOUS) == (0, 0, "BOOST")
