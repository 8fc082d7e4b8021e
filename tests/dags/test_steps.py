"""What a task does around its call into engage, on Airflow's own context objects."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace

import engage_steps
import pytest
import sqlalchemy as sa
from airflow.sdk import BaseHook, Variable, get_current_context
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    ParamValidationError,
)
from airflow.sdk.execution_time.context import OutletEventAccessors, set_current_context
from engage_steps import CAMPAIGN, AnotherRunAtWork, Job, Run, job, step, window_of
from sqlalchemy import exc

from engage import errors
from engage.errors import EngageError, InputError, NoCustomers, NotReady, RunError, WindowError
from engage.settings import Settings
from engage.window import ANCHOR, Window

AS_OF = datetime(2026, 2, 10, tzinfo=UTC)
ENGAGE_ERRORS = [
    found
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, EngageError) and found is not NoCustomers
]


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def a_run(
    *,
    run_type: str = "manual",
    run_after: str = "2026-02-10",
    date: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> SimpleNamespace:
    """What ``window_of`` reads of a DAG run."""
    return SimpleNamespace(
        run_type=run_type,
        run_after=day(run_after),
        logical_date=date and day(date),
        data_interval_start=start and day(start),
        data_interval_end=end and day(end),
    )


def body(function, **options):
    """What the worker calls of the task that ``step`` makes of ``function``."""
    return step(**options)(function).function


@dataclass(frozen=True)
class Summary:
    customers: int
    note: str = ""


def run_seen_by_a_task() -> Run:
    seen = []
    body(lambda run: seen.append(run) or Summary(0))()
    return seen[0]


# --- which window a run is about


@pytest.mark.parametrize(
    ("run_after", "start"), [("2026-02-10", "2025-12-08"), ("2026-02-02", "2025-12-08"), ("2026-02-01", "2025-10-13")]
)
def test_a_run_without_a_date_is_about_the_last_window_complete_when_it_was_made(run_after, start):
    assert window_of(a_run(run_after=run_after), None, AS_OF) == Window(day(start))


def test_a_run_without_a_date_keeps_its_window_when_it_is_cleared_years_later():
    assert window_of(a_run(run_after="2026-02-10"), None, day("2030-01-01")) == Window(day("2025-12-08"))


def test_a_run_with_a_data_interval_is_about_that_window():
    run = a_run(run_after="2026-02-10", start="2025-03-03", end="2025-04-28")
    assert window_of(run, None, AS_OF) == Window(day("2025-03-03"))


def test_a_window_named_outright_wins():
    run = a_run(run_after="2026-02-10", start="2025-03-03", end="2025-04-28")
    assert window_of(run, "2025-06-23", AS_OF) == Window(day("2025-06-23"))
    assert window_of(a_run(), "2025-06-23", AS_OF) == Window(day("2025-06-23"))


@pytest.mark.parametrize("end", ["2025-04-27", "2025-06-23", "2025-03-03"])
def test_a_data_interval_with_another_end_than_its_window_is_refused(end):
    with pytest.raises(RunError) as raised:
        window_of(a_run(start="2025-03-03", end=end), None, AS_OF)
    assert str(raised.value) == (
        f"The run's data interval ends {day(end)}; its window ends 2025-04-28 00:00:00+00:00. Trigger a run with the "
        'configuration {"window_start": "2025-03-03"} and without an interval.'
    )


def test_a_backfill_is_about_the_window_of_its_date_whatever_its_interval():
    run = a_run(run_type="backfill", date="2025-12-08", start="2025-10-13", end="2025-12-08")
    for window_start in (None, "2025-12-08"):
        assert window_of(run, window_start, AS_OF) == Window(day("2025-12-08"))


@pytest.mark.parametrize("window_start", ["2025-10-13", "2025-12-09", "soon"])
def test_a_backfill_of_one_window_that_names_another_is_refused(window_start):
    run = a_run(run_type="backfill", date="2025-12-08", start="2025-12-08", end="2026-02-02")
    with pytest.raises(RunError, match=f"2025-12-08 to 2026-02-02, but the run's window_start is {window_start}"):
        window_of(run, window_start, AS_OF)


def test_a_backfill_of_a_date_that_starts_no_window_is_refused():
    with pytest.raises(WindowError, match="is not the start of a window"):
        window_of(a_run(run_type="backfill", date="2025-12-09"), None, AS_OF)


@pytest.mark.parametrize("run_type", ["manual", "operator_triggered", "asset_triggered", "asset_materialization"])
def test_any_other_run_with_a_date_is_about_the_last_window_complete_then(run_type):
    run = a_run(run_type=run_type, date="2025-12-08", run_after="2026-02-10")
    assert window_of(run, None, AS_OF) == Window(day("2025-10-13"))


def test_a_run_dated_a_windows_start_says_which_window_it_takes(task_context, caplog):
    caplog.set_level("INFO", logger="engage_steps")
    dated = {"logical_date": "2025-12-08T00:00:00Z", "data_interval_end": "2025-12-08T00:00:00Z"}
    with task_context(**dated, data_interval_start="2025-10-13T00:00:00Z"):
        run_seen_by_a_task()
    said = [record.getMessage() for record in caplog.records if record.name == "engage_steps"]
    assert said[0] == "This manual run is about the window 2025-10-13 to 2025-12-08."
    assert 'with the configuration {"window_start": "2025-12-08"}' in said[1]


@pytest.mark.parametrize("start", ["2025-03-04", "2025-03-03T00:00:01"])
def test_a_data_interval_off_the_grid_is_refused(start):
    with pytest.raises(WindowError, match="is not the start of a window"):
        window_of(a_run(start=start, end="2025-04-28"), None, AS_OF)


def test_a_data_interval_that_is_not_over_is_refused():
    with pytest.raises(WindowError, match="is not complete"):
        window_of(a_run(start="2026-02-02", end="2026-03-30"), None, AS_OF)


@pytest.mark.parametrize(
    ("window_start", "complaint"),
    [
        ("2025-06-24", "is not the start of a window"),
        ("2026-02-02", "is not complete"),
        ("2024-11-11", "lies before the first window"),
        ("soon", "is not a date"),
    ],
)
def test_a_named_window_that_cannot_be_is_refused(window_start, complaint):
    with pytest.raises(WindowError, match=complaint):
        window_of(a_run(), window_start, AS_OF)


def test_a_run_before_the_first_window_is_over_is_refused():
    with pytest.raises(WindowError, match="No window is complete"):
        window_of(a_run(run_after="2025-02-01"), None, AS_OF)


# --- what a task sees of its run


def test_a_task_sees_the_run_that_airflow_gives_it(task_context):
    before = datetime.now(UTC)
    with task_context({"dry_run": True}, run_id="manual__1", run_after="2026-02-10T00:00:00Z"):
        run = run_seen_by_a_task()
    assert run.run_id == "manual__1"
    assert run.window == Window(day("2025-12-08"))
    assert run.params == {
        "seed": False, "customers": 10_000, "rng_seed": None, "window_start": None, "dry_run": True, "send_late": False,
        "ignore_guard": False,
    }  # fmt: skip
    assert before <= run.as_of <= datetime.now(UTC)


def test_a_scheduled_run_is_about_its_data_interval(task_context):
    with task_context(
        run_type="scheduled",
        logical_date="2025-03-03T00:00:00Z",
        data_interval_start="2025-03-03T00:00:00Z",
        data_interval_end="2025-04-28T00:00:00Z",
    ):
        assert run_seen_by_a_task().window == Window(day("2025-03-03"))


def test_a_run_may_name_its_window(task_context):
    with task_context({"window_start": "2025-01-06"}):
        assert run_seen_by_a_task().window == Window(ANCHOR)


@pytest.mark.parametrize(
    ("run_type", "backfill"),
    [
        ("backfill", True),
        ("scheduled", False),
        ("manual", False),
        ("asset_triggered", False),
    ],
)
def test_only_a_backfill_has_the_options_of_one(task_context, run_type, backfill):
    with task_context(run_type=run_type):
        assert run_seen_by_a_task().options.backfill is backfill


def test_a_backfill_texts_no_customer_though_its_window_has_just_ended_and_it_asks_for_it(task_context):
    with task_context({"send_late": True}, run_type="backfill"):
        run = run_seen_by_a_task()
    assert run.options.skip_reason(run.window, Settings(), run.window.end) == "backfill"


@pytest.mark.parametrize("name", ["send_late", "dry_run", "ignore_guard"])
@pytest.mark.parametrize("value", [True, False])
def test_the_params_reach_the_run_options(task_context, name, value):
    with task_context({name: value}):
        assert getattr(run_seen_by_a_task().options, name) is value


@pytest.mark.parametrize("name", ["ada", None])
def test_the_run_options_know_the_user_who_triggered_the_run(task_context, name):
    with task_context(triggering_user_name=name):
        assert run_seen_by_a_task().options.by == name


@pytest.mark.parametrize("conf", [{"low_spend_threshold": 5}, {"sned_late": True, "Seed": 1}])
def test_unknown_keys_in_a_runs_conf_are_refused_in_a_sentence(task_context, conf):
    called = []
    with task_context(conf), pytest.raises(AirflowFailException) as raised:
        body(called.append)()
    assert str(raised.value) == (
        f"The run was triggered with {', '.join(map(repr, sorted(conf)))}, which Engage does not know; it knows "
        "customers, dry_run, ignore_guard, rng_seed, seed, send_late, window_start."
    )
    assert called == []


@pytest.mark.parametrize("conf", [None, {}, {"seed": True, "customers": 5, "rng_seed": 1}])
def test_known_keys_in_a_runs_conf_are_accepted(task_context, conf):
    with task_context(conf):
        assert run_seen_by_a_task().params["seed"] is bool(conf)


def test_a_bad_param_that_got_past_the_api_stops_the_task(task_context):
    with pytest.raises(ParamValidationError), task_context({"customers": 0}):
        pass


def test_a_window_that_cannot_be_fails_the_task_without_a_retry(task_context):
    with task_context({"window_start": "2025-01-07"}), pytest.raises(AirflowFailException, match="nearest starts are"):
        run_seen_by_a_task()


# --- what a task makes of an outcome


def test_the_summary_of_a_step_is_the_tasks_result_as_plain_data(task_context):
    with task_context():
        assert body(lambda run: Summary(5, note="a note"))() == {"customers": 5, "note": "a note"}


@pytest.mark.parametrize("error", ENGAGE_ERRORS, ids=lambda error: error.__name__)
def test_an_error_for_the_operator_fails_the_task_at_once_with_its_sentence(task_context, monkeypatch, error):
    monkeypatch.setattr(Run, "_other_run", lambda run: None)

    def fail(run):
        raise error("What was wrong, and what is allowed.")

    with task_context(), pytest.raises(AirflowFailException, match=r"^What was wrong, and what is allowed\.$"):
        body(fail)()


def test_no_customers_at_all_skips_the_task_with_its_sentence(task_context):
    def fail(run):
        raise NoCustomers("There are no customers yet.")

    with task_context(), pytest.raises(AirflowSkipException, match=r"^There are no customers yet\.$"):
        body(fail)()


def test_a_step_may_skip_itself(task_context):
    with task_context(), pytest.raises(AirflowSkipException, match="not triggered with seed"):
        body(lambda run: engage_steps.skip("The run was not triggered with seed."))()


@pytest.mark.parametrize(
    "error",
    [
        sa.exc.OperationalError("SELECT 1", {}, Exception("connection refused")),
        sa.exc.InternalError("SELECT 1", {}, Exception("deadlock")),
        ConnectionError("reset"),
        TimeoutError("too slow"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_other_error_is_left_to_the_tasks_retries(task_context, error):
    def fail(run):
        raise error

    with task_context(), pytest.raises(type(error)) as raised:
        body(fail)()
    assert raised.value is error


def test_a_step_becomes_a_task_of_the_functions_name_and_words(dag):
    """With options of its own beside the DAG's."""
    task = dag.get_task("message")
    assert task.doc_md == "Queue the window's messages, and send those that may be sent."
    assert task.execution_timeout > dag.get_task("bucket").execution_timeout


