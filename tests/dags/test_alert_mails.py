"""What alerts say and when tasks raise them, over Airflow's own notifier to a real mail server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import engage_alerts
import engage_steps
import pytest
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowTaskTimeout
from sqlalchemy import exc

from engage.errors import GuardStop
from engage.statuses import AlertKind
from tests.dags.alerts import LINK, context_of, failed, put

pytestmark = pytest.mark.usefixtures("outbox")


def test_every_task_sends_an_alert_of_its_failure_after_its_last_retry(dag_bag):
    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            assert task.on_failure_callback == [engage_alerts.task_failed]
            assert not task.on_retry_callback
        assert not dag.on_failure_callback


def test_a_failure_is_one_mail_to_every_address_with_the_reason_and_a_link(task_context, mails, addressed):
    engage_alerts.task_failed(failed(task_context, GuardStop("The guard has stopped it: 40.0% & <no more>.")))
    [mail] = mails
    assert mail.recipients == ["ada@example.com", "ben@example.com"]
    assert mail.message["From"] == "airflow@example.com"
    assert mail.subject == "Engage: the task extract of customer_engagement has failed"
    assert "The guard has stopped it: 40.0% &amp; &lt;no more&gt;." in mail.html
    assert "a_run" in mail.html
    assert f'href="{LINK}"' in mail.html


@pytest.mark.parametrize(
    ("dag_id", "links"),
    [("customer_engagement", 1), ("engage_maintenance", 0), ("engage_propose_texts", 0), ("engage_test_send", 0)],
)
def test_an_alert_links_to_the_campaigns_report_if_it_is_about_one(mails, addressed, monkeypatch, dag_id, links):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://engage.example/airflow")
    context = context_of()
    context["ti"].dag_id = dag_id
    engage_alerts.task_failed(context)
    report = 'href="https://engage.example/airflow/dags/customer_engagement/runs/a_run/plugin/engage-report"'
    assert mails[0].html.count(report) == links


def test_nothing_that_a_user_may_have_typed_is_run_as_a_template(task_context, mails, addressed):
    engage_alerts.task_failed(failed(task_context, GuardStop("It says {{ 6 * 7 }} {% for %} {{ ti.task_id }}.")))
    assert "It says {{ 6 * 7 }} {% for %} {{ ti.task_id }}." in mails[0].html


@pytest.mark.parametrize(
    "error",
    [
        exc.DataError("INSERT … VALUES (%s)", {"phone": "+12025550142"}, Exception("Ada Lovelace is out of range")),
        exc.OperationalError("SELECT 1", {"phone": "+12025550142"}, Exception("Ada Lovelace")),
        RuntimeError("Ada Lovelace, +12025550142"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_of_any_other_error_the_alert_gives_only_the_kind_as_it_may_name_customers(
    task_context, mails, addressed, error
):
    engage_alerts.task_failed(failed(task_context, error))
    [mail] = mails
    assert f"{type(error).__name__}; its log says more." in mail.html
    assert "Ada" not in mail.message.as_string()
    assert "12025550142" not in mail.message.as_string()


@pytest.mark.parametrize(
    ("exception", "reason"),
    [
        (AirflowTaskTimeout("Timeout, PID: 1"), "It took longer than it may."),
        (None, "Its process ended without saying why."),
    ],
)
def test_a_time_out_and_a_process_that_was_killed_are_given_as_the_reason(mails, addressed, exception, reason):
    engage_alerts.task_failed(context_of(exception))
    assert reason in mails[0].html


@dataclass(frozen=True)
class Sent:
    unknown_now: int = 0
    halted_because: str = ""
    resume_at: object = None


@pytest.fixture
def after_sending(task_context, outbox, monkeypatch):
    """Run a step in a task that has put into the outbox what this summary says."""
    monkeypatch.setattr(engage_steps.Job, "engine", cached_property(lambda job: outbox))
    engage_steps.Job.engine.__set_name__(engage_steps.Job, "engine")

    def run(summary):
        def send(run):
            assert run.engine is outbox
            if summary.unknown_now:
                put(outbox, AlertKind.MESSAGES_UNKNOWN, count=summary.unknown_now)
            if summary.halted_because:
                put(outbox, AlertKind.CAMPAIGN_HALTED, why=summary.halted_because)
            return summary

        with task_context():
            engage_steps.get_current_context()["ti"] = context_of()["ti"]
            return engage_steps.step()(send).function()

    return run


def test_messages_that_became_unknown_send_an_alert_though_the_task_succeeds(after_sending, mails, addressed):
    assert after_sending(Sent(unknown_now=3))["unknown_now"] == 3
    [mail] = mails
    assert mail.subject == "Engage: 3 messages of unknown outcome"
    assert "engage messages --status unknown" in mail.html
    assert f'href="{LINK}"' in mail.html


def test_one_message_is_one(after_sending, mails, addressed):
    after_sending(Sent(unknown_now=1))
    assert mails[0].subject == "Engage: 1 message of unknown outcome"


def test_that_alert_goes_out_at_once_when_other_messages_have_to_wait(after_sending, mails, addressed):
    with pytest.raises(AirflowRescheduleException):
        after_sending(Sent(unknown_now=3, resume_at="2026-02-10T13:00:00Z"))
    assert len(mails) == 1


def test_a_campaign_that_halts_itself_sends_an_alert(after_sending, mails, addressed):
    after_sending(Sent(halted_because="2 of 40 messages were filtered out as spam"))
    [mail] = mails
    assert mail.subject == "Engage: a campaign is halted"
    assert "by itself: 2 of 40 messages were filtered out as spam." in mail.html


def test_without_a_problem_there_is_no_alert(after_sending, mails, addressed):
    after_sending(Sent())
    assert mails == []


@pytest.mark.parametrize("text", [None, "", " "])
def test_without_an_address_nothing_is_sent(mails, addressed, text):
    addressed(text)
    engage_alerts.task_failed(context_of())
    assert mails == []


def test_an_alert_that_cannot_be_sent_fails_no_task(after_sending, addressed, caplog, monkeypatch):
    def away(hook, conn_id):
        raise ConnectionRefusedError("connection refused")

    monkeypatch.setattr(SmtpHook, "get_connection", away)
    assert after_sending(Sent(unknown_now=3))["unknown_now"] == 3
    addressed("no address")
    assert after_sending(Sent(unknown_now=3))["unknown_now"] == 3
    said = [record.getMessage() for record in caplog.records if record.name.startswith("engage")]
    assert "An alert could not be sent, and stays in the outbox: messages_unknown" in said
    assert "The outbox of alerts could not be worked off" in said


def test_a_requested_approval_and_one_that_timed_out_send_an_alert(outbox, mails, addressed):
    put(outbox, AlertKind.APPROVAL_REQUESTED, messages=1200, hours=48)
    put(outbox, AlertKind.APPROVAL_TIMED_OUT)
    engage_alerts.deliver(outbox, context_of())
    assert [mail.subject for mail in mails] == [
        "Engage: 1,200 messages wait for an approval",
        "Engage: a campaign was rejected, as no approval came in time",
    ]
    assert "within 48 hours" in mails[0].html
    assert f'href="{LINK}"' in mails[0].html
