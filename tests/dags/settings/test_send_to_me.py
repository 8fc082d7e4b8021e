"""*Send to me*: what a press of the button writes and starts, and what it refuses."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from engage.storage.schema import test_send as sends
from engage.window import ANCHOR, Window
from tests.dags.settings.stored import log, put
from tests.integration.conftest import World
from tests.phones import fictional_phone

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")

PHONE = fictional_phone(7)
NUMBER = UUID(int=7)
DRAFT = [{"name": "message_boost", "value": "Hi {{ first_name }}! Reply STOP.", "was": None}]
SPANISH = json.dumps({"BOOST": {"es": "Hola {{ name }}. Responde STOP."}})
IN_SPANISH = [{"name": "messages", "value": SPANISH, "was": None}]
WITH_CODE = [DRAFT[0] | {"value": "Take {{ offer_code }}"}]
DEFAULT = "We miss you! Show this text at the counter for 10% off your next meal. Reply STOP to opt out."


@pytest.fixture
def operator(client, airflow_tables, monkeypatch, runs):
    """A user who may send, with one phone on the list, a campaign of two customers, and the DAG."""
    import engage_web
    import engage_web_access
    from airflow.models.dag import DagModel

    world = World(airflow_tables, Window(ANCHOR))
    world.purchase(world.customer(name="Ada Diaz", locale="es-MX"), 12_50)
    world.purchase(world.customer(name="Ben"), 12_50)
    world.computed()
    put(airflow_tables, test_phones=PHONE, sms_provider="twilio")
    with Session(airflow_tables) as session, session.begin():
        session.add(DagModel(dag_id="engage_test_send", bundle_name="dags-folder", is_paused=False, is_stale=False))
    for check in (engage_web_access._run_trigger, engage_web_access._requires_set_segments):
        monkeypatch.setitem(engage_web.app.dependency_overrides, check, lambda: None)
    return client


def press(operator, **changed):
    body = {
        "window_start": "2025-01-06",
        "changes": DRAFT,
        "segment": "BOOST",
        "example": "1",
        "variant": "a",
        "to": PHONE,
    }
    return operator.post("/send-test", json=body | {"test_send_id": str(NUMBER)} | changed)


def rows(engine):
    with engine.connect() as conn:
        query = sa.select(sends.c.test_send_id, sends.c.requested_by, sends.c.phone, sends.c.body, sends.c.status)
        return [tuple(row) for row in conn.execute(query)]


def test_a_press_writes_the_text_of_the_draft_down_and_starts_one_run(operator, engine, runs):
    answer = press(operator)
    assert (answer.status_code, answer.json()) == (
        200, {"detail": f"The test message to …{PHONE[-2:]} is on its way."},
    )  # fmt: skip
    assert rows(engine) == [(NUMBER, "ada", PHONE, "TEST Hi Ada! Reply STOP.", "waiting")]
    [(dag_id, conf, more)] = runs
    assert (dag_id, conf, more["triggering_user_name"]) == ("engage_test_send", {"test_send_id": str(NUMBER)}, "ada")
    assert log(engine) == [("engage.send_test", "ada", {"segment": "BOOST", "to": f"…{PHONE[-2:]}"})]


def test_the_same_press_again_starts_no_second_run(operator, engine, runs):
    assert [press(operator).status_code for _ in range(3)] == [200, 200, 200]
    assert (len(rows(engine)), len(runs), len(log(engine))) == (1, 1, 1)


@pytest.mark.parametrize(
    ("changed", "body"),
    [
        ({"changes": []}, f"TEST {DEFAULT}"),
        ({"changes": IN_SPANISH}, "TEST Hola Ada Diaz. Responde STOP."),
        ({"changes": IN_SPANISH, "example": "2 in es"}, "TEST Hola Ben. Responde STOP."),
        ({"changes": IN_SPANISH, "example": "No name in es"}, "TEST Hola there. Responde STOP."),
        ({"example": "Longest name"}, "TEST Hi Maximilian! Reply STOP."),
        ({"changes": WITH_CODE}, "TEST Take K7M3XQ9TPA Reply STOP to opt out."),
    ],
)  # fmt: skip
def test_it_is_the_text_that_the_page_shows(operator, engine, changed, body):
    put(engine, offer="summer")
    assert press(operator, **changed).status_code == 200
    assert [row[3] for row in rows(engine)] == [body]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"to": fictional_phone(8)}, "A test message goes only to a number of engage_test_phones"),
        ({"changes": [DRAFT[0] | {"value": "Hi {{ x }}"}]}, "{{ x }} is no placeholder"),
        ({"segment": "NONE"}, "Segment NONE has no such text any more. Reload the page."),
        ({"variant": "b"}, "has no such text any more"),
        ({"example": "3"}, "has no such text any more"),
        ({"example": "1 in fr"}, "has no such text any more"),
        ({"example": "9" * 30}, "is not a customer's id"),
        ({"window_start": "2025-03-03"}, "are in no segments yet"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_words_and_starts_nothing(operator, engine, runs, changed, sentence):
    answer = press(operator, **changed)
    assert answer.status_code in {400, 404, 409}
    assert sentence in answer.json()["detail"]
    assert (rows(engine), runs, log(engine)) == ([], [], [])


@pytest.mark.parametrize("changed", [{"test_send_id": "7"}, {"variant": "ab"}, {"to": "1" * 101}, {"changes": None}])
def test_what_no_page_sends_is_refused_without_repeating_the_number(operator, engine, changed):
    answer = press(operator, **changed)
    assert answer.status_code == 422
    assert PHONE not in answer.text
    assert rows(engine) == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"is_paused": True},
            "The DAG engage_test_send is paused, so no run starts. Switch it on, and send the text",
        ),
        ({"is_stale": True}, "The DAG engage_test_send is not known to Airflow, so no run starts."),
    ],
)
def test_a_dag_that_starts_no_run_leaves_no_request(operator, engine, runs, values, sentence):
    from airflow.models.dag import DagModel

    with Session(engine) as session, session.begin():
        session.execute(sa.update(DagModel).where(DagModel.dag_id == "engage_test_send").values(**values))
    answer = press(operator)
    assert answer.status_code == 400
    assert sentence in answer.json()["detail"]
    assert (rows(engine), runs) == ([], [])


def test_the_limit_of_an_hour_is_said(operator):
    assert [press(operator, test_send_id=str(uuid4())).status_code for _ in range(20)] == [200] * 20
    answer = press(operator, test_send_id=str(uuid4()))
    assert answer.status_code == 400
    assert "You have sent 20 test messages within the hour, and 20 are allowed." in answer.json()["detail"]


def test_the_page_asks_where_a_message_is(operator, engine):
    known = {"test_send_id": str(NUMBER)}
    none = {"detail": "There is no such test message.", "done": True, "sent": False}
    assert operator.post("/test-send", json=known).json() == none
    press(operator)
    waits = {"detail": f"The test message to …{PHONE[-2:]} waits for its run.", "done": False, "sent": False}
    assert operator.post("/test-send", json=known).json() == waits
    with engine.begin() as conn:
        values = {"status": "failed", "phone": None, "body": None, "error": "twilio does not take it"}
        conn.execute(sa.update(sends).values(**values))
    failed = f"The test message to …{PHONE[-2:]} was not sent: twilio does not take it."
    assert operator.post("/test-send", json=known).json() == {"detail": failed, "done": True, "sent": False}


def test_the_activity_has_each_test_message_once_and_no_number(operator):
    press(operator)
    for address in ("/activity", "/activity?kind=messages", "/activity?by=ada"):
        page = operator.get(address).text
        assert page.count("sent the text BOOST a to a phone for a test") == 1
        assert f"The test message to …{PHONE[-2:]} waits for its run." in page
        assert PHONE not in page
    assert "for a test" not in operator.get("/activity?kind=runs").text
    assert "for a test" not in operator.get("/activity?by=ben").text
