"""The task of the DAG ``engage_propose_texts``, which asks the model of Airflow's connection."""

from __future__ import annotations

import json
from types import SimpleNamespace
from uuid import UUID

import engage_model
import pytest
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException, AirflowSkipException

from engage.drafts import proposals
from engage.settings import validate
from tests.dags.tasks import called, on_database, variables
from tests.integration.conftest import NOW
from tests.llm_double import BRAND, KEY, MODEL, OFFER, error, llm_double

ID = UUID(int=7)


@pytest.fixture
def model():
    with llm_double() as running:
        yield running


@pytest.fixture
def connections(monkeypatch, model):
    """Airflow's connections, of which there is one, to the model."""
    one = SimpleNamespace(host="127.0.0.1", port=model.port, schema="http", password=KEY, extra_dejson={"model": MODEL})
    known = {"engage_llm": one}

    def get(name):
        if name not in known:
            raise AirflowNotFoundException(f"The conn_id `{name}` isn't defined")
        return known[name]

    monkeypatch.setattr(BaseHook, "get_connection", get)
    return known


@pytest.fixture
def run(engine, dag_bag, monkeypatch, connections):
    """Run the task as a worker does."""
    on_database(monkeypatch, engine, NOW)
    variables(monkeypatch, {"engage_brand": BRAND, "engage_message_boost": "Our text of today"})
    task = dag_bag.dags["engage_propose_texts"].get_task("propose_texts")
    return lambda proposal_id=str(ID): called(task, proposal_id=proposal_id)


@pytest.fixture
def asked(engine):
    with engine.begin() as conn:
        wish = proposals.wish(validate({}), "BOOST", offer=OFFER, language="", wanted=8)
        proposals.request(conn, ID, wish, by="ada", as_of=NOW)


@pytest.mark.usefixtures("asked")
def test_it_asks_the_model_of_the_connection_once_with_the_texts_of_the_variables(run, model):
    assert [run(), run()] == [{"status": "done", "note": "The model wrote 8 texts."}] * 2
    [one] = model.asked
    assert one.headers["authorization"] == f"Bearer {KEY}"
    found = json.loads(one.body["messages"][1]["content"])
    assert (found["brand"], found["texts_that_no_text_may_resemble"]) == (BRAND, ["Our text of today"])


@pytest.mark.usefixtures("asked")
def test_without_a_connection_the_result_says_how_to_add_it(run, connections):
    connections.clear()
    found = run()
    assert found["status"] == "failed"
    assert found["note"].startswith("Airflow has no connection engage_llm, which names the model that drafts texts.")


@pytest.mark.usefixtures("asked")
def test_a_connection_that_is_wrong_or_refused_is_said_without_its_key(run, connections, model):
    model.in_turn(error(401, f"Incorrect API key {KEY}"))
    found = run()
    assert found["status"] == "failed"
    assert "refuses the key of the connection engage_llm (401)" in found["note"]
    assert KEY not in found["note"]


@pytest.mark.usefixtures("asked")
def test_a_connection_without_a_model_is_said(run, connections, model):
    connections["engage_llm"].extra_dejson = {}
    assert run()["note"].startswith("The connection engage_llm names no model.")
    assert model.asked == []


def test_a_run_by_hand_asks_for_nothing(run, model):
    with pytest.raises(AirflowSkipException, match="The run has no request"):
        run(None)
    with pytest.raises(AirflowFailException, match="There is no request for texts with the id"):
        run()
    assert model.asked == []


def test_a_page_knows_whether_there_is_a_connection(connections):
    assert engage_model.exists()
    connections.clear()
    assert not engage_model.exists()
