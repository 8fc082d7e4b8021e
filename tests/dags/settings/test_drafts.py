"""*Propose texts…*: what each button of the page writes, starts and sets, and what it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from engage.drafts import message_texts, proposals
from engage.drafts.propose import propose
from engage.pages.setting_editors import last_edits
from engage.settings import validate
from tests.dags.settings.stored import log, put, variables
from tests.integration.conftest import NOW
from tests.llm_double import BRAND, OFFER, TEXTS, llm_double, written

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")

ID = UUID(int=7)
BAD = "TACO TOWN <b>50% off</b>"


@pytest.fixture
def operator(client, airflow_tables, monkeypatch, runs):
    """A user who may set the texts, and the DAG. The chain has a name."""
    import engage_web
    import engage_web_access
    from airflow.models.dag import DagModel

    put(airflow_tables, brand=BRAND)
    with Session(airflow_tables) as session, session.begin():
        session.add(DagModel(dag_id="engage_propose_texts", bundle_name="dags-folder", is_paused=False, is_stale=False))
    for check in (engage_web_access._run_trigger, engage_web_access._requires_set_segments):
        monkeypatch.setitem(engage_web.app.dependency_overrides, check, lambda: None)
    return client


@pytest.fixture
def drafts(operator, engine):
    """Two good drafts and a refused one, by id."""
    wish = proposals.wish(validate({}), "BOOST", offer=OFFER, language="", wanted=3)
    with engine.begin() as conn:
        proposals.request(conn, ID, wish, by="ben", as_of=NOW)
    with llm_double() as model:
        model.answer = lambda one: written([*TEXTS[:2], BAD])
        propose(engine, ID, model.endpoint, lambda: validate({"brand": BRAND}), lambda: NOW)
    with engine.connect() as conn:
        return [one.message_text_id for one in message_texts.of_proposal(conn, ID)]


def asked(operator, **changed):
    body = {"proposal_id": str(ID), "segment": "BOOST", "offer": OFFER, "language": "", "count": 8}
    return operator.post("/drafts-propose", json=body | changed)


def judged(operator, action, message_text_id, was, **more):
    return operator.post(f"/draft-{action}", json={"message_text_id": message_text_id, "was": was, **more})


def rows(engine):
    with engine.connect() as conn:
        query = "SELECT status, variant, edited_by, approved_by, rejected_by FROM message_text ORDER BY message_text_id"
        return [tuple(row) for row in conn.execute(sa.text(query))]


def test_a_press_writes_the_request_down_and_starts_one_run(operator, engine, runs):
    assert [asked(operator).status_code for _ in range(3)] == [200] * 3
    [(dag_id, conf, more)] = runs
    assert (dag_id, conf, more["triggering_user_name"]) == ("engage_propose_texts", {"proposal_id": str(ID)}, "ada")
    assert log(engine) == [("engage.propose_texts", "ada", {"segment": "BOOST", "offer": OFFER})]
    waits = {"detail": "The request waits for its run.", "done": False, "failed": False}
    assert operator.post("/drafts-proposal", json={"proposal_id": str(ID)}).json() == waits


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"segment": "NONE"}, "'NONE' is no segment of the rules that are set"),
        ({"offer": ""}, "The offer has 0 characters"),
        ({"count": 99}, "99 texts were asked for"),
        ({"language": "?"}, "'?' is no language"),
    ],
)
def test_what_cannot_be_asked_for_starts_nothing(operator, engine, runs, changed, sentence):
    answer = asked(operator, **changed)
    assert answer.status_code == 400
    assert sentence in answer.json()["detail"]
    assert (runs, log(engine)) == ([], [])


def test_a_dag_that_is_paused_leaves_no_request(operator, engine, runs):
    from airflow.models.dag import DagModel

    with Session(engine) as session, session.begin():
        paused = sa.update(DagModel).where(DagModel.dag_id == "engage_propose_texts").values(is_paused=True)
        session.execute(paused)
    answer = asked(operator)
    assert answer.status_code == 400
    assert "The DAG engage_propose_texts is paused, so no run starts. Switch it on, and ask again." in answer.text
    assert operator.post("/drafts-proposal", json={"proposal_id": str(ID)}).json()["failed"]


def test_the_list_shows_drafts_and_refused_texts_with_their_reasons_and_escapes_them(operator, drafts):
    found = operator.post("/drafts", json={"segment": "BOOST"}).json()
    assert found["waiting"] == 2
    assert "2 drafts to decide on" in found["part"]
    assert "1 text that the checks refuse" in found["part"]
    assert "Hungry again, <mark>Ada</mark>?" in found["part"]
    assert "It has “50%”, which the offer “10% off the next meal” does not have." in found["part"]
    assert "<b>50%" not in found["part"]
    assert found["part"].count("Approve as text b<") == 2
    assert "No draft waits" in operator.post("/drafts", json={"segment": "REWARD"}).json()["part"]


def test_an_approved_draft_is_set_as_a_variant_and_its_approver_is_the_settings_editor(operator, engine, drafts):
    answer = judged(operator, "approve", drafts[0], TEXTS[0], messages=None)
    wanted = {"BOOST": {"b": {"default": TEXTS[0]}}}
    assert answer.status_code == 200
    assert answer.json()["detail"] == "Text b of BOOST is approved. The next campaign takes it."
    assert json.loads(answer.json()["current"]["messages"]) == wanted
    assert "Approve as text c" in answer.json()["part"]
    assert json.loads(variables(engine)["engage_messages"]) == wanted
    assert rows(engine)[0] == ("approved", "b", None, "ada", None)
    known = {"segment": "BOOST", "variant": "b", "message_text_id": drafts[0]}
    assert log(engine) == [
        ("engage.settings", "ada", {"set": ["messages"], "reset": []}),
        ("engage.approve_draft", "ada", known),
    ]
    page = operator.get("/activity").text
    assert "approved a drafted text as text b for BOOST" in page


def test_four_eyes_know_who_approved_a_text(operator, airflow_tables, drafts):
    import engage_web_audit

    judged(operator, "approve", drafts[0], TEXTS[0], messages=None)
    until = datetime.now(UTC) + timedelta(hours=1)
    with Session(airflow_tables) as session:
        entries = engage_web_audit.setting_edits(session, since=None, until=until)
    [edit], unknown = last_edits(entries, ["messages"], until=until)
    assert (edit.setting, edit.by, unknown) == ("messages", "ada", ())


@pytest.mark.parametrize("seen", [None, '{"BOOST": {"b": "x"}}'])
def test_an_approval_after_another_users_change_sets_nothing(operator, engine, drafts, seen):
    theirs = json.dumps({"BOOST": {"b": "Their text of today"}})
    put(engine, messages=theirs)
    answer = judged(operator, "approve", drafts[0], TEXTS[0], messages=seen)
    assert answer.status_code == 409
    assert answer.json()["current"] == {"messages": theirs}
    assert rows(engine)[0][0] == "draft"
    assert (variables(engine)["engage_messages"], log(engine)) == (theirs, [])


def test_a_refused_draft_is_not_approved_until_an_edit_has_mended_it(operator, engine, drafts):
    answer = judged(operator, "approve", drafts[2], BAD, messages=None)
    assert answer.status_code == 400
    assert "The text may not be sent as it stands." in answer.json()["detail"]
    assert "engage_messages" not in variables(engine)
    still = judged(operator, "edit", drafts[2], BAD, text="Taco Town 50%")
    assert still.json()["detail"] == "The checks still refuse the draft."
    kept = judged(operator, "edit", drafts[2], "Taco Town 50%", text=TEXTS[4])
    assert kept.json()["detail"] == "The draft is kept, and may be approved."
    assert rows(engine)[2] == ("draft", None, "ada", None, None)
    assert judged(operator, "approve", drafts[2], TEXTS[4], messages=None).status_code == 200


def test_a_rejected_draft_sets_nothing_and_is_not_approved_later(operator, engine, drafts):
    answer = judged(operator, "reject", drafts[0], TEXTS[0])
    assert (answer.status_code, answer.json()["detail"], answer.json()["waiting"]) == (200, "The draft is rejected.", 1)
    assert rows(engine)[0] == ("rejected", None, None, None, "ada")
    again = judged(operator, "approve", drafts[0], TEXTS[0], messages=None)
    assert again.status_code == 400
    assert "is decided on: ada rejected it" in again.json()["detail"]
    assert "engage_messages" not in variables(engine)
    assert judged(operator, "reject", 999, "x").status_code == 404


def test_settings_with_a_mistake_take_no_text_and_keep_what_they_have(operator, engine, drafts):
    wrong = '{"BOOST": {"b": "A text with a {{ mistake }}"}}'
    put(engine, messages=wrong)
    answer = judged(operator, "approve", drafts[0], TEXTS[0], messages=wrong)
    assert answer.status_code == 400
    assert "The settings hold a mistake; correct it first." in answer.json()["detail"]
    assert variables(engine)["engage_messages"] == wrong


def test_a_user_from_whom_airflow_hides_a_variable_judges_nothing(operator, permissions, drafts):
    permissions.hidden.add("engage_brand")
    for answer in (operator.post("/drafts", json={"segment": "BOOST"}), asked(operator)):
        assert answer.status_code == 400
        assert "Airflow hides some of Engage's Variables from you" in answer.json()["detail"]


def test_a_variable_that_airflow_cannot_commit_leaves_a_draft(operator, engine, drafts, monkeypatch):
    def fail(session):
        raise ConnectionError("Airflow's database is gone")

    monkeypatch.setattr(Session, "commit", fail)
    with pytest.raises(ConnectionError):
        judged(operator, "approve", drafts[0], TEXTS[0], messages=None)
    monkeypatch.undo()
    assert rows(engine)[0] == ("draft", None, None, None, None)
    assert "engage_messages" not in variables(engine)


def test_an_environment_that_hides_the_variable_is_said(operator, drafts, set_in_environment):
    set_in_environment("messages", "{}")
    answer = judged(operator, "approve", drafts[0], TEXTS[0], messages=None)
    assert "Remove AIRFLOW_VAR_ENGAGE_MESSAGES there first." in answer.json()["detail"]