# --- what other DAGs receive


def test_an_asset_event_of_a_step_has_its_window_and_its_counts_and_no_text(task_context):
    with task_context({"window_start": "2025-01-06"}):
        outlet_events = get_current_context()["outlet_events"] = OutletEventAccessors()
        body(lambda run: Summary(5, note="a note"), outlets=[CAMPAIGN])()
    assert outlet_events[CAMPAIGN].extra == {
        "window_start": "2025-01-06T00:00:00+00:00",
        "window_end": "2025-03-03T00:00:00+00:00",
        "customers": 5,
    }


def test_a_step_that_has_to_wait_has_no_asset_event_yet(task_context):
    with task_context():
        outlet_events = get_current_context()["outlet_events"] = OutletEventAccessors()
        with pytest.raises(AirflowRescheduleException):
            body(lambda run: Held(datetime(2026, 2, 10, 13, tzinfo=UTC)), outlets=[CAMPAIGN])()
    assert outlet_events[CAMPAIGN].extra == {}


# --- settings and the hash key


def variables(monkeypatch, stored):
    """Airflow with these Variables; one that is None is listed, but cannot be read."""
    monkeypatch.setattr(Variable, "keys", lambda prefix: [key for key in stored if key.startswith(prefix)])
    monkeypatch.setattr(Variable, "get", lambda key, default=...: stored.get(key, default))


