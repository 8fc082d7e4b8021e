from __future__ import annotations

import ast
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.exceptions import ParamValidationError

from engage.window import ANCHOR

ROOT = Path(__file__).resolve().parents[2]
DAG_IDS = {"customer_engagement", "engage_maintenance", "engage_propose_texts", "engage_test_send"}
TASKS = ["seed", "extract", "aggregate", "measure", "bucket", "approve", "message"]
TRIGGER_RULES = {"extract": "none_failed", "message": "none_failed_min_one_success"}
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
PLUGIN_FILES = sorted((ROOT / "plugins").glob("**/*.py"))

every_dag = pytest.mark.parametrize("dag_id", sorted(DAG_IDS))
every_task = pytest.mark.parametrize(
    ("dag_id", "task_id"),
    [
        *(("customer_engagement", task_id) for task_id in TASKS),
        ("engage_maintenance", "maintain"),
        ("engage_maintenance", "watch"),
        ("engage_maintenance", "verify_consent"),
        ("engage_maintenance", "live_window"),
        ("engage_test_send", "send_test"),
        ("engage_propose_texts", "propose_texts"),
    ],
)


def test_the_dag_files_import_without_an_error(dag_bag):
    assert dag_bag.import_errors == {}


def test_the_dags_are_these(dag_bag):
    """A DAG that does not load is missing here; one that is new has to be added."""
    assert set(dag_bag.dags) == DAG_IDS


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.name)
def test_a_dag_file_is_a_table_of_contents(file):
    text = file.read_text()
    assert len(text.splitlines()) < 120
    assert ast.get_docstring(ast.parse(text))


@every_dag
def test_a_dag_explains_itself_and_each_task(dag_bag, dag_id):
    dag = dag_bag.dags[dag_id]
    assert dag.doc_md.startswith("### ")
    for task in dag.tasks:
        assert f"`{task.task_id}`" in dag.doc_md
        assert task.doc_md


def test_the_tasks_form_a_chain(dag):
    assert "Every 8 weeks" in dag.doc_md
    assert dag.task_ids == TASKS
    assert [dag.get_task(task_id).downstream_task_ids for task_id in TASKS] == [
        {"extract"}, {"aggregate"}, {"measure", "bucket"}, set(), {"approve", "message"}, {"message"}, set(),
    ]  # fmt: skip


def test_other_dags_can_follow_what_message_did_and_nothing_else(dag_bag, serialized_dag):
    outlets = {(dag.dag_id, task.task_id, asset.name) for dag in dag_bag.dags.values() for task in dag.tasks
               for asset in task.outlets}  # fmt: skip
    assert outlets == {("customer_engagement", "message", "engage_campaign")}
    assert [asset.name for asset in serialized_dag.get_task("message").outlets] == ["engage_campaign"]


def test_maintenance_is_six_tasks_an_hour_four_of_which_seldom_have_work(dag_bag):
    dag = dag_bag.dags["engage_maintenance"]
    assert set(dag.task_ids) == {"maintain", "archive", "watch", "verify_consent", "live_window", "train"}
    assert dag.schedule == "@hourly"
    assert dict(dag.params.dump()) == {}


@pytest.mark.parametrize(
    ("dag_id", "runs"),
    [("customer_engagement", 16), ("engage_maintenance", 1), ("engage_propose_texts", 4), ("engage_test_send", 16)],
)
def test_a_run_that_waits_does_not_hold_up_a_campaign_and_there_is_no_catching_up(dag_bag, dag_id, runs):
    dag = dag_bag.dags[dag_id]
    assert dag.max_active_runs == runs
    assert dag.catchup is False


@every_dag
def test_a_dag_starts_at_the_anchor(dag_bag, dag_id):
    dag = dag_bag.dags[dag_id]
    assert dag.start_date == ANCHOR == datetime(2025, 1, 6, tzinfo=UTC)
    assert dag.end_date is None


@pytest.mark.parametrize(
    ("dag_id", "tags"),
    [
        ("customer_engagement", {"engage", "marketing", "sms"}),
        ("engage_maintenance", {"engage", "maintenance"}),
        ("engage_test_send", {"engage", "sms"}),
        ("engage_propose_texts", {"engage", "texts"}),
    ],
)
def test_a_dag_can_be_found_by_owner_and_tags(dag_bag, dag_id, tags):
    assert dag_bag.dags[dag_id].owner == "engage"
    assert dag_bag.dags[dag_id].tags == tags


@every_task
def test_a_task_is_retried_with_growing_pauses(dag_bag, dag_id, task_id):
    task = dag_bag.dags[dag_id].get_task(task_id)
    assert task.retries >= 2
    assert task.retry_exponential_backoff
    assert timedelta(0) < task.retry_delay < task.max_retry_delay <= timedelta(hours=1)


@every_task
def test_a_task_cannot_run_for_ever(dag_bag, dag_id, task_id):
    assert timedelta(0) < dag_bag.dags[dag_id].get_task(task_id).execution_timeout <= timedelta(hours=12)


