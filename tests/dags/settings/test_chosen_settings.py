"""Settings whose names staff choose, and the page Segments, over Airflow's Variables."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from engage.window import ANCHOR
from tests.dags.settings.stored import OLD, log, put, variables, written

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")


RULES = {"segments": [{"name": "LAPSING", "when": ["days_since_last_purchase > lapsing_days_threshold"]}]}
WRITTEN = [
    {"name": "segments", "value": json.dumps(RULES), "was": None},
    {"name": "lapsing_days_threshold", "value": "28", "was": None},
    {"name": "message_lapsing", "value": "We miss you. Reply STOP to opt out.", "was": None},
]


def test_rules_a_threshold_and_a_text_are_saved_together_taken_back_and_named_in_the_audit_log(client, engine):
    from airflow.models.variable import Variable

    answer = client.post("/settings-save", json={"changes": WRITTEN})
    assert answer.json()["detail"] == (
        "Saved: “Segments and their rules”, “Lapsing days threshold”, “Text for LAPSING”. The next campaign takes them."
    )
    assert variables(engine)["engage_lapsing_days_threshold"] == "28"
    with Session(engine) as session:
        found = {one.key: one.description for one in session.scalars(sa.select(Variable))}
    assert found["engage_message_lapsing"] == "The text message for LAPSING. Allowed: a text of 1 to 1000 characters."
    assert found["engage_lapsing_days_threshold"].startswith(
        "The number that rules name lapsing_days_threshold, or the share of the customers that becomes it."
    )
    [(_, _, details)] = log(engine)
    assert details["set"] == ["segments", "lapsing_days_threshold", "message_lapsing"]
    page = client.get("/activity?kind=settings").text
    assert '<a href="settings#lapsing_days_threshold">Lapsing days threshold</a>' in page
    undone = client.post("/settings-save", json=answer.json()["undo"]["body"])
    assert undone.status_code == 200
    assert variables(engine) == {}


def test_rules_without_their_threshold_are_refused_and_so_is_a_threshold_that_they_need(client, engine):
    answer = client.post("/settings-save", json={"changes": WRITTEN[:1]})
    assert answer.status_code == 400
    assert "needs the setting lapsing_days_threshold, and there is none" in answer.json()["errors"]["segments"]
    client.post("/settings-save", json={"changes": WRITTEN})
    deleted = [{"name": "lapsing_days_threshold", "value": None, "was": "28"}]
    assert client.post("/settings-save", json={"changes": deleted}).status_code == 400
    assert variables(engine)["engage_lapsing_days_threshold"] == "28"


def test_all_variables_of_settings_are_read_with_one_query(session, airflow_tables):
    import engage_web_variables

    put(airflow_tables, vip_threshold="1", message_vip="x", max_segments="2", no_such="3", **{"Message_VIP": "4"})
    queries = []
    sa.event.listen(airflow_tables, "before_cursor_execute", lambda *call: queries.append(call[2]))
    assert engage_web_variables.values(session) == {"max_segments": "2", "message_vip": "x", "vip_threshold": "1"}
    assert len(queries) == 1


def test_an_edit_of_a_chosen_variable_in_airflow_is_about_settings(session, airflow_tables, client):
    written(airflow_tables, "patch_variable", 1, extra={"key": "engage_vip_threshold"})
    written(airflow_tables, "patch_variable", 2, extra={"key": "engage_vip"})
    page = client.get("/activity?kind=settings").text
    assert "settings#vip_threshold" in page
    assert page.count("<strong>ada</strong>") == 1


def test_a_chosen_variable_that_the_user_may_not_see_is_not_shown(client, engine, permissions):
    put(engine, vip_threshold="717")
    assert '"717"' in client.get("/settings").text
    permissions.hidden = {"engage_vip_threshold"}
    assert '"717"' not in client.get("/settings").text
    assert client.post("/settings-check", json={"changes": OLD}).status_code == 403


def test_a_user_who_may_not_edit_a_new_variable_changes_none(client, engine, permissions):
    permissions.is_authorized_variable = lambda *, method, details, user: (
        method == "GET" or details.key != "engage_vip_threshold"
    )
    changes = [{"name": "vip_threshold", "value": "5", "was": None}, *OLD]
    assert client.post("/settings-save", json={"changes": changes}).status_code == 403
    assert variables(engine) == {}


def test_json_may_be_longer_than_a_text(client):
    long = json.dumps(RULES) + " " * 5000
    changes = [{"name": "segments", "value": long, "was": None}, WRITTEN[1]]
    assert client.post("/settings-save", json={"changes": changes}).status_code == 200
    changes = [{"name": "messages", "value": "x" * 50_001, "was": None}]
    assert client.post("/settings-save", json={"changes": changes}).status_code == 422


def test_thresholds_that_another_user_has_set_meanwhile_stay(client, engine):
    put(engine, low_spend_threshold="90", lapsing_days_threshold="7")
    for name, seen in (("low_spend_threshold", "100.00"), ("lapsing_days_threshold", None)):
        answer = client.post("/settings-save", json={"changes": [{"name": name, "value": "120.5", "was": seen}]})
        assert answer.status_code == 409
    assert "“Lapsing days threshold”" in answer.json()["detail"]
    assert variables(engine) == {"engage_low_spend_threshold": "90", "engage_lapsing_days_threshold": "7"}
    assert log(engine) == []


def test_rules_are_read_from_json_or_said_to_be_wrong(client):
    answer = client.post("/segments-read", json={"text": json.dumps(RULES)}).json()
    assert answer["rules"] == RULES | {"otherwise": "NONE"}
    assert answer["thresholds"] == ["lapsing_days_threshold"]
    answer = client.post("/segments-read", json={"text": '{"segments": [{"name": "<b>", "when": []}]}'})
    assert answer.status_code == 200
    assert answer.json()["wrong"].startswith('The name of segment 1 is "<b>"')


def test_a_draft_is_counted_only_over_a_window_with_segments(client):
    draft = {"window_start": f"{ANCHOR:%Y-%m-%d}", "changes": []}
    for path in ("/segments-counts", "/segments-texted"):
        answer = client.post(path, json=draft)
        assert answer.status_code == 404
        assert "run its bucket step first" in answer.json()["detail"]
    assert client.post("/segments-counts", json={"window_start": "2025-01-07", "changes": []}).status_code == 400
    assert client.get("/segments").status_code == 404


@pytest.mark.parametrize(
    "more",
    [{"customers": {"BOOST": [-1]}}, {"customers": {"BOOST": [2**63]}}, {"customers": {"BOOST": [1, 2, 3, 4]}}],
    ids=str,
)
def test_customers_of_a_preview_are_few_and_have_ids(client, more):
    draft = {"window_start": f"{ANCHOR:%Y-%m-%d}", "changes": []}
    assert client.post("/segments-texts", json=draft | more).status_code == 422


def test_a_draft_of_any_size_is_refused(client):
    changes = [{"name": f"t{n}_threshold", "value": "1", "was": None} for n in range(500)]
    draft = {"window_start": f"{ANCHOR:%Y-%m-%d}", "changes": changes}
    assert client.post("/segments-counts", json=draft).status_code == 422