def test_a_variable_that_airflow_lists_and_does_not_give_is_never_taken_for_its_default(task_context, monkeypatch):
    variables(monkeypatch, {"engage_low_spend_threshold": None})
    with task_context(), pytest.raises(RuntimeError, match="engage_low_spend_threshold"):
        body(lambda run: run.settings())()


@pytest.mark.parametrize("kind", [exc.DataError, exc.IntegrityError, exc.ProgrammingError])
def test_what_the_database_refuses_for_good_is_not_retried(task_context, kind):
    def refused(run):
        raise kind("SELECT 1", {}, Exception("out of range"))

    with task_context(), pytest.raises(AirflowFailException, match="out of range"):
        body(refused)()


def test_settings_come_from_the_variables_of_the_moment(task_context, monkeypatch):
    stored = {"engage_low_spend_threshold": "120"}
    variables(monkeypatch, stored)
    with task_context():
        run = run_seen_by_a_task()
    assert run.settings() == Settings(low_spend_threshold=120)
    stored["engage_high_activity_threshold"] = "0"
    assert run.settings() == Settings(low_spend_threshold=120, high_activity_threshold=0)


@pytest.mark.parametrize("value", ["abc", "-1", "NaN", ""])
def test_a_bad_variable_fails_the_task_at_once_naming_it(task_context, monkeypatch, value):
    variables(monkeypatch, {"engage_low_spend_threshold": value})
    with task_context(), pytest.raises(AirflowFailException) as raised:
        body(lambda run: run.settings())()
    assert str(raised.value) == (
        f"The Airflow Variable engage_low_spend_threshold is {value!r}, which is not allowed: it takes a number from "
        "0 to 1000000000 with at most 2 decimals."
    )


