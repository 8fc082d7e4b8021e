"""Approvals over Airflow's own address for answers, and an answer that arrives at the task anyway."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import TaskAwaitingInput
from sqlalchemy.orm import Session

from engage.campaigns.approval import Asking
from engage.errors import ApproverRefused
from engage.settings import Settings
from engage.storage.schema import campaign
from engage.window import ANCHOR, LENGTH
from tests.dags.settings.conftest import airflow_tables, session  # noqa: F401 - fixtures
from tests.dags.settings.stored import AT, log, written

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")
PATH = "/api/v2/dags/customer_engagement/dagRuns/a_run/taskInstances/approve/-1/hitlDetails"
SNAPSHOT = Settings(require_approval=True, approvers="ada,ben", message_boost="Hi. Reply STOP to opt out.").snapshot()


@pytest.fixture
def waiting(airflow_tables):  # noqa: F811
    """A campaign whose list waits for an answer to the run ``a_run``, which Ada triggered."""
    asking = Asking(AT.isoformat(), AT + timedelta(days=2), "ada").to_json()
    row = {"window_start": ANCHOR, "window_end": ANCHOR + LENGTH, "status": "queued", "events": {}, "rejected": {}}
    with airflow_tables.begin() as conn:
        conn.execute(
            sa.insert(campaign).values(
                **row,
                settings=SNAPSHOT,
                settings_at=AT,
                opened_at=AT,
                frozen_at=AT,
                approval="requested",
                approval_at=AT,
                asked={"a_run": asking},
            )
        )
    return airflow_tables


@pytest.fixture
def airflow_answers(waiting, monkeypatch):
    """Airflow's app behind the check: the bodies that arrive there. ``user`` may be changed; None is not logged in."""
    import engage_web_answers
    import engage_web_audit
    import engage_web_database
    from fastapi import HTTPException, Request, Response
    from fastapi.testclient import TestClient

    @contextmanager
    def session_of_airflow():
        with Session(waiting) as found, found.begin():
            yield found

    async def the_user(*arguments):
        if seen.user is None:
            raise HTTPException(401)
        return SimpleNamespace(get_name=lambda: seen.user)

    monkeypatch.setattr(engage_web_database, "engine", lambda: waiting)
    monkeypatch.setattr(engage_web_answers, "create_session", session_of_airflow)
    monkeypatch.setattr(engage_web_audit, "create_session", session_of_airflow)
    monkeypatch.setattr(engage_web_answers, "get_user", the_user)

    async def airflow(scope, receive, send):
        seen.bodies.append(await Request(scope, receive).body())
        await Response()(scope, receive, send)

    client = TestClient(engage_web_answers.CheckedApprovals(airflow))

    def send(option="Approve", path=PATH, body=None):
        seen.bodies.clear()
        return client.patch(path, content=body or json.dumps({"chosen_options": [option], "params_input": {}}))

    seen = SimpleNamespace(user="ben", bodies=[], send=send, engine=waiting)
    return seen


def checked(engine):
    with engine.begin() as conn:
        return conn.execute(sa.select(campaign.c.approval_checked)).scalar_one()


def test_an_approver_passes_and_the_campaign_keeps_that(airflow_answers):
    assert airflow_answers.send().status_code == 200
    assert json.loads(airflow_answers.bodies[0]) == {"chosen_options": ["Approve"], "params_input": {}}
    assert checked(airflow_answers.engine) == {"ben": AT.isoformat()}


@pytest.mark.parametrize(
    ("user", "why"), [("ada", "ada triggered its run"), ("dan", "engage_approvers does not name dan")]
)
def test_another_user_gets_a_sentence_and_airflow_no_answer(airflow_answers, user, why):
    airflow_answers.user = user
    refused = airflow_answers.send()
    assert refused.status_code == 403
    assert why in refused.json()["detail"]
    assert airflow_answers.bodies == []
    assert checked(airflow_answers.engine) == {}
    assert ("engage.approval_refused", user) in [entry[:2] for entry in log(airflow_answers.engine)]
    assert airflow_answers.send("Reject").status_code == 200