@every_task
def test_a_task_runs_only_after_the_ones_before_it(dag_bag, dag_id, task_id):
    """``seed`` and ``approve`` skip themselves, and that must not skip the others.

    A run without customers skips ``bucket`` too, and then ``message``, which needs one of the two.
    """
    task = dag_bag.dags[dag_id].get_task(task_id)
    assert task.trigger_rule == TRIGGER_RULES.get(task_id, "all_success")


@every_task
def test_a_task_does_not_wait_for_earlier_runs(dag_bag, dag_id, task_id):
    """A failed window must not hold up the next one."""
    assert not dag_bag.dags[dag_id].get_task(task_id).depends_on_past


# --- serialisation


def test_the_dag_survives_the_database(dag, serialized_dag):
    assert serialized_dag.dag_id == dag.dag_id
    assert list(serialized_dag.task_dict) == TASKS
    assert serialized_dag.doc_md == dag.doc_md
    assert serialized_dag.max_active_runs == 16
    assert serialized_dag.catchup is False
    assert serialized_dag.start_date == ANCHOR
    assert dict(serialized_dag.params.dump()) == dict(dag.params.dump())


def test_the_timetable_survives_the_database(dag, serialized_dag):
    assert type(serialized_dag.timetable) is type(dag.timetable)
    assert serialized_dag.timetable.grace == dag.timetable.grace == timedelta(hours=12)
    assert serialized_dag.timetable.summary == "every 8 weeks"


# --- params, as the API checks them


def test_the_params_and_their_defaults_are_these(serialized_dag):
    assert serialized_dag.params.validate() == {
        "seed": False,
        "customers": 10_000,
        "rng_seed": None,
        "window_start": None,
        "dry_run": False,
        "send_late": False,
        "ignore_guard": False,
    }


@pytest.mark.parametrize(
    "name", ["seed", "customers", "rng_seed", "window_start", "dry_run", "send_late", "ignore_guard"]
)
def test_a_param_has_a_title_in_the_form(serialized_dag, name):
    assert serialized_dag.params.get_param(name).schema["title"]


def test_the_form_has_a_calendar_for_the_window(serialized_dag):
    schema = serialized_dag.params.get_param("window_start").schema
    assert (schema["type"], schema["format"]) == (["null", "string"], "date")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", True),
        ("customers", 1),
        ("customers", 10_000_000),
        ("rng_seed", 0),
        ("rng_seed", 2**53 - 1),
        ("rng_seed", None),
        ("window_start", "2025-01-06"),
        ("window_start", "2025-1-6"),
        ("window_start", "2025-01-6"),
        ("window_start", None),
        ("dry_run", True),
        ("send_late", True),
        ("ignore_guard", True),
    ],
)
def test_a_good_value_of_a_param_is_accepted(serialized_dag, name, value):
    assert serialized_dag.params.deep_merge({name: value}).validate()[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", "yes"),
        ("seed", "true"),
        ("seed", 1),
        ("seed", None),
        ("customers", 0),
        ("customers", -1),
        ("customers", 10_000_001),
        ("customers", "x"),
        ("customers", "10"),
        ("customers", 1.5),
        ("customers", True),
        ("customers", None),
        ("rng_seed", -1),
        ("rng_seed", "x"),
        ("rng_seed", 0.5),
        ("rng_seed", False),
        ("window_start", "not a date"),
        ("window_start", ""),
        ("window_start", "2025-02-30"),
        ("window_start", "20250106"),
        ("window_start", "2025-01-06T00:00:00Z"),
        ("window_start", 20250106),
        ("window_start", ["2025-01-06"]),
        ("window_start", "2025-1-6T00:00:00Z"),
        ("window_start", "2025-1-"),
        ("dry_run", "no"),
        ("dry_run", 0),
        ("send_late", "true"),
        ("send_late", None),
        ("ignore_guard", "yes"),
    ],
)
def test_a_bad_value_of_a_param_is_refused_by_name(serialized_dag, name, value):
    with pytest.raises(ParamValidationError, match=f"Invalid input for param {name}: "):
        serialized_dag.params.deep_merge({name: value}).validate()


# --- names: Airflow puts both folders on sys.path and loads each plugin file as a module of its stem


def test_no_dag_file_or_plugin_takes_the_name_of_another_module():
    stems = [file.stem for file in [*DAG_FILES, *PLUGIN_FILES]]
    assert len(set(stems)) == len(stems) > 0
    assert set(stems) & (set(sys.stdlib_module_names) | {"engage", "airflow", "plugins", "dags"}) == set()


def test_nothing_in_the_dags_or_plugins_folder_shadows_the_package():
    entries = [entry for folder in ("dags", "plugins") for entry in (ROOT / folder).iterdir()]
    assert [entry for entry in entries if entry.name.split(".")[0] == "engage"] == []


def test_plugins_are_plain_files():
    assert [file for file in PLUGIN_FILES if file.parent != ROOT / "plugins"] == []


def test_every_plugin_file_loads(dag_bag):
    from airflow import plugins_manager

    plugins_manager.get_timetables_plugins()
    assert plugins_manager.get_import_errors() == {}
