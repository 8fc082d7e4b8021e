"""Idempotency: a batch is stored once, even if it is sent often, to two services, or beside a failing one."""

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from engage.service import batch_writer
from tests.integration.service import make_key, refused, session, viewed

STORED = "SELECT (SELECT count(*) FROM app_session) + (SELECT count(*) FROM app_event)"


def test_a_batch_sent_again_gets_the_first_answer_and_adds_nothing(api, world):
    first = api.send(session(), session(0), name="mine")
    again = api.send(session(), session(0), name="mine")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.json()) == (200, first.json())
    assert world.value(STORED) == 1
    assert api.counted("batches", "outcome") == {"stored": 1, "repeated": 1}
    assert api.counted("events", "type") == {"session": 1}


def test_a_name_stands_for_one_batch(api, world):
    api.send(session(), name="mine")
    assert "was used for another batch" in refused(api.send(session(2), name="mine"))
    assert "was used for another batch" in refused(api.send(session(), name="mine", params={"atomic": "true"}))
    assert world.value(STORED) == 1


def test_two_senders_may_use_one_name(api, world):
    api.send(session(), name="mine")
    answer = api.send(session(2), name="mine", key=make_key(world.engine, "events", owner="another"))
    assert "idempotency-replayed" not in answer.headers
    assert world.rows("SELECT customer_id FROM app_session ORDER BY 1") == [(1,), (2,)]


def test_a_batch_that_is_sent_again_under_the_owners_next_key_is_stored_once(api, world):
    first = api.send(session(), name="mine")
    again = api.send(session(), name="mine", key=make_key(world.engine, "events"))
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert world.value(STORED) == 1


def test_keys_that_are_replaced_while_clients_retry_store_each_batch_once(api, world):
    with api.together() as send:
        sent = [send(session(7), name=f"n{n}", key=make_key(world.engine, "events")) for n in (1, 1, 2, 2)]
    assert sorted("idempotency-replayed" in future.result().headers for future in sent) == [False, False, True, True]
    assert world.value("SELECT count(*) FROM app_session WHERE customer_id = 7") == 2


def test_of_two_batches_with_one_name_in_one_transaction_the_first_is_stored(api, world):
    with api.together() as send:
        sent = [send(session(7), name="mine") for _ in range(3)] + [send(session(8), name="another")]
    answers = [future.result() for future in sent]
    assert [answer.json()["accepted"] for answer in answers] == [1] * 4
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 2
    assert world.rows("SELECT customer_id FROM app_session WHERE customer_id > 1 ORDER BY 1") == [(7,), (8,)]
    assert world.value("SELECT count(DISTINCT xmin::text) FROM intake_batch WHERE idempotency_key !~ 'batch'") == 1


def test_another_batch_with_a_name_in_the_same_transaction_is_refused(api, world):
    with api.together() as send:
        sent = [send(session(7 + n), name="mine") for n in range(2)]
    assert sorted(future.result().status_code for future in sent) == [200, 422]
    assert world.value("SELECT count(*) FROM app_session WHERE customer_id > 1") == 1


def test_a_hundred_sends_of_one_batch_at_once_store_it_once(api, world):
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: api.send(session(), viewed(), name="mine"), range(100)))
    assert [answer.json() for answer in answers] == [{"accepted": 2, "rejected": []}] * 100
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 99
    assert world.value(STORED) == 2


def test_a_hundred_sends_to_two_services_at_once_store_a_batch_once(fork, world):
    services = [fork(), fork()]
    for service in services:
        service.ready()
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda n: services[n % 2].send(session(), viewed(), name="mine"), range(100)))
    assert [answer.json() for answer in answers] == [{"accepted": 2, "rejected": []}] * 100
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 99
    assert world.value(STORED) == 2


# --- side by side

REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.customer_id = 13 THEN RAISE 'not customer 13'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON app_session_default FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def test_a_batch_that_the_database_refuses_takes_no_other_with_it(api, world):
    world.execute(sa.text(REFUSE))
    with api.together() as send:
        sent = [send(session(n)) for n in (11, 12, 13, 14)]
    assert [future.result().status_code for future in sent] == [200, 200, 500, 200]
    stored = world.rows("SELECT customer_id FROM app_session WHERE customer_id > 1 ORDER BY 1")
    assert stored == [(11,), (12,), (14,)]


def test_when_too_many_batches_wait_more_are_refused_and_may_be_sent_again(api, world, monkeypatch):
    monkeypatch.setattr(batch_writer, "MAX_WAITING_BATCHES", 3)
    with api.together() as send:
        sent = [send(session(2)) for _ in range(8)]
    answers = [future.result() for future in sent]
    full = [answer for answer in answers if answer.status_code == 503]
    assert len(full) == 5
    assert all(
        "Send this one again" in refused(answer, 503) and answer.headers["retry-after"] == "1" for answer in full
    )
    assert world.value("SELECT count(*) FROM app_session WHERE customer_id = 2") == 3
    assert api.counted("batches", "outcome")["overloaded"] == 5
    assert api.send(session(2)).status_code == 200


def test_a_key_that_expires_as_it_is_looked_up_is_taken_as_a_new_one(api, world):
    """Maintenance deletes the key after it was found in use and before the first answer is read."""
    api.send(session(7), name="mine")
    expired = []

    def expire(conn, cursor, statement, *rest):
        if statement.lstrip().startswith("SELECT intake_batch") and not expired:
            expired.append(True)
            with world.engine.begin() as other:
                other.execute(sa.text("DELETE FROM intake_batch WHERE idempotency_key = 'mine'"))

    sa.event.listen(api.context.engine, "before_cursor_execute", expire)
    answer = api.send(session(7), name="mine")
    assert expired
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert "idempotency-replayed" not in answer.headers
