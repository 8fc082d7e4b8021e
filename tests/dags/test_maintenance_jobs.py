"""The tasks of the DAG ``engage_maintenance``, which are about no window."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import engage_steps
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import set_current_context
from engage_steps import Job, job

from engage.settings import Settings
from engage.window import LENGTH, Window
from tests.dags.tasks import Summary, variables
from tests.integration.conftest import NOW

AS_OF = datetime(2026, 2, 10, tzinfo=UTC)


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
    monkeypatch.setattr(its_step, "maintain", lambda *args, **more: called.append((*args, more)) or Summary(1))
    before = datetime.now(UTC)
    with maintenance():
        dag_bag.dags["engage_maintenance"].get_task("maintain").python_callable()
    [(engine, keep_windows, more)] = called
    assert (engine, keep_windows, more["archive"]) == ("the database", 20, None)
    assert before <= more["as_of"] <= datetime.now(UTC)


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


def test_the_consent_record_is_verified_once_a_day(maintenance, dag_bag, monkeypatch):
    from engage.customers import consent_verification
    from engage.customers.consent_verification import Verification

    verified = []
    monkeypatch.setattr(Job, "engine", "the database")
    monkeypatch.setattr(
        consent_verification, "require_whole", lambda engine: verified.append(engine) or Verification(7, [])
    )
    task = dag_bag.dags["engage_maintenance"].get_task("verify_consent")
    for hour in range(24):
        monkeypatch.setattr(Job, "clock", lambda job, hour=hour: AS_OF.replace(hour=hour))
        with maintenance():
            if hour == 3:
                assert task.python_callable() == {"events": 7, "misfits": []}
            else:
                with pytest.raises(AirflowSkipException):
                    task.python_callable()
    assert verified == ["the database"]


def test_a_broken_consent_record_fails_at_once(maintenance, dag_bag, monkeypatch):
    from engage.customers import consent_verification
    from engage.customers.consent_verification import Misfit, Verification

    broken = Verification(7, [Misfit(9, 3, "the row was changed"), Misfit(11, 1, "the row is missing")])
    monkeypatch.setattr(Job, "engine", "the database")
    monkeypatch.setattr(Job, "clock", lambda job: AS_OF.replace(hour=3))
    monkeypatch.setattr(consent_verification, "verify", lambda engine: broken)
    with maintenance(), pytest.raises(AirflowFailException, match=r"Chain 9, row 3: the row was changed\. 1 more"):
        dag_bag.dags["engage_maintenance"].get_task("verify_consent").python_callable()


def test_the_running_window_is_computed_by_the_variables_of_the_moment(maintenance, dag_bag, monkeypatch):
    from engage import live
    from engage.live import LiveSummary

    seen = []
    answers = [LiveSummary("a window", 7, {"BOOST": 7}), LiveSummary(skipped="Not yet.")]
    variables(monkeypatch, {"engage_low_spend_threshold": "120"})
    monkeypatch.setattr(Job, "engine", "the database")
    monkeypatch.setattr(Job, "clock", lambda job: AS_OF)
    monkeypatch.setattr(engage_steps.engage_alerts, "deliver", lambda *args: None)

    def compute_if_due(engine, settings, as_of):
        seen.append((engine, settings().low_spend_threshold, as_of))
        return answers.pop(0)

    monkeypatch.setattr(live, "compute_if_due", compute_if_due)
    task = dag_bag.dags["engage_maintenance"].get_task("live_window")
    with maintenance():
        assert task.python_callable()["buckets"] == {"BOOST": 7}
        with pytest.raises(AirflowSkipException, match="Not yet"):
            task.python_callable()
    assert seen == [("the database", 120, AS_OF)] * 2


def test_the_return_score_is_learnt_once_after_each_campaign(maintenance, dag_bag, monkeypatch):
    from engage.campaigns import return_training
    from engage.campaigns.return_training import TrainingSummary

    answers = [TrainingSummary(windows=3, customers=900, returns=600, in_use=True), TrainingSummary(skipped="No news.")]
    monkeypatch.setattr(Job, "engine", "the database")
    monkeypatch.setattr(Job, "clock", lambda job: AS_OF)
    monkeypatch.setattr(engage_steps.engage_alerts, "deliver", lambda *args: None)
    monkeypatch.setattr(return_training, "train_if_due", lambda engine, as_of: answers.pop(0))
    task = dag_bag.dags["engage_maintenance"].get_task("train")
    with maintenance():
        assert task.python_callable()["returns"] == 600
        with pytest.raises(AirflowSkipException, match="No news"):
            task.python_callable()


def test_without_an_archive_its_task_skips_and_says_so(maintenance, dag_bag, monkeypatch):
    monkeypatch.delenv("ENGAGE_ARCHIVE_URL", raising=False)
    with maintenance(), pytest.raises(AirflowSkipException, match="There is no archive: ENGAGE_ARCHIVE_URL is not set"):
        dag_bag.dags["engage_maintenance"].get_task("archive").python_callable()


def test_ended_windows_are_archived_each_hour_and_all_are_counted_again_once_a_day(
    maintenance, dag_bag, monkeypatch, engine, tmp_path
):
    from engage.archive import write

    recounts, archive, window = [], write.archive, Window.last_complete(NOW)
    monkeypatch.setenv("ENGAGE_ARCHIVE_URL", tmp_path.as_uri())
    monkeypatch.setattr(Job, "engine", engine)
    monkeypatch.setattr(
        write, "archive", lambda *given, recount, **more: recounts.append(recount) or archive(*given, **more)
    )
    task = dag_bag.dags["engage_maintenance"].get_task("archive")
    for hour in (2, 3):
        monkeypatch.setattr(Job, "clock", lambda job, hour=hour: window.end.replace(hour=hour) + LENGTH)
        with maintenance():
            found = task.python_callable()
        assert (f"app_session {window.start:%Y-%m-%d}" in found["windows"]) == (hour == 2)
    assert recounts == [False, True]
    assert (tmp_path / "app_session" / f"window={window.key}" / "manifest.json").exists()


def test_a_login_in_the_archives_url_fails_its_task_at_once_and_is_not_logged(
    maintenance, dag_bag, monkeypatch, caplog
):
    monkeypatch.setenv("ENGAGE_ARCHIVE_URL", "s3://key:hush@bucket/x")
    with maintenance(), pytest.raises(AirflowFailException, match="holds a login") as failed:
        dag_bag.dags["engage_maintenance"].get_task("archive").python_callable()
    assert "hush" not in str(failed.value) + caplog.text