def test_the_hash_key_comes_from_the_environment(task_context, monkeypatch):
    monkeypatch.setenv("ENGAGE_HASH_KEY", "x" * 32)
    with task_context():
        assert run_seen_by_a_task().hash_key == b"x" * 32


def test_without_a_hash_key_there_is_a_sentence(task_context, monkeypatch):
    monkeypatch.delenv("ENGAGE_HASH_KEY", raising=False)
    with task_context():
        run = run_seen_by_a_task()
    with pytest.raises(InputError, match="ENGAGE_HASH_KEY is not set"):
        _ = run.hash_key


# --- sending


@dataclass(frozen=True)
class Held:
    resume_at: datetime | None


def test_a_step_that_has_to_wait_comes_back_at_its_moment_instead_of_sleeping(task_context):
    moment = datetime(2026, 2, 10, 13, tzinfo=UTC)
    with task_context(), pytest.raises(AirflowRescheduleException) as raised:
        body(lambda run: Held(moment))()
    assert raised.value.reschedule_date == moment
    with task_context():
        assert body(lambda run: Held(None))() == {"resume_at": None}


def test_the_sms_account_comes_from_the_connection(task_context, monkeypatch):
    asked = []
    connection = SimpleNamespace(login="AC1", password="hush", extra_dejson={"from": "+12025550100"})
    monkeypatch.setattr(BaseHook, "get_connection", lambda name: asked.append(name) or connection)
    with task_context():
        context = run_seen_by_a_task().sending_context
    assert context.provider_named("sandbox").name == "sandbox"
    assert asked == []
    assert context.provider_named("twilio").name == "twilio"
    assert asked == ["engage_sms"]


