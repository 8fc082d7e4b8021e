"""Event ids over HTTP: an event with an id counts once, whatever its batch."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage import maintenance
from engage.window import LENGTH
from tests.integration.service import bought, make_key, refused, session, viewed
from tests.integration.test_service_events import wrong

PURCHASES = "SELECT customer_id, amount_cents FROM purchase ORDER BY 1, 2"
IDS = "SELECT count(*) FROM event_id"


def order(event_id="order-1", amount="12.50", **more):
    return bought(amount, event_id=event_id, **more)


def counts(answer):
    """What was accepted, and how much of it was stored before."""
    assert answer.status_code == 200, answer.text
    assert answer.json()["rejected"] == []
    return answer.json()["accepted"], answer.json()["duplicates"]


def test_a_purchase_in_two_batches_counts_once(api, world):
    assert counts(api.send(order(), session())) == (2, 0)
    assert counts(api.send(session(2), order(), order("order-2", "1.00"))) == (3, 1)
    assert world.rows(PURCHASES) == [(1, 100), (1, 1250)]
    assert world.value("SELECT count(*) FROM app_session") == 2
    assert api.counted("events", "type") == {"session": 2, "purchase": 2}
    assert api.counted("batches", "outcome") == {"stored": 2}


def test_the_first_of_two_events_with_one_id_is_stored(api, world):
    assert counts(api.send(order(), order(amount="99.00"))) == (2, 1)
    assert counts(api.send(order(amount="77.00", customer_id=2))) == (1, 1)
    assert world.rows(PURCHASES) == [(1, 1250)]


def test_events_without_an_id_are_stored_each_time_and_their_answer_is_as_before(api, world):
    for _ in range(2):
        assert api.send(bought(), session()).json() == {"accepted": 2, "rejected": []}
    assert api.send(bought(event_id=None)).json() == {"accepted": 1, "rejected": []}
    assert world.value("SELECT count(*) FROM purchase") == 3
    assert world.value(IDS) == 0


def test_without_an_id_there_is_no_query_of_ids(api):
    asked = []
    sa.event.listen(api.context.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    api.send(bought(), session(), viewed())
    assert [query for query in asked if "INSERT INTO intake_batch" in query]
    assert [query for query in asked if "event_id" in query or query.startswith("UPDATE")] == []


def test_a_purchase_under_two_keys_of_one_owner_counts_once(api, world):
    api.send(order())
    assert counts(api.send(order(), key=make_key(world.engine, "events"))) == (1, 1)
    assert world.rows(PURCHASES) == [(1, 1250)]


def test_a_purchase_of_two_owners_counts_twice(api, world):
    api.send(order())
    assert counts(api.send(order(), key=make_key(world.engine, "events", owner="another"))) == (1, 0)
    assert world.rows(PURCHASES) == [(1, 1250)] * 2


def test_an_id_belongs_to_one_kind_of_event(api, world):
    events = [order("x"), session(event_id="x"), viewed(event_id="x"), {**viewed(event_id="x"), "type": "liked"}]
    assert counts(api.send(*events)) == (4, 0)
    assert counts(api.send(*events)) == (4, 4)
    assert world.rows("SELECT kind FROM app_event ORDER BY 1") == [("liked",), ("viewed",)]


@pytest.mark.parametrize(("later", "stored"), [(timedelta(days=14), 1), (2 * LENGTH, 1), (2.01 * LENGTH, 2)])
def test_a_batch_that_is_sent_again_after_its_key_has_expired_counts_once_for_two_windows(api, world, later, stored):
    bill = order(at=world.window.start.isoformat())
    first = api.send(bill, name="mine")
    world.now += later
    maintenance.maintain(world.engine, 13, as_of=world.now)
    again = api.send(bill, name="mine")
    assert "idempotency-replayed" not in again.headers
    assert (counts(first), counts(again)) == ((1, 0), (1, 2 - stored))
    assert world.value("SELECT count(*) FROM purchase") == stored


def test_a_batch_that_is_sent_again_gets_the_first_answer_with_its_duplicates(api, world):
    api.send(order())
    first = api.send(order(), order("order-2"), name="mine")
    again = api.send(order(), order("order-2"), name="mine")
    assert again.headers["idempotency-replayed"] == "true"
    assert counts(first) == counts(again) == (2, 1)
    assert world.value("SELECT count(*) FROM purchase") == 2


# --- side by side


def test_a_hundred_batches_at_once_to_two_services_store_a_purchase_once(fork, world):
    services = [fork(), fork()]
    keys = [services[0].key, make_key(world.engine, "events")]
    for service in services:
        service.ready()
    with ThreadPoolExecutor(50) as threads:
        answers = [*threads.map(lambda n: services[n % 2].send(session(n + 1), order(), key=keys[n // 50]), range(100))]
    assert sorted(map(counts, answers)) == [(2, 0)] + [(2, 1)] * 99
    assert world.rows(PURCHASES) == [(1, 1250)]
    assert world.value("SELECT count(*) FROM app_session") == 100


def test_batches_of_one_transaction_store_a_purchase_once(api, world):
    with api.together() as send:
        sent = [send(order(), order("order-2")) for _ in range(3)] + [send(order("order-3"), name="n")] * 2
    answers = [counts(future.result()) for future in sent]
    assert sorted(answers[:3]) == [(2, 0), (2, 2), (2, 2)]
    assert world.value("SELECT count(*) FROM purchase") == 3
    assert world.value("SELECT count(DISTINCT xmin::text) FROM event_id") == 1


def test_a_copy_of_a_batch_in_the_same_transaction_gets_the_same_answer(api, world):
    api.send(order())
    with api.together() as send:
        sent = [send(order(), order("order-2"), name="mine") for _ in range(3)]
    assert [counts(future.result()) for future in sent] == [(2, 1)] * 3
    assert world.value("SELECT count(*) FROM purchase") == 2


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.customer_id = 13 THEN RAISE 'not customer 13'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON app_session_default FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def test_a_batch_that_the_database_refuses_keeps_no_id(api, world):
    world.execute(sa.text(REFUSE))
    with api.together() as send:
        sent = [send(session(13), order()), *(send(session(n), order()) for n in (11, 12))]
    assert [future.result().status_code for future in sent] == [500, 200, 200]
    assert sorted(counts(future.result()) for future in sent[1:]) == [(2, 0), (2, 1)]
    assert world.rows(PURCHASES) == [(1, 1250)]


# --- what keeps no id


def test_a_batch_under_the_key_of_another_keeps_no_id(api, world):
    api.send(session(), name="mine")
    assert "was used for another batch" in refused(api.send(order(), name="mine"))
    assert counts(api.send(order())) == (1, 0)
    assert world.value("SELECT count(*) FROM purchase") == 1


def test_a_wrong_event_keeps_no_id(api, world):
    refused(api.send(order(amount="-1")))
    refused(api.send(order("order-2"), order(amount="-1"), params={"atomic": "true"}))
    assert counts(api.send(order(), order("order-2"))) == (2, 0)


@pytest.mark.parametrize("event_id", ["", "x" * 101, "a\nb", "a\0b", "\ud800", 5, True, [], {}])
def test_an_id_is_one_to_a_hundred_printable_characters(api, world, event_id):
    answer = api.send(order(event_id))
    assert wrong(answer) == [(0, "event_id", "invalid_event_id")]
    assert world.value(IDS) == 0


@pytest.mark.parametrize("event_id", ["x", "é" * 100, " ", "bon 17/3 №4", "\N{TACO}"])
def test_an_id_may_have_any_printable_characters(api, world, event_id):
    assert [counts(api.send(order(event_id))) for _ in range(2)] == [(1, 0), (1, 1)]
