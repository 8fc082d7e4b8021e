"""Events over HTTP: valid events are stored exactly, and wrong ones are named and counted."""

import gzip
import json
from datetime import UTC, datetime, timedelta

from engage.parsing import MAX_CUSTOMER_ID
from engage.service import event_validation
from engage.service.event_models import MAX_EVENTS
from tests.integration.service import AT, bought, refused, session, viewed

SESSIONS = "SELECT customer_id, started_at FROM app_session ORDER BY customer_id, started_at"
CENTS = "SELECT customer_id, amount_cents FROM purchase ORDER BY customer_id"
STORED = """SELECT (SELECT count(*) FROM app_session) + (SELECT count(*) FROM purchase)
                 + (SELECT count(*) FROM app_event)"""


def wrong(answer):
    """Index, field and reason of each rejected event."""
    errors = answer.json()["rejected"] if answer.status_code == 200 else answer.json()["errors"]
    assert all(error["detail"] for error in errors)
    return [(error.get("index"), error.get("field"), error["reason"]) for error in errors]


# --- what is stored


def test_each_kind_lands_in_its_table(api, world):
    others = [viewed("a"), viewed("b", type="liked"), viewed("c", 2, type="added_to_basket")]
    answer = api.send(session(), bought(), *others)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 5, "rejected": []})
    at = datetime(2024, 3, 1, 12, tzinfo=UTC)
    assert world.rows("SELECT * FROM app_session") == [(1, at)]
    assert world.rows("SELECT * FROM purchase") == [(1, at, 1250)]
    assert world.rows("SELECT * FROM app_event ORDER BY item_id") == [
        (1, at, "viewed", "a"),
        (1, at, "liked", "b"),
        (2, at, "added_to_basket", "c"),
    ]
    assert api.counted("events", "type") == {"session": 1, "purchase": 1, "other": 3}
    assert api.counted("batches", "outcome") == {"stored": 1}


TIMES = {
    "2026-09-14T12:30:00Z": datetime(2026, 9, 14, 12, 30, tzinfo=UTC),
    "2026-09-14t12:30:00z": datetime(2026, 9, 14, 12, 30, tzinfo=UTC),
    "2026-09-14 12:30:00": datetime(2026, 9, 14, 12, 30, tzinfo=UTC),
    "2026-09-14T00:30:00+02:00": datetime(2026, 9, 13, 22, 30, tzinfo=UTC),
    "2026-09-14T12:30:00-23:59": datetime(2026, 9, 15, 12, 29, tzinfo=UTC),
    "2026-09-14T12:30:00.123456789Z": datetime(2026, 9, 14, 12, 30, 0, 123456, tzinfo=UTC),
    "2024-02-29T23:59:59.5Z": datetime(2024, 2, 29, 23, 59, 59, 500000, tzinfo=UTC),
    "2000-01-01T00:00:00Z": datetime(2000, 1, 1, tzinfo=UTC),
}


def test_times_are_kept_as_utc_to_the_microsecond_and_without_a_zone_are_utc(api, world):
    for id_, at in enumerate(TIMES, 1):
        assert api.send(session(id_, at), bought(customer_id=id_, at=at), viewed("a", id_, at)).json()["accepted"] == 3
    expected = list(enumerate(TIMES.values(), 1))
    for time, table in (("started_at", "app_session"), ("purchased_at", "purchase"), ("occurred_at", "app_event")):
        assert world.rows(f"SELECT customer_id, {time} FROM {table} ORDER BY 1") == expected


AMOUNTS = {"12.5": 1250, "12.50": 1250, "0.01": 1, "0": 0, "0.1": 10, "007": 700, "10000000000.00": 10**12}


def test_amounts_are_kept_to_the_cent(api, world):
    assert api.send(*(bought(amount, id_) for id_, amount in enumerate(AMOUNTS, 1))).json()["rejected"] == []
    assert world.rows(CENTS) == list(enumerate(AMOUNTS.values(), 1))


def test_amounts_may_be_cents(api, world):
    cents = [0, 1, 1250, 10**12]
    events = [session(id_, type="purchase", amount_minor=amount) for id_, amount in enumerate(cents, 1)]
    assert api.send(*events, {**events[1], "customer_id": MAX_CUSTOMER_ID, "currency": "USD"}).json()["accepted"] == 5
    assert world.rows(CENTS) == [*enumerate(cents, 1), (MAX_CUSTOMER_ID, 1)]


def test_a_batch_may_be_packed(api, world):
    body = gzip.compress(json.dumps({"events": [session()] * MAX_EVENTS}).encode())
    answer = api.send(content=body, headers={"Content-Encoding": "gzip"})
    assert answer.json() == {"accepted": MAX_EVENTS, "rejected": []}
    assert world.value(STORED) == MAX_EVENTS


def test_events_reach_the_campaign_of_their_window(api, world):
    id_ = world.customer()
    inside = (world.window.start + timedelta(hours=1)).isoformat()
    assert api.send(session(id_, inside), bought("3.10", id_, inside), session(id_, AT)).status_code == 200
    world.computed()
    assert world.rows("SELECT sessions, purchases, total_spend_cents FROM customer_activity") == [(1, 1, 310)]


# --- what is wrong