def test_an_account_that_is_not_complete_fails_the_task_at_once_without_its_secret(task_context, monkeypatch):
    connection = SimpleNamespace(login="AC1", password="hush", extra_dejson={})
    monkeypatch.setattr(BaseHook, "get_connection", lambda name: connection)
    with task_context(), pytest.raises(AirflowFailException, match="takes one of the options 'from'") as raised:
        body(lambda run: run.sending_context.provider_named("twilio"))()
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(("other", "error"), [("another run", AnotherRunAtWork), (None, AirflowFailException)])
def test_a_step_whose_ground_another_run_has_taken_away_is_retried(task_context, monkeypatch, other, error):
    def no_aggregates(run):
        raise NotReady("The window has no aggregates yet.")

    monkeypatch.setattr(Run, "_other_run", lambda run: other)
    with task_context(), pytest.raises(error, match="has no aggregates yet"):
        body(no_aggregates)()


def test_sigterm_ends_a_step_as_ctrl_c_does_so_that_it_can_leave_everything_in_order(task_context):
    before = signal.getsignal(signal.SIGTERM)
    with task_context(), pytest.raises(KeyboardInterrupt):
        body(lambda run: signal.raise_signal(signal.SIGTERM))()
    assert signal.getsignal(signal.SIGTERM) is before


# --- tasks that are about no window


@pytest.fixture
def maintenance(dag_bag):
    """The context of a run of the DAG of maintenance, entered with a conf."""

    def entered(conf=None):
        dag_run = SimpleNamespace(conf=conf)
        return set_current_context({"dag": dag_bag.dags["engage_maintenance"], "dag_run": dag_run, "params": {}})

    return entered


def test_a_job_has_the_time_and_the_settings_of_the_moment(maintenance, monkeypatch):
    variables(monkeypatch, {"engage_keep_windows": "20"})
    before, seen = datetime.now(UTC), []
    with maintenance():
        assert job()(lambda job: seen.append(job) or Summary(1)).function() == {"customers": 1, "note": ""}
    assert type(seen[0]) is Job
    assert before <= seen[0].as_of <= datetime.now(UTC)
    assert seen[0].settings().keep_windows == 20


def test_a_jobs_error_for_the_operator_fails_it_at_once(maintenance, monkeypatch):
    variables(monkeypatch, {"engage_keep_windows": "0"})
    with maintenance(), pytest.raises(AirflowFailException, match="engage_keep_windows is '0', which is not allowed"):
        job()(lambda job: job.settings()).function()


