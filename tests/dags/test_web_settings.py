"""The settings' Variables as Engage's pages change them, and Airflow's audit log as they read it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from engage.errors import SettingsError
from engage.pages.audit_log import SETTING_EVENTS, Place
from engage.pages.audit_words import events_of
from engage.pages.happenings import Kind
from engage.pages.viewer import Viewer
from engage.settings import Change, Settings, texts
from engage.storage.schema import campaign as campaign_table
from engage.window import ANCHOR, LENGTH
from tests.dags.web_client import web_client
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")

AT = datetime(2026, 11, 26, 14, tzinfo=UTC)
EVENTS = events_of(None)
ADA = SimpleNamespace(get_name=lambda: "ada")
OLD = [{"name": "approval_hours", "value": "3", "was": None}]


class Permissions:
    """Airflow's auth manager: which methods the user may use on a Variable, and whether the audit log may be read."""

    def __init__(self) -> None:
        self.methods = {"GET", "POST", "PUT", "DELETE"}
        self.hidden: set[str] = set()
        self.audit_log = True

    def is_authorized_variable(self, *, method, details, user):
        return method in self.methods and details.key not in self.hidden

    def is_authorized_dag(self, *, method, access_entity, details, user):
        return self.audit_log


@pytest.fixture
def airflow_tables(engine):
    """Airflow's tables of Variables and of the audit log, and the DAG's own row."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.log import Log
    from airflow.models.team import Team
    from airflow.models.variable import Variable

    tables = [one.__table__ for one in (Team, DagBundleModel, DagModel, Variable, Log)]
    Variable.metadata.create_all(engine, tables=tables)
    with Session(engine) as session, session.begin():
        session.add(DagBundleModel(name="dags-folder"))
        session.flush()
        session.add(DagModel(dag_id="customer_engagement", bundle_name="dags-folder"))
    return engine


@pytest.fixture
def session(airflow_tables):
    with Session(airflow_tables) as found:
        yield found


@pytest.fixture
def permissions(monkeypatch):
    import engage_web_audit
    import engage_web_variables

    found = Permissions()
    for module in (engage_web_audit, engage_web_variables):
        monkeypatch.setattr(module, "get_auth_manager", lambda: found)
    return found


@pytest.fixture
def client(airflow_tables, permissions, monkeypatch):
    """A user with the permissions, from a page of ours."""
    import engage_web_access

    def a_session():
        with Session(airflow_tables) as found, found.begin():
            yield found

    access = [engage_web_access._run_access, engage_web_access._same_origin]
    return web_client(
        monkeypatch,
        airflow_tables,
        user=ADA,
        session=a_session,
        without=access,
        viewer=Viewer(may_set_segments=True),
    )


def variables(engine):
    from airflow.models.variable import Variable

    with Session(engine) as session:
        return {one.key: one.val for one in session.scalars(sa.select(Variable))}


def put(engine, **values):
    from airflow.models.variable import Variable

    with Session(engine) as session, session.begin():
        for name, value in values.items():
            session.add(Variable(f"engage_{name}", value, "its description"))


@pytest.fixture
def set_in_environment(monkeypatch):
    """Sets a setting as an operator of Airflow may: in its environment, which hides the Variable."""
    return lambda name, value: monkeypatch.setenv(f"AIRFLOW_VAR_ENGAGE_{name}".upper(), value)


def log(engine):
    """The audit log's entries: event, user, details."""
    from airflow.models.log import Log

    with Session(engine) as session:
        rows = session.execute(sa.select(Log.event, Log.owner, Log.extra).order_by(Log.id)).all()
    return [(row.event, row.owner, json.loads(row.extra)) for row in rows]


# --- saving


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


# --- settings whose names staff choose

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
    assert found["engage_lapsing_days_threshold"].startswith("The number that rules name lapsing_days_threshold.")
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


# --- the audit log


def written(engine, event, minutes=0, *, dag_id=None, owner="ada", extra=None):
    from airflow.models.log import Log

    with Session(engine) as session, session.begin():
        one = Log(event, owner=owner, dag_id=dag_id, extra=json.dumps(extra or {}))
        one.dttm = AT + timedelta(minutes=minutes)
        session.add(one)


def read(session, events=EVENTS, **wanted):
    import engage_web_audit

    return [(one.event, one.user) for one in engage_web_audit.entries(session, events, **{"limit": 100, **wanted})]