def test_the_last_editor_of_a_text_is_refused_and_an_earlier_one_is_not(airflow_answers):
    edit = {"key": "engage_message_boost"}
    written(airflow_answers.engine, "patch_variable", -9, owner="ben", extra=edit)
    assert "ben was the last to change engage_message_boost on" in airflow_answers.send().json()["detail"]
    written(airflow_answers.engine, "patch_variable", -5, owner="cleo", extra=edit)
    assert airflow_answers.send().status_code == 200


def test_an_edit_after_the_run_has_read_the_settings_does_not_count(airflow_answers):
    written(airflow_answers.engine, "patch_variable", 5, owner="ben", extra={"key": "engage_message_boost"})
    assert airflow_answers.send().status_code == 200


def test_an_edit_of_a_setting_that_was_not_changed_does_not_count(airflow_answers):
    written(airflow_answers.engine, "patch_variable", -5, owner="ben", extra={"key": "engage_message_reward"})
    assert airflow_answers.send().status_code == 200


@pytest.mark.parametrize(
    "request_",
    [
        {"path": PATH.replace("a_run", "another_run")},
        {"path": PATH.replace("customer_engagement", "another_dag")},
        {"path": PATH.replace("/approve/", "/other/")},
        {"option": "Reject"},
        {"body": b"{"},
        {"body": b"[]"},
        {"body": b'{"chosen_options": "Approve"}'},
    ],
    ids=str,
)
def test_all_else_passes(airflow_answers, request_):
    airflow_answers.user = "dan"
    assert airflow_answers.send(**request_).status_code == 200
    assert len(airflow_answers.bodies) == 1


def test_airflow_itself_refuses_a_request_without_a_login(airflow_answers):
    airflow_answers.user = None
    airflow_answers.send()
    assert len(airflow_answers.bodies) == 1
    assert checked(airflow_answers.engine) == {}


def test_without_engages_database_no_approval_is_recorded(airflow_answers, monkeypatch):
    import engage_web_database

    gone = sa.create_engine("postgresql+psycopg://127.0.0.1:1/nowhere")
    monkeypatch.setattr(engage_web_database, "engine", lambda: gone)
    answer = airflow_answers.send()
    assert answer.status_code == 503
    assert "The answer was not recorded." in answer.json()["detail"]
    assert airflow_answers.bodies == []


def test_the_plugin_installs_the_check():
    import engage_web_answers
    from engage_plugin import EngagePlugin

    [one] = EngagePlugin().fastapi_root_middlewares
    assert one["middleware"] is engage_web_answers.CheckedApprovals


# --- the task


@pytest.fixture
def refusing(dag, monkeypatch):
    """The task, whose answers do not count; and Airflow's operator, which parks it."""
    task = dag.get_task("approve")

    def refuse(context, event):
        raise ApproverRefused("ada may not approve this list.")

    def park(self, context):
        raise TaskAwaitingInput(method_name="execute_complete", timeout=self.response_timeout)

    monkeypatch.setattr(task, "_record", refuse)
    monkeypatch.setattr(ApprovalOperator, "execute", park)
    return task


@pytest.mark.parametrize("left", [timedelta(hours=5), timedelta(seconds=-9)])
def test_an_approval_that_does_not_count_leaves_the_question_open_until_the_same_deadline(refusing, left):
    now = datetime.now(UTC)
    deadline = (now + left).isoformat()
    event = {
        "chosen_options": ["Approve"],
        "responded_at": now - timedelta(seconds=10),
        "responded_by_user": {"id": "ada", "name": "ada"},
    }
    with pytest.raises(TaskAwaitingInput) as parked:
        refusing.execute_complete({}, event, deadline=deadline)
    assert parked.value.kwargs == {"deadline": deadline}
    assert timedelta(0) < parked.value.timeout <= max(left, timedelta(seconds=1))
