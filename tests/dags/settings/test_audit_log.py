"""Airflow's audit log as Engage's pages read it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from engage.pages.audit_log import SETTING_EVENTS, Place
from engage.pages.audit_words import events_of
from engage.pages.happenings import Kind
from engage.settings import Settings, texts
from engage.storage.schema import campaign as campaign_table
from engage.window import ANCHOR, LENGTH
from tests.dags.settings.stored import ADA, OLD, put, variables, written

pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")
EVENTS = events_of(None)


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
