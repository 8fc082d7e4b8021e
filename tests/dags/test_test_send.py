"""The task of the DAG ``engage_test_send``, which hands one test message to the provider of the Variables."""

from __future__ import annotations

import os
from types import SimpleNamespace
from uuid import UUID

import pytest
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException, AirflowSkipException

from engage.sending import test_requests as requests
from engage.settings import validate
from tests.dags.tasks import called, on_database, variables
from tests.integration.conftest import NOW
from tests.phones import fictional_phone
from tests.twilio_double import SENDER, SID, TOKEN, twilio_double

PHONE = fictional_phone(7)
ID = UUID(int=7)


@pytest.fixture
def double():
    with twilio_double() as running:
        yield running


@pytest.fixture
def connections(monkeypatch, double):
    """Airflow's connections, of which there is one, for the provider."""
    known = {"engage_sms": SimpleNamespace(login=SID, password=TOKEN, extra_dejson={"from": SENDER})}

    def get(name):
        if name not in known:
            raise AirflowNotFoundException(f"The conn_id `{name}` isn't defined")
        return known[name]

    monkeypatch.setattr(BaseHook, "get_connection", get)
    monkeypatch.setenv("ENGAGE_SMS_API", double.url)
    return known


@pytest.fixture
def run(engine, dag_bag, monkeypatch, connections):
    """Run the task as a worker does."""
    on_database(monkeypatch, engine, NOW)
    monkeypatch.setenv("ENGAGE_HASH_KEY", "x" * 32)
    variables(monkeypatch, {"engage_sms_provider": "twilio", "engage_test_phones": PHONE, "engage_segments": "{"})
    task = dag_bag.dags["engage_test_send"].get_task("send_test")
    return lambda test_send_id=str(ID): called(task, test_send_id=test_send_id)


@pytest.fixture
def asked(engine):
    with engine.begin() as conn:
        settings = validate({"test_phones": PHONE})
        text = requests.TextToTry("BOOST", "", "a", "Hi Ada. Reply STOP.")
        requests.request(conn, ID, text, to=PHONE, by="ada", settings=settings, as_of=NOW)


@pytest.mark.usefixtures("asked")
def test_it_goes_out_once_with_the_account_of_the_connection(run, double):
    accepted = {"status": "accepted", "provider": "twilio", "note": ""}
    assert [run(), run()] == [accepted, accepted]
    assert [(post.form["To"], post.form["From"], post.form["Body"]) for post in double.posts] == [
        (PHONE, SENDER, "TEST Hi Ada. Reply STOP.")
    ]


@pytest.mark.usefixtures("asked")
def test_without_the_connection_the_user_is_answered_in_a_sentence(run, connections, double):
    connections.clear()
    assert run() == {
        "status": "failed",
        "provider": "",
        "note": "Airflow has no connection engage_sms, which names the account at the provider. Add it under Admin, "
        "Connections.",
    }
    assert double.posts == []


def test_without_an_id_it_skips_itself(run):
    with pytest.raises(AirflowSkipException, match="The page Segments starts this DAG"):
        run(None)


def test_an_id_that_is_not_known_fails_at_once(run):
    with pytest.raises(AirflowFailException, match="There is no test message with the id"):
        run()


@pytest.mark.parametrize("value", ["7", "", 7, "'; DROP TABLE customer"])
def test_the_id_has_the_form_that_the_page_gives_it(dag_bag, value):
    from airflow.exceptions import ParamValidationError
    from airflow.serialization.serialized_objects import DagSerialization

    served = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag_bag.dags["engage_test_send"]))
    assert served.params.deep_merge({"test_send_id": str(ID)}).validate() == {"test_send_id": str(ID)}
    with pytest.raises(ParamValidationError):
        served.params.deep_merge({"test_send_id": value}).validate()


def test_the_key_of_the_hashes_is_needed(run, monkeypatch):
    monkeypatch.delitem(os.environ, "ENGAGE_HASH_KEY")
    with pytest.raises(AirflowFailException, match="ENGAGE_HASH_KEY is not set"):
        run()


def test_its_dag_starts_with_the_first_request_and_by_nothing_else(dag_bag):
    dag = dag_bag.dags["engage_test_send"]
    assert (dag.schedule, dag.is_paused_upon_creation) == (None, False)