def test_a_job_takes_no_parameters(maintenance):
    with maintenance({"keep_windows": 1}), pytest.raises(AirflowFailException) as raised:
        job()(lambda job: Summary(1)).function()
    assert str(raised.value) == (
        "The run was triggered with 'keep_windows', which Engage does not know; it knows no parameter."
    )


def test_maintenance_never_takes_the_default_for_a_wrong_variable(maintenance, dag_bag, monkeypatch):
    variables(monkeypatch, {"engage_keep_windows": "all"})
    monkeypatch.setattr(Job, "engine", "the database")
    monkeypatch.setattr(engage_steps.engage_alerts, "deliver", lambda *args: None)
    with maintenance(), pytest.raises(AirflowFailException, match="engage_keep_windows is 'all', which is not allowed"):
        dag_bag.dags["engage_maintenance"].get_task("maintain").python_callable()


def test_maintenance_keeps_as_many_windows_as_the_variable_says(maintenance, dag_bag, monkeypatch):
    from engage import maintenance as its_step

    called = []
    variables(monkeypatch, {"engage_keep_windows": "20", "engage_low_spend_threshold": "1OO"})
    monkeypatch.setattr(Job, "engine", "the database")
    monkeypatch.setattr(Job, "clock", lambda job: datetime.now(UTC))
    monkeypatch.setattr(its_step, "maintain", lambda *args, as_of: called.append((*args, as_of)) or Summary(1))
    before = datetime.now(UTC)
    with maintenance():
        dag_bag.dags["engage_maintenance"].get_task("maintain").python_callable()
    [(engine, keep_windows, as_of)] = called
    assert (engine, keep_windows) == ("the database", 20)
    assert before <= as_of <= datetime.now(UTC)


@pytest.fixture
def watched(maintenance, dag_bag, monkeypatch):
    """Run ``watch``; returns the settings and the times that it looked with."""
    from engage import alert_outbox
    from engage.campaigns import watchdog
    from engage.sending import delivery_health

    seen = []
    monkeypatch.setattr(alert_outbox, "unmailed", lambda engine, as_of: alert_outbox.Unmailed(waiting=3, expired=2))
    monkeypatch.setattr(Job, "engine", "the database")
    monkeypatch.setattr(Job, "clock", lambda job: AS_OF)
    monkeypatch.setattr(delivery_health, "report_poor_delivery", lambda engine, as_of: seen.append(as_of))
    monkeypatch.setattr(watchdog, "watch", lambda engine, chosen, as_of: seen.extend((chosen, as_of)) or [])

    def run():
        with maintenance():
            dag_bag.dags["engage_maintenance"].get_task("watch").python_callable()
        return seen

    return run


def test_the_watch_goes_by_the_databases_clock(watched, monkeypatch):
    variables(monkeypatch, {"engage_send_within_days": "9"})
    assert watched() == [AS_OF, Settings(send_within_days=9), AS_OF]


def test_the_watch_logs_how_many_alerts_wait_and_how_many_have_expired(watched, monkeypatch, caplog):
    caplog.set_level("INFO")
    variables(monkeypatch, {})
    watched()
    assert "findings: [], alerts_waiting: 3, alerts_expired: 2" in caplog.text


@pytest.mark.parametrize(("stored", "days"), [({"engage_send_within_days": "9"}, 9), ({}, 7)])
def test_the_watch_needs_one_variable_only(watched, monkeypatch, stored, days):
    variables(monkeypatch, stored | {"engage_low_spend_threshold": "1OO"})
    assert watched()[1].send_within_days == days


def test_the_watch_takes_the_default_for_a_wrong_variable(watched, monkeypatch):
    variables(monkeypatch, {"engage_send_within_days": "soon"})
    assert watched()[1].send_within_days == 7
