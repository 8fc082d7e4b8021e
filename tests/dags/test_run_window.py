"""Which window a run is about, and what a task sees of its run, on Airflow's own context objects."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, ParamValidationError
from engage_run_window import window_of

from engage.errors import RunError, WindowError
from engage.settings import Settings
from engage.window import ANCHOR, Window
from tests.dags.tasks import body, run_seen_by_a_task

AS_OF = datetime(2026, 2, 10, tzinfo=UTC)


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


# --- which window a run is about


@pytest.mark.parametrize(
    ("run_after", "start"), [("2026-02-10", "2025-12-08"), ("2026-02-02", "2025-12-08"), ("2026-02-01", "2025-10-13")]
)
def test_a_run_without_a_date_is_about_the_last_window_complete_when_it_was_made(run_after, start):
    assert window_of(a_run(run_after=run_after), None, AS_OF) == Window(day(start))


def test_a_run_without_a_date_keeps_its_window_when_it_is_cleared_years_later():
    assert window_of(a_run(run_after="2026-02-10"), None, day("2030-01-01")) == Window(day("2025-12-08"))


@pytest.mark.parametrize("start", ["2025-03-03", "2025-3-3"])
def test_the_named_window_may_lack_zeros(start):
    assert window_of(a_run(), start, AS_OF) == Window(day("2025-03-03"))


@pytest.mark.parametrize("start", ["2025-12-08", "2025-12-8"])
def test_a_backfill_may_name_its_own_window_too(start):
    run = a_run(run_type="backfill", date="2025-12-08")
    assert window_of(run, start, AS_OF) == Window(day("2025-12-08"))


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
    caplog.set_level("INFO", logger="engage_run_window")
    dated = {"logical_date": "2025-12-08T00:00:00Z", "data_interval_end": "2025-12-08T00:00:00Z"}
    with task_context(**dated, data_interval_start="2025-10-13T00:00:00Z"):
        run_seen_by_a_task()
    said = [record.getMessage() for record in caplog.records if record.name == "engage_run_window"]
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
