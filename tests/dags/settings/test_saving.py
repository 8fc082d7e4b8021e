"""Saving settings from Engage's pages: one user, two at once, and what Airflow's environment sets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from engage.errors import SettingsError
from engage.settings import Change
from tests.dags.settings.stored import OLD, log, put, variables
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")


def test_changes_are_saved_with_an_entry_that_names_them_and_no_value(client, engine):
    put(engine, alert_emails="old@example.com", max_segments="2")
    changes = [
        {"name": "alert_emails", "value": "new@example.com", "was": "old@example.com"},
        {"name": "max_segments", "value": None, "was": "2"},
        {"name": "holdout_percent", "value": "5", "was": None},
    ]
    answer = client.post("/settings-save", json={"changes": changes})
    assert answer.status_code == 200
    assert answer.json()["detail"] == (
        "Saved: “Addresses for alerts”, “Longest text”, “Holdout”. The next campaign takes them."
    )
    assert variables(engine) == {"engage_alert_emails": "new@example.com", "engage_holdout_percent": "5"}
    [entry] = log(engine)
    assert entry == ("engage.settings", "ada", {"set": ["alert_emails", "holdout_percent"], "reset": ["max_segments"]})


def test_a_new_variable_has_its_description_and_an_old_one_keeps_its_own(client, engine):
    from airflow.models.variable import Variable

    put(engine, max_segments="2")
    changes = [{"name": "max_segments", "value": "4", "was": "2"}, *OLD]
    assert client.post("/settings-save", json={"changes": changes}).status_code == 200
    with Session(engine) as session:
        found = {one.key: one.description for one in session.scalars(sa.select(Variable))}
    assert found["engage_max_segments"] == "its description"
    assert found["engage_approval_hours"].startswith("How long a run waits for the approver.")


def test_saving_can_be_taken_back(client, engine):
    put(engine, max_segments="2")
    changes = [{"name": "max_segments", "value": None, "was": "2"}, *OLD]
    undo = client.post("/settings-save", json={"changes": changes}).json()["undo"]
    assert undo["action"] == "settings-save"
    answer = client.post("/settings-save", json=undo["body"])
    assert answer.json() == {"detail": "Taken back: “Longest text”, “Hours to wait for the approver”."}
    assert variables(engine) == {"engage_max_segments": "2"}


def test_what_another_user_has_changed_meanwhile_is_not_overwritten(client, engine):
    put(engine, max_segments="5")
    changes = [{"name": "max_segments", "value": "4", "was": "3"}, *OLD]
    answer = client.post("/settings-save", json={"changes": changes})
    assert answer.status_code == 409
    assert "another user has changed “Longest text” meanwhile" in answer.json()["detail"]
    assert answer.json()["current"] == {"max_segments": "5", "approval_hours": None}
    assert variables(engine) == {"engage_max_segments": "5"}
    assert log(engine) == []


@pytest.mark.parametrize(("was", "stored"), [("3", None), (None, "3")])
def test_a_variable_that_was_made_or_deleted_meanwhile_is_a_change(client, engine, was, stored):
    put(engine, **({"max_segments": stored} if stored else {}))
    changes = [{"name": "max_segments", "value": "4", "was": was}]
    assert client.post("/settings-save", json={"changes": changes}).status_code == 409


def test_a_variable_that_airflows_own_page_makes_at_once_is_not_overwritten(session, airflow_tables, monkeypatch):
    import engage_web_variables

    rows = engine_rows = engage_web_variables._rows

    def and_then_another_user(session, *, lock=False):
        found = rows(session, lock=lock)
        put(airflow_tables, approval_hours="9")
        monkeypatch.setattr(engage_web_variables, "_rows", engine_rows)
        return found

    monkeypatch.setattr(engage_web_variables, "_rows", and_then_another_user)
    with pytest.raises(engage_web_variables.Outdated) as refused:
        engage_web_variables.change(session, [Change("approval_hours", "3", None)])
    assert refused.value.current == {"approval_hours": "9"}


def test_a_wrong_value_changes_nothing_and_is_an_error_at_its_field(client, engine):
    changes = [{"name": "max_segments", "value": "0", "was": None}, *OLD]
    answer = client.post("/settings-save", json={"changes": changes})
    assert answer.status_code == 400
    assert answer.json()["errors"].keys() == {"max_segments"}
    assert (variables(engine), log(engine)) == ({}, [])


@pytest.mark.parametrize("missing", ["POST", "PUT", "DELETE"])
def test_a_user_who_may_not_edit_changes_nothing(client, engine, permissions, missing):
    permissions.methods -= {missing}
    assert client.post("/settings-save", json={"changes": OLD}).status_code == 403
    assert (variables(engine), log(engine)) == ({}, [])


def test_a_user_who_may_not_edit_one_of_them_changes_none(client, engine, permissions):
    permissions.hidden = set()
    permissions.is_authorized_variable = lambda *, method, details, user: (
        method == "GET" or details.key != "engage_sms_provider"
    )
    changes = [{"name": "sms_provider", "value": "twilio", "was": None}, *OLD]
    assert client.post("/settings-save", json={"changes": changes}).status_code == 403
    assert client.post("/settings-save", json={"changes": OLD}).status_code == 200


def test_a_check_needs_the_permission_to_see_all_variables(client, permissions):
    assert client.post("/settings-check", json={"changes": OLD}).status_code == 200
    permissions.hidden = {"engage_alert_emails"}
    assert client.post("/settings-check", json={"changes": OLD}).status_code == 403
    permissions.methods = set()
    assert client.post("/settings-check", json={"changes": []}).status_code == 403


def test_a_user_without_the_permission_sees_no_value_of_a_variable(client, engine, permissions):
    put(engine, alert_emails="ops@example.com", approval_hours="719")
    assert "ops@example.com" in client.get("/settings").text
    permissions.methods = set()
    page = client.get("/settings").text
    assert "ops@example.com" not in page
    assert '719"' not in page


def test_unknown_settings_are_left_out_and_a_long_value_is_refused(client, engine):
    body = {"changes": [{"name": "no_such", "value": "1", "was": None}, *OLD]}
    assert client.post("/settings-save", json=body).status_code == 200
    assert variables(engine) == {"engage_approval_hours": "3"}
    body = {"changes": [{"name": "message_boost", "value": "x" * 60_001, "was": None}]}
    assert client.post("/settings-save", json=body).status_code == 422


# --- two users at once


def waiting_for_a_lock(engine):
    with engine.connect() as conn:
        return conn.exec_driver_sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").scalar()


@pytest.mark.parametrize("stored", [{}, {"max_segments": "3", "message_boost": "Hi! Reply STOP to opt out."}])
def test_two_users_who_save_at_once_cannot_make_a_pair_that_no_run_takes(client, session, airflow_tables, stored):
    import engage_web_variables

    put(airflow_tables, **stored)
    long = "x" * 200 + " Reply STOP to opt out."
    theirs = [{"name": "message_boost", "value": long, "was": stored.get("message_boost")}]
    engage_web_variables.change(session, [Change("max_segments", "1", stored.get("max_segments"))])
    with ThreadPoolExecutor(1) as other_user:
        try:
            asked = other_user.submit(client.post, "/settings-save", json={"changes": theirs})
            until(lambda: waiting_for_a_lock(airflow_tables), "the other user waits", within=10)
        finally:
            session.commit()
        answer = asked.result()
    assert answer.status_code == 400
    assert answer.json()["errors"].keys() == {"message_boost"}
    assert "Nothing was saved. “Text for BOOST” takes 2 segments" in answer.json()["detail"]
    assert "engage_max_segments" in variables(airflow_tables)
    assert long not in variables(airflow_tables).values()


def test_what_a_page_has_read_before_the_lock_is_read_again(session, airflow_tables):
    import engage_web_variables

    put(airflow_tables, max_segments="3")
    assert engage_web_variables.values(session) == {"max_segments": "3"}
    with airflow_tables.begin() as conn:
        conn.exec_driver_sql("UPDATE variable SET val = '5', is_encrypted = false")
    with pytest.raises(engage_web_variables.Outdated) as refused:
        engage_web_variables.change(session, [Change("max_segments", "4", "3")])
    assert refused.value.current == {"max_segments": "5"}


# --- what Airflow's environment sets


def test_the_environment_comes_before_the_variables(session, airflow_tables, set_in_environment):
    import engage_web_variables

    put(airflow_tables, approval_hours="7", send_within_days="3", sending_hours="09:00-12:00", max_segments="4")
    set_in_environment("approval_hours", "9")
    set_in_environment("send_within_days", "5")
    set_in_environment("sending_hours", "10:00-11:00")
    current = engage_web_variables.current(session)
    assert (current.approval_hours, current.max_segments) == (9, 4)
    assert engage_web_variables.lateness_settings(session).send_within_days == 5
    assert engage_web_variables.eligibility_settings(session).sending_hours == "10:00-11:00"
    assert engage_web_variables.values(session)["approval_hours"] == "7"  # what an editor shows and changes


def test_a_wrong_value_in_the_environment_is_found(session, set_in_environment):
    import engage_web_variables

    set_in_environment("approval_hours", "")
    with pytest.raises(SettingsError, match="engage_approval_hours is '', which is not allowed"):
        engage_web_variables.current(session)


def test_a_change_that_the_environment_hides_says_so(client, engine, set_in_environment):
    set_in_environment("max_segments", "3")
    changes = [{"name": "max_segments", "value": "4", "was": None}, *OLD]
    assert client.post("/settings-save", json={"changes": changes}).json()["detail"] == (
        "Saved: “Longest text”, “Hours to wait for the approver”. The next campaign does not take “Longest text”: "
        "Airflow's environment sets it, and hides the Variable. Remove AIRFLOW_VAR_ENGAGE_MAX_SEGMENTS there first."
    )
    set_in_environment("low_spend_threshold", "80")
    changes = [{"name": "low_spend_threshold", "value": "120.5", "was": None}]
    answer = client.post("/settings-save", json={"changes": changes}).json()["detail"]
    assert "The next campaign does not take “Low spend threshold”" in answer
    assert variables(engine)["engage_low_spend_threshold"] == "120.5"
