"""The plugin: what it costs a process that does not serve its pages, and what it registers with Airflow."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from tests.dags.conftest import ROOT

ALLOWED_SECONDS = 0.1
TRIES = 10

LOADED = """
import json, sys, time
import airflow.configuration, airflow.plugins_manager, airflow.sdk, airflow.timetables.base, pendulum

before = set(sys.modules)
started = time.process_time()
found = airflow.plugins_manager.get_timetables_plugins()
seconds = time.process_time() - started
assert "engage_timetable.EngageTimetable" in found
views = airflow.plugins_manager._get_ui_plugins()[0]
assert {view["url_route"] for view in views} == {"engage", "engage-report"}, views
print(json.dumps({"seconds": seconds, "modules": sorted(set(sys.modules) - before)}))
"""


def loaded() -> dict:
    """A fresh process that loads the plugins as every one of Airflow's does, and how long it took."""
    answer = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def test_loading_the_plugin_imports_no_page_and_takes_no_time():
    tries = [loaded()]
    while tries[-1]["seconds"] > ALLOWED_SECONDS and len(tries) < TRIES:
        tries.append(loaded())
    assert "engage_web" not in tries[0]["modules"]
    assert {name.split(".")[0] for name in tries[0]["modules"]} & {"fastapi", "jinja2", "psycopg", "pandas"} == set()
    assert min(one["seconds"] for one in tries) < ALLOWED_SECONDS


pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    import engage_web

    return engage_web.app


def test_every_route_asks_for_a_login_and_for_a_permission(app):
    from airflow.api_fastapi.core_api.security import get_user

    assert [dependency.dependency for dependency in app.router.dependencies] == [get_user]
    assert [route.path for route in app.routes if not isinstance(route, APIRoute)] == []
    for route in app.routes:
        asked = [dependency.dependency.__qualname__ for dependency in route.dependencies]
        assert "requires_access_dag.<locals>.inner" in asked, route.path


def test_every_tab_leads_to_a_route(app):
    from engage.pages.render import shown_tabs

    assert {f"/{tab.address}" for tab in shown_tabs()} <= {route.path for route in app.routes}


def test_the_icon_in_the_navigation_is_a_file_of_ours():
    from engage_plugin import EngagePlugin

    from engage.pages import static_files

    folder, _, name = EngagePlugin.external_views[0]["icon"].rpartition("/")
    assert folder == "/engage/static"
    assert static_files.find(name) == (static_files.content("icon.svg"), "image/svg+xml")


def test_nothing_describes_the_routes_to_strangers(app):
    assert (app.docs_url, app.redoc_url, app.openapi_url) == (None, None, None)


def test_the_task_message_has_a_button_that_opens_the_report(dag, serialized_dag):
    assert serialized_dag.get_task("message").operator_extra_link_dict.keys() == {"Campaign report"}
    assert [task.task_id for task in dag.tasks if task.operator_extra_links] == ["message"]


class Key:
    dag_id, run_id = "customer_engagement", "manual__2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("http://localhost:8080", ""),
        ("https://engage.example/", ""),
        ("https://engage.example/airflow", "/airflow"),
        ("https://engage.example/our/airflow/", "/our/airflow"),
    ],
)
def test_that_button_stays_below_the_path_that_airflow_is_at(dag, monkeypatch, base_url, path):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    [link] = dag.get_task("message").operator_extra_links
    report = "/dags/customer_engagement/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/plugin/engage-report"
    assert link.get_link(dag.get_task("message"), ti_key=Key()) == path + report


def test_the_statuses_have_the_colours_of_airflows_states():
    """``none`` is how its user interface calls the colour of a task without a state."""
    from airflow.utils.state import TaskInstanceState

    from engage.campaigns.status import Tone

    assert {str(tone) for tone in Tone} <= {state.value for state in TaskInstanceState} | {"none"}
