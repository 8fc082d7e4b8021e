"""Refunds: they lower the spend of the window in which they occur, and of no other, at most to zero."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns.valid_events import MAX_AMOUNT_CENTS
from engage.customers.erasure import forget
from engage.errors import NoValidEvents
from engage.reports.customer_history import view
from engage.reports.report import report
from engage.statuses import RejectReason
from engage.steps.aggregate import aggregate
from engage.storage.schema import refund
from tests.integration.service import bought, session
from tests.integration.test_pages_campaigns import text_of
from tests.integration.test_pages_customers import page_of as page_of_customer
from tests.integration.test_pages_report import page_of as page_of_report

NOTHING = dict.fromkeys(RejectReason, 0)
SPEND = "SELECT customer_id, purchases, total_spend_cents, refunded_cents FROM customer_activity ORDER BY 1"


@pytest.fixture
def ada(world):
    """A customer who has spent 20.00 in two purchases."""
    found = world.customer(name="Ada")
    world.sessions(found)
    world.purchase(found, 1500)
    world.purchase(found, 500)
    return found


def spend(world):
    world.computed()
    return world.rows(SPEND)


def test_refunds_lower_the_spend(world, ada):
    ben = world.customer()
    world.purchase(ben, 700)
    world.refund(ada, 250)
    world.refund(ada, 50)
    assert spend(world) == [(ada, 2, 1700, 300), (ben, 1, 700, 0)]


def test_the_spend_is_never_below_zero(world, ada):
    ben = world.customer()
    for customer_id in (ada, ben):
        world.refund(customer_id, 2001)
    assert spend(world) == [(ada, 2, 0, 2001), (ben, 0, 0, 2001)]


def test_a_refund_counts_in_the_window_in_which_it_occurred(world, ada, in_window):
    before, after = in_window(world.window.previous()), in_window(world.window.next())
    before.purchase(ada, 900)
    before.sessions(ada)
    world.refund(ada, 100, at=world.window.start)
    world.refund(ada, 200, at=world.window.end - timedelta(microseconds=1))
    world.refund(ada, 400, at=before.window.end - timedelta(microseconds=1))
    after.refund(ada, 800, at=world.window.end)
    assert spend(world) == [(ada, 2, 1700, 300)]
    before.computed()
    query = "SELECT total_spend_cents FROM customer_activity WHERE window_start = '{}'"
    assert world.value(query.format(before.window.start.isoformat())) == 500


def test_a_refund_changes_the_bucket_and_the_next_windows_numbers(world, ada, in_window):
    before = in_window(world.window.previous())
    before.sessions(ada, 48)
    before.purchase(ada, 150_00)
    before.refund(ada, 50_01)
    before.computed()
    assert before.value("SELECT bucket FROM customer_bucket") == "BOOST"
    world.computed()
    query = "SELECT previous_total_spend_cents FROM customer_activity WHERE window_start = '{}'"
    assert world.value(query.format(world.window.start.isoformat())) == 99_99


def test_without_refunds_no_campaign_names_them(world, ada):
    world.computed()
    found = report(world.engine)
    assert found.events == {"sessions": 1, "purchases": 2}
    assert {count for reason, count in found.rejected.items() if reason.startswith("refund")} == {0}


def test_valid_refunds_are_counted(world, ada):
    world.refund(ada, 1)
    world.refund(ada, MAX_AMOUNT_CENTS)
    assert world.extract().events == {"sessions": 1, "purchases": 2, "refunds": 2}
    aggregate(world.engine, world.window)
    assert report(world.engine).events == {"sessions": 1, "purchases": 2, "refunds": 2}


def test_every_bad_refund_is_counted_once_and_lowers_nothing(world, ada):
    late = world.customer(registered_at=world.window.end)
    for customer_id in (ada, None):
        world.refund(customer_id, 100, at=None)
        world.refund(customer_id, 100, at=world.now + timedelta(days=1))
    for cents in (0, -1, None, MAX_AMOUNT_CENTS + 1):
        world.refund(ada, cents)
    for cents in (100, -1, None):
        world.refund(None, cents)
    for customer_id in (777, late):
        world.refund(customer_id, 100)
    extracted = world.extract()
    wanted = NOTHING | {
        "refund_missing_timestamp": 2, "refund_future_dated": 2, "refund_missing_customer": 3,
        "refund_invalid_amount": 4, "refund_unknown_customer": 2,
    }  # fmt: skip
    assert (extracted.rejected, extracted.events["refunds"]) == (wanted, 2)
    assert "RejectReason" not in str(extracted.rejected)  # as the task's log shows it
    assert aggregate(world.engine, world.window).rejected == wanted
    assert world.rows(SPEND) == [(ada, 2, 2000, 0)]
    assert world.value("SELECT count(*) FROM refund") == 13


def test_refunds_that_arrive_between_the_steps_are_counted_and_lower_the_spend(world, ada):
    world.extract()
    world.refund(ada, 100)
    world.refund(ada, 0)
    summary = aggregate(world.engine, world.window)
    assert summary.rejected["refund_invalid_amount"] == 1
    assert world.rows(SPEND) == [(ada, 2, 1900, 100)]
    found = report(world.engine)
    assert (found.events["refunds"], found.rejected["refund_invalid_amount"]) == (1, 1)


def test_refunds_alone_are_no_valid_event(world):
    world.refund(world.customer(), 100)
    with pytest.raises(NoValidEvents):
        world.extract()


def test_the_guard_does_not_miss_refunds(world, ada, in_window):
    before = in_window(world.window.previous())
    before.sessions(ada)
    before.purchase(ada, 900)
    for _ in range(3):
        before.refund(ada, 1)
    before.computed()
    assert world.extract(guard_min_volume_percent=50).guard == ""


def test_a_customer_who_is_forgotten_has_no_refund_left(world, ada):
    world.refund(ada, 100)
    world.refund(ada, 100, at=None)
    assert forget(world.engine, ada, as_of=world.now).events == 5
    assert world.value(sa.select(sa.func.count()).select_from(refund)) == 0


# --- over HTTP, and what people see


def refunded(amount="2.50", **more):
    return {**bought(amount, **more), "type": "refund"}


def test_refunds_come_in_over_http(api, world, ada):
    at = world.window.start.isoformat()
    events = [session(ada, at), bought("20.00", ada, at), refunded(customer_id=ada, at=at, purchase_id="order-1"),
              {**session(ada, at), "type": "refund", "amount_minor": 1}]  # fmt: skip
    assert api.send(*events).json() == {"accepted": 4, "rejected": []}
    assert api.counted("events", "type") == {"session": 1, "purchase": 1, "refund": 2}
    assert spend(world) == [(ada, 3, 3749, 251)]
    with world.engine.begin() as conn:
        assert view(conn, ada)["campaign"]["total_spend"] == "37.49"


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        (refunded("0"), "amount", "invalid_amount"),
        (refunded("0.00"), "amount", "invalid_amount"),
        (refunded("-1"), "amount", "invalid_amount"),
        (refunded("10000000000.01"), "amount", "invalid_amount"),
        (refunded(None), "amount", "invalid_amount"),
        ({**session(), "type": "refund", "amount_minor": 0}, "amount_minor", "invalid_amount"),
        (refunded() | {"currency": "EUR"}, "currency", "invalid_currency"),
        (refunded(purchase_id=""), "purchase_id", "invalid_purchase_id"),
        (refunded(purchase_id="x" * 101), "purchase_id", "invalid_purchase_id"),
        (refunded(purchase_id="a\n"), "purchase_id", "invalid_purchase_id"),
        (refunded(customer_id=None), "customer_id", "missing_customer"),
        (refunded(at="9999-12-31T23:59:59Z"), "occurred_at", "future_dated"),
    ],
)
def test_a_wrong_refund_is_refused_with_the_field(api, world, event, field, reason):
    answer = api.send(event)
    assert answer.status_code == 422
    assert [(error["field"], error["reason"]) for error in answer.json()["errors"]] == [(field, reason)]
    assert world.value("SELECT count(*) FROM refund") == 0


def test_a_refund_with_an_id_counts_once(api, world):
    for _ in range(3):
        api.send(refunded(event_id="back-1"))
    assert api.send(bought(event_id="back-1")).json()["duplicates"] == 0
    assert world.value("SELECT count(*) FROM refund") == 1


def test_the_pages_and_commands_show_refunds(world, ada, command):
    world.refund(ada, 300)
    world.refund(None, 300)
    world.computed()
    assert "$17.00 in 2 purchases, $3.00 refunded ·" in text_of(page_of_customer(world, str(ada)))
    page = text_of(page_of_report(world))
    assert "1 session, 2 purchases and 1 refund, with the settings" in page
    assert "1 sessions, 2 purchases, 1 refunds, 1 event rejected" in page
    assert "refund_missing_customer 1" in page
    assert "Events: 1 sessions, 2 purchases, 1 refunds; rejected: 1 refund_missing_customer" in command("report")
