"""Redeemed offer codes over HTTP: each code once, with an answer for each event."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from engage.service.code_redemption import DETAILS
from engage.storage.schema import offer_code
from tests.integration.service import AT, refused, session
from tests.integration.test_service_events import wrong

MOMENT = datetime(2024, 3, 1, 12, tzinfo=UTC)
REDEEMED = "SELECT code, redeemed_at FROM offer_code WHERE redeemed_at IS NOT NULL ORDER BY code"


def redeemed(code="GIVEN1", at=AT, **more):
    return {"type": "redeemed", "code": code, "occurred_at": at, **more}


@pytest.fixture
def codes(world):
    """Codes in each state."""

    def add(code, *, given=True, **values):
        message = {"window_start": world.window.start, "customer_id": len(world.rows("SELECT 1 FROM offer_code")) + 1,
                   "segment": "BOOST", "variant": "a"}  # fmt: skip
        row = {"code": code, "offer": "summer", "added_at": world.now, **(message if given else {}), **values}
        world.execute(sa.insert(offer_code).values(row))

    for n in range(1, 5):
        add(f"GIVEN{n}")
    add("FREE1", given=False)
    add("ENDS1", expires_at=MOMENT)
    add("ENDS2", expires_at=MOMENT + timedelta(microseconds=1))
    add("USED1", redeemed_at=MOMENT - timedelta(days=1))
    add("ERASED", customer_id=None)
    return add


def test_codes_are_redeemed_beside_other_events(api, world, codes):
    answer = api.send(session(), redeemed(), redeemed("ENDS2"), redeemed("ERASED"))
    assert (answer.status_code, answer.json()) == (200, {"accepted": 4, "rejected": []})
    assert world.rows(REDEEMED) == [
        ("ENDS2", MOMENT), ("ERASED", MOMENT), ("GIVEN1", MOMENT), ("USED1", MOMENT - timedelta(days=1)),
    ]  # fmt: skip
    assert world.value("SELECT count(*) FROM app_session") == 1
    assert api.counted("events", "type") == {"session": 1, "redeemed": 3}


def test_each_code_that_is_not_redeemed_is_answered_with_the_reason(api, world, codes):
    events = [redeemed("NONE1"), session(0), redeemed(), redeemed("FREE1"), redeemed("USED1"), redeemed("ENDS1"),
              redeemed("given1")]  # fmt: skip
    answer = api.send(*events)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert wrong(answer) == [
        (0, "code", "unknown_code"),
        (1, "customer_id", "missing_customer"),
        (3, "code", "code_not_given"),
        (4, "code", "code_used"),
        (5, "code", "code_expired"),
        (6, "code", "unknown_code"),
    ]
    assert [row["detail"] for row in answer.json()["rejected"] if row["field"] == "code"] == [
        DETAILS[reason] for _, field, reason in wrong(answer) if field == "code"
    ]
    assert [code for code, _ in world.rows(REDEEMED)] == ["GIVEN1", "USED1"]
    assert api.counted("events", "type") == {"redeemed": 1}
    assert api.counted("rejected", "reason") == {
        "unknown_code": 2, "missing_customer": 1, "code_not_given": 1, "code_used": 1, "code_expired": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        (redeemed("abc"), "code", "invalid_code"),
        (redeemed("x" * 41), "code", "invalid_code"),
        (redeemed("AB 12"), "code", "invalid_code"),
        (redeemed("AB12\n"), "code", "invalid_code"),
        (redeemed("ÄB12"), "code", "invalid_code"),
        (redeemed("AB\x0012"), "code", "invalid_code"),
        (redeemed(12345), "code", "invalid_code"),
        (redeemed(None), "code", "invalid_code"),
        (redeemed(at="2024-03-01"), "occurred_at", "invalid_time"),
        (redeemed(at="9999-12-31T23:59:59Z"), "occurred_at", "future_dated"),
        (redeemed(customer_id=1), "customer_id", "missing_customer"),
        ({"type": "redeemed", "occurred_at": AT}, "code", "invalid_code"),
    ],
)
def test_an_event_of_another_form_is_wrong(api, codes, event, field, reason):
    assert wrong(api.send(session(), event)) == [(1, field, reason)]


def test_of_two_events_with_one_code_in_a_batch_the_first_counts(api, world, codes):
    answer = api.send(redeemed(), redeemed(at="2024-02-01T00:00:00Z"))
    assert answer.json()["accepted"] == 1
    assert wrong(answer) == [(1, "code", "code_used")]
    assert world.rows(REDEEMED)[0] == ("GIVEN1", MOMENT)


def test_a_code_that_was_refused_is_not_used(api, world, codes):
    answer = api.send(redeemed("ENDS1"), redeemed("ENDS1", at="2024-02-01T00:00:00Z"), redeemed("ENDS1"))
    assert answer.json()["accepted"] == 1
    assert wrong(answer) == [(0, "code", "code_expired"), (2, "code", "code_used")]


def test_a_batch_that_is_sent_again_gets_the_first_answer(api, world, codes):
    first = api.send(redeemed(), redeemed("NONE1"), name="mine")
    again = api.send(redeemed(), redeemed("NONE1"), name="mine")
    assert wrong(first) == [(1, "code", "unknown_code")]
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert api.counted("events", "type") == {"redeemed": 1}
    assert "was used for another batch" in refused(api.send(redeemed("GIVEN2"), name="mine"))
    assert [code for code, _ in world.rows(REDEEMED)] == ["GIVEN1", "USED1"]


def test_a_batch_with_nothing_right_is_refused_and_its_key_may_be_used_again(api, world, codes):
    answer = api.send(redeemed("USED1"), session(0), name="mine")
    assert refused(answer) == "2 of 2 events are wrong; nothing was stored."
    assert wrong(answer) == [(0, "code", "code_used"), (1, "customer_id", "missing_customer")]
    assert world.value("SELECT count(*) FROM intake_batch") == 0
    assert api.counted("batches", "outcome") == {"refused": 1}
    assert api.send(redeemed(), name="mine").json()["accepted"] == 1


def test_with_atomic_one_wrong_code_keeps_all_out(api, world, codes):
    answer = api.send(session(), redeemed(), redeemed("USED1"), params={"atomic": "true"})
    assert refused(answer) == "1 of 3 events are wrong; nothing was stored."
    assert wrong(answer) == [(2, "code", "code_used")]
    assert world.value("SELECT count(*) FROM app_session") == 0
    assert [code for code, _ in world.rows(REDEEMED)] == ["USED1"]
    assert api.send(session(), redeemed(), params={"atomic": "true"}).json()["accepted"] == 2


def test_a_code_is_not_repeated_in_an_answer(api, codes):
    assert "NONE1" not in api.send(session(), redeemed("NONE1")).text


# --- at once


def test_of_batches_with_one_code_in_one_transaction_one_wins(api, world, codes):
    with api.together() as send:
        sent = [send(session(7), redeemed(), name=f"n{n}") for n in (1, 2, 2, 3)]
        alone = [send(redeemed(), name=f"alone{n}") for n in range(2)]
        other = send(session(7), name="other")
    answers = [future.result() for future in sent]
    losers = sum(future.result().status_code == 422 for future in alone)
    winners = {tuple(answer.json()["rejected"]) == () for answer in answers}
    assert other.result().json()["accepted"] == 1
    assert world.value("SELECT count(*) FROM app_session WHERE customer_id = 7") == 4
    assert world.rows(REDEEMED)[0] == ("GIVEN1", MOMENT)
    assert api.counted("events", "type")["redeemed"] == 1
    assert losers == (2 if True in winners else 1)


def test_of_two_services_that_get_one_code_at_once_one_wins(fork, world, codes):
    """In batches with the same codes in another order, so that careless locking would deadlock."""
    services = [fork().ready(), fork().ready()]
    for n in range(200):
        codes(f"MANY{n}")
    names = [f"MANY{n}" for n in range(200)]

    def send(n):
        order = names if n % 2 else names[::-1]
        return services[n % 2].send(session(7), *map(redeemed, order))

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(send, range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["accepted"] for answer in answers) == 24 + 200
    assert {reason for answer in answers for _, _, reason in wrong(answer)} == {"code_used"}
    assert world.value("SELECT count(redeemed_at) FROM offer_code WHERE code LIKE 'MANY%'") == 200


def test_one_batch_that_is_sent_to_two_services_at_once_is_redeemed_once(fork, world, codes):
    services = [fork().ready(), fork().ready()]
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda n: services[n % 2].send(redeemed(), name="mine"), range(40)))
    assert [answer.json() for answer in answers] == [{"accepted": 1, "rejected": []}] * 40
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 39


def test_a_code_on_its_way_into_a_message_is_not_waited_for(api, world, codes):
    with world.engine.begin() as conn:
        conn.execute(
            sa.text("UPDATE offer_code SET window_start = '2026-09-14', customer_id = 99 WHERE code = 'FREE1'")
        )
        assert wrong(api.send(session(), redeemed("FREE1"))) == [(1, "code", "code_not_given")]
    assert api.send(redeemed("FREE1")).json()["accepted"] == 1


def test_a_code_whose_redemption_is_undone_is_free_for_the_next_batch(api, world, codes):
    """A database that refuses the batch undoes its redemption, too."""
    world.execute(sa.text("ALTER TABLE app_session_default ADD CHECK (customer_id <> 13)"))
    with api.together() as send:
        bad, good = send(session(13), redeemed(), name="a"), send(session(14), redeemed("GIVEN2"), name="b")
    assert (bad.result().status_code, good.result().status_code) == (500, 200)
    assert [code for code, _ in world.rows(REDEEMED)] == ["GIVEN2", "USED1"]
    assert api.send(redeemed()).json()["accepted"] == 1


# --- with an event id


def test_a_redemption_that_is_sent_again_with_its_id_is_a_duplicate_and_not_wrong(api, world, codes):
    events = [redeemed(event_id="till-1"), session(event_id="s-1")]
    assert api.send(*events).json() == {"accepted": 2, "rejected": [], "duplicates": 0}
    again = api.send(*events, redeemed("GIVEN2", event_id="till-2"), redeemed("NONE1", event_id="till-3"), name="again")
    assert (wrong(again), again.json()["accepted"]) == ([(3, "code", "unknown_code")], 3)
    assert again.json()["duplicates"] == 2
    assert api.send(redeemed(event_id="till-1"), params={"atomic": "true"}).json()["duplicates"] == 1
    assert [code for code, _ in world.rows(REDEEMED)] == ["GIVEN1", "GIVEN2", "USED1"]
    assert api.counted("events", "type") == {"session": 1, "redeemed": 2}


def test_a_redemption_of_a_used_code_under_another_id_is_wrong(api, codes):
    api.send(redeemed(event_id="till-1"))
    assert wrong(api.send(redeemed(event_id="till-2"))) == [(0, "code", "code_used")]
    assert wrong(api.send(redeemed())) == [(0, "code", "code_used")]


def test_of_redemptions_with_one_id_at_once_one_counts_and_the_others_are_duplicates(api, world, codes):
    with api.together() as send:
        sent = [send(redeemed(event_id="till-1"), redeemed(event_id="till-1"), session(7)) for _ in range(3)]
    answers = [future.result().json() for future in sent]
    assert sorted(answer["duplicates"] for answer in answers) == [1, 2, 2]
    assert [answer["accepted"] for answer in answers] == [3] * 3
    assert [code for code, _ in world.rows(REDEEMED)] == ["GIVEN1", "USED1"]


def test_a_redemption_that_was_wrong_keeps_no_id(api, codes):
    assert wrong(api.send(redeemed("ENDS1", event_id="till-1"))) == [(0, "code", "code_expired")]
    answer = api.send(
        redeemed("ENDS1", event_id="till-1"), redeemed("ENDS1", "2024-02-01T00:00:00Z", event_id="till-1")
    )
    assert (wrong(answer), answer.json()["duplicates"]) == ([(0, "code", "code_expired")], 0)