def test_only_what_is_about_engage_is_read_newest_first(session, airflow_tables):
    written(airflow_tables, "patch_variable", 1, extra={"key": "engage_max_segments"})
    written(airflow_tables, "patch_variable", 2, extra={"key": "engagement"})
    written(airflow_tables, "trigger_dag_run", 3, dag_id="customer_engagement")
    written(airflow_tables, "trigger_dag_run", 4, dag_id="another_dag")
    written(airflow_tables, "engage.halt", 5, owner="ben")
    written(airflow_tables, "success", 6, dag_id="customer_engagement")
    assert read(session) == [("engage.halt", "ben"), ("trigger_dag_run", "ada"), ("patch_variable", "ada")]
    assert read(session, user="ben") == [("engage.halt", "ben")]
    assert read(session, SETTING_EVENTS) == [("patch_variable", "ada")]
    assert read(session, events_of(Kind.RUNS)) == [("trigger_dag_run", "ada")]
    assert read(session, limit=1) == [("engage.halt", "ben")]


def test_a_page_goes_on_where_the_last_one_ended_also_within_one_moment(session, airflow_tables):
    import engage_web_audit

    for n in range(5):
        written(airflow_tables, "engage.halt", 0, owner=f"user{n}")
    seen, before = [], None
    for _ in range(3):
        found = engage_web_audit.entries(session, ["engage.halt"], before=before, limit=2)
        seen += [one.user for one in found]
        before = Place(found[-1].at, found[-1].entry_id)
    assert seen == ["user4", "user3", "user2", "user1", "user0"]


def test_an_entry_whose_details_cannot_be_read_is_no_error(session, airflow_tables):
    from airflow.models.log import Log

    for extra in ("engage_ {", "[1]", None, '"engage_"'):
        session.add(Log("patch_variable", owner=None, extra=extra))
        session.add(Log("engage.halt", owner=None, extra=extra))
    session.flush()
    assert ("engage.halt", "") in read(session)


def test_the_pages_say_which_user_changed_which_setting_to_users_who_may_know(client, engine, permissions):
    client.post("/settings-save", json={"changes": OLD})
    for address in ("/settings", "/activity", "/activity?kind=settings", "/activity?by=ada"):
        assert '<strong>ada</strong> changed <a href="settings#approval_hours">' in client.get(address).text
    assert "<strong>ada</strong>" not in client.get("/activity?by=ben").text
    permissions.audit_log = False
    assert "History</button>" not in client.get("/settings").text
    assert "<strong>ada</strong>" not in client.get("/activity").text
    assert "Only the campaigns&#39; own records are shown" in client.get("/activity").text.replace("'", "&#39;")


def test_an_address_of_the_activity_that_is_wrong_says_so(client):
    assert client.get("/activity?kind=gossip").status_code == 400
    assert client.get("/activity?before=x").status_code == 400
    assert client.get("/activity?before=1-1-1").status_code == 200


def test_every_setting_can_be_saved_by_its_name(client, engine):
    defaults = texts(Settings())
    changes = [{"name": name, "value": value, "was": None} for name, value in defaults.items()]
    assert client.post("/settings-save", json={"changes": changes}).status_code == 200
    assert len(variables(engine)) == len(defaults)


def test_a_wrong_setting_is_quoted_only_to_a_user_who_may_read_it(client, airflow_tables, permissions):
    put(airflow_tables, low_spend_threshold="a secret")
    blank = {"window_end": ANCHOR + LENGTH, "status": "bucketed", "settings": {}, "events": {}, "rejected": {}}
    with airflow_tables.begin() as conn:
        conn.execute(sa.insert(campaign_table).values(window_start=ANCHOR, opened_at=ANCHOR + LENGTH, **blank))
    assert "a secret" in client.get("/campaigns").text
    permissions.hidden = {"engage_low_spend_threshold"}
    page = client.get("/campaigns").text
    assert "a secret" not in page
    assert "settings are not valid" in page


@pytest.mark.parametrize("missing", ["GET", "POST", "PUT", "DELETE"])
def test_segments_are_set_only_by_a_user_who_may_also_take_it_back(permissions, missing):
    import engage_web_access

    assert engage_web_access._may_set_segments(ADA)
    permissions.methods -= {missing}
    assert not engage_web_access._may_set_segments(ADA)


# --- the page Segments


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