WRONG = [
    (session(0), "customer_id", "missing_customer"),
    (session("1"), "customer_id", "missing_customer"),
    (session(1.0), "customer_id", "missing_customer"),
    (session(True), "customer_id", "missing_customer"),
    (session(MAX_CUSTOMER_ID + 1), "customer_id", "missing_customer"),
    (session(None), "customer_id", "missing_customer"),
    (session(at=None), "occurred_at", "invalid_time"),
    (session(at=1700000000), "occurred_at", "invalid_time"),
    (session(at="2024-02-30T00:00:00Z"), "occurred_at", "invalid_time"),
    (session(at="2024-03-01"), "occurred_at", "invalid_time"),
    (session(at="1999-12-31T23:59:59Z"), "occurred_at", "invalid_time"),
    (session(at="0001-01-01T00:00:00+23:59"), "occurred_at", "invalid_time"),
    (session(at="2024-03-01T12:00:00+24:00"), "occurred_at", "invalid_time"),
    (session(at="9999-12-31T23:59:59Z"), "occurred_at", "future_dated"),
    (bought("-1"), "amount", "invalid_amount"),
    (bought("1.005"), "amount", "invalid_amount"),
    (bought("1e3"), "amount", "invalid_amount"),
    (bought("NaN"), "amount", "invalid_amount"),
    (bought("١٢"), "amount", "invalid_amount"),
    (bought("10\n"), "amount", "invalid_amount"),
    (bought(12.5), "amount", "invalid_amount"),
    (bought("10000000000.01"), "amount", "invalid_amount"),
    (bought(amount_minor=1250), "amount", "invalid_amount"),
    (bought(None), "amount", "invalid_amount"),
    (bought(None, amount_minor=-1), "amount_minor", "invalid_amount"),
    (bought(None, amount_minor=10**12 + 1), "amount_minor", "invalid_amount"),
    (bought(currency="EUR"), "currency", "invalid_currency"),
    (bought(currency="usd"), "currency", "invalid_currency"),
    (bought(currency=None), "currency", "invalid_currency"),
    (viewed(""), "item_id", "invalid_item"),
    (viewed("x" * 201), "item_id", "invalid_item"),
    (viewed("a\nb"), "item_id", "invalid_item"),
    (viewed("a\0b"), "item_id", "invalid_item"),
    (viewed("\ud800"), "item_id", "invalid_item"),
    (viewed(17), "item_id", "invalid_item"),
    (session(surprise=1), "surprise", "extra_forbidden"),
    (session(**{"a\0b": 1}), None, "extra_forbidden"),
    (session(**{"\ud800": 1}), None, "string_unicode"),
    ({}, "type", "invalid_type"),
    ("session", "type", "invalid_type"),
    (session(type="sold"), "type", "invalid_type"),
    (session(type="a\0b"), "type", "invalid_type"),
    (session(type=["session"]), "type", "invalid_type"),
]


def test_the_wrong_events_of_a_batch_are_named_and_the_others_are_stored(api, world):
    batch = [event for bad, _, _ in WRONG for event in (session(4711), bad)]
    answer = api.send(*batch)
    assert (answer.status_code, answer.json()["accepted"]) == (200, len(WRONG))
    assert wrong(answer) == [(2 * n + 1, field, reason) for n, (_, field, reason) in enumerate(WRONG)]
    assert world.rows("SELECT DISTINCT customer_id FROM app_session") == [(4711,)]
    assert world.value(STORED) == len(WRONG)
    counts = {reason: sum(r == reason for *_, r in WRONG) for *_, reason in WRONG}
    assert api.counted("rejected", "reason") == counts


def test_what_is_wrong_is_never_repeated(api):
    secret = "nobody should read this"
    answer = api.send(
        session(), session(secret), session(type=secret), session(at=secret), bought(secret), session(**{secret: 1})
    )
    assert len(wrong(answer)) == 5
    assert secret not in answer.text


def test_with_atomic_one_wrong_event_keeps_all_out(api, world):
    answer = api.send(session(), session(0), params={"atomic": "true"})
    assert refused(answer) == "1 of 2 events are wrong; nothing was stored."
    assert wrong(answer) == [(1, "customer_id", "missing_customer")]
    assert world.value(STORED) == 0
    assert api.counted("batches", "outcome") == {"refused": 1}
    assert api.send(session(), params={"atomic": "true"}).json()["accepted"] == 1


def test_a_batch_with_nothing_right_is_refused_and_its_key_may_be_used_again(api, world):
    answer = api.send(session(0), bought(currency="EUR"), name="mine")
    assert [index for index, *_ in wrong(answer)] == [0, 1]
    assert "2 of 2" in refused(answer)
    assert world.value(STORED) == world.value("SELECT count(*) FROM intake_batch") == 0
    assert api.send(session(), name="mine").json()["accepted"] == 1


NO_BATCH = [[], {}, None, "events", {"events": []}, {"events": {}}, {"events": [session()], "more": 1},
            {"events": [session()] * (MAX_EVENTS + 1)}]  # fmt: skip


def test_what_is_not_a_batch_is_refused(api, world):
    for body in NO_BATCH:
        assert "1 to 1000 events" in refused(api.send(content=json.dumps(body)))
    assert world.value(STORED) == 0


def test_an_event_may_be_a_day_ahead_and_no_more(api, world):
    latest = world.now + event_validation.MAX_CLOCK_SKEW
    later = latest + timedelta(microseconds=1)
    answer = api.send(session(1, latest.isoformat()), session(2, later.isoformat()))
    assert wrong(answer) == [(1, "occurred_at", "future_dated")]
    assert world.rows(SESSIONS) == [(1, latest)]


def test_a_batch_takes_a_name(api, world):
    for name in (None, b"", b"x" * 201, b"with space", "ümlaut".encode()):
        headers = {} if name is None else {"Idempotency-Key": name}
        answer = api.request("POST", "/v1/events", json={"events": [session()]}, headers=headers)
        refused(answer)
        assert answer.json()["errors"][0]["field"] == "idempotency-key"
    assert world.value(STORED) == 0
