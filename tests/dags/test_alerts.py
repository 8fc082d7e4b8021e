"""Alerts go out over Airflow's own notifier to a real mail server."""

from __future__ import annotations

import smtplib
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import SimpleNamespace

import engage_alerts
import engage_steps
import pytest
import sqlalchemy as sa
import time_machine
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk import Connection, Variable
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowTaskTimeout,
)
from sqlalchemy import exc

from engage import alert_outbox
from engage.errors import GuardStop
from engage.statuses import AlertKind
from engage.storage.database_clock import DatabaseClock
from engage.storage.schema import alert as alert_table
from engage.storage.schema import campaign
from engage.window import ANCHOR, Window
from tests.integration.conftest import engine, server, template, url  # noqa: F401 - fixtures
from tests.smtp_double import smtp_double

LINK = "http://127.0.0.1:8080/dags/customer_engagement/runs/a_run/tasks/extract?try_number=1"
TO = "ada@example.com, ben@example.com"
NOW = datetime(2026, 11, 10, 9, tzinfo=UTC)
WINDOW = Window(ANCHOR)


@pytest.fixture(autouse=True)
def outbox(engine, monkeypatch):  # noqa: F811
    """The database of the outbox, as the plugin finds it, with a campaign."""
    blank = {"window_end": WINDOW.end, "status": "sending", "settings": {}, "events": {}, "rejected": {}}
    with engine.begin() as conn:
        conn.execute(sa.insert(campaign).values(window_start=WINDOW.start, run_id="a_run", opened_at=NOW, **blank))
    monkeypatch.setattr(engage_alerts, "_engine", lambda: engine)
    monkeypatch.setattr(engage_alerts, "_clock", lambda engine: lambda: NOW)
    return engine


def put(outbox, kind, **detail):
    with outbox.begin() as conn:
        alert_outbox.put(conn, kind, window=WINDOW, as_of=NOW, **detail)


def rows(outbox):
    with outbox.connect() as conn:
        query = sa.select(alert_table.c.kind, alert_table.c.attempts, alert_table.c.mailed_at.is_not(None))
        return [tuple(row) for row in conn.execute(query.order_by(alert_table.c.alert_id))]


def waiting(outbox):
    return alert_outbox.unmailed(outbox, as_of=NOW).waiting


@pytest.fixture
def mails(monkeypatch):
    """What arrives at the mail server of Airflow's connection."""
    with smtp_double() as double:
        extra = '{"disable_ssl": true, "disable_tls": true, "from_email": "airflow@example.com"}'
        connection = Connection(
            conn_id="smtp_default", conn_type="smtp", host="127.0.0.1", port=double.port, extra=extra
        )
        monkeypatch.setattr(SmtpHook, "get_connection", lambda hook, conn_id: connection)
        yield double.mails


@pytest.fixture
def addressed(monkeypatch):
    """Set the Variable."""

    def to(text):
        stored = {"engage_alert_emails": text}
        monkeypatch.setattr(Variable, "get", lambda key, default=...: stored.get(key, default))

    to(TO)
    return to


def context_of(exception=None, **values):
    ti = SimpleNamespace(task_id="extract", dag_id="customer_engagement", run_id="a_run", log_url=LINK)
    return {"ti": ti, "run_id": "a_run", "exception": exception} | values


def failed(task_context, error):
    """The context that Airflow has after a step failed for good."""

    def fail(run):
        raise error

    with task_context(), pytest.raises((AirflowFailException, type(error))) as raised:
        engage_steps.step()(fail).function()
    return context_of(raised.value)


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


@pytest.mark.parametrize(("dag_id", "links"), [("customer_engagement", 1), ("engage_maintenance", 0)])
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
    assert "python -m engage messages --status unknown" in mail.html
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


# --- at least once, within a week


@pytest.fixture
def down(monkeypatch):
    """Stop the mail server, and start it again."""
    sent = SmtpHook.send_email_smtp

    def stop():
        def refuse(hook, **message):
            raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")

        monkeypatch.setattr(SmtpHook, "send_email_smtp", refuse)

    return SimpleNamespace(stop=stop, start=lambda: monkeypatch.setattr(SmtpHook, "send_email_smtp", sent))


def test_an_alert_raised_while_the_mail_server_is_away_is_mailed_once_it_is_back(outbox, mails, addressed, down):
    down.stop()
    put(outbox, AlertKind.MESSAGES_UNKNOWN, count=2)
    assert engage_alerts.deliver(outbox, context_of()) == 0
    assert waiting(outbox) == 1
    assert rows(outbox) == [("messages_unknown", 1, False)]
    down.start()
    assert engage_alerts.deliver(outbox, context_of()) == 1
    assert waiting(outbox) == 0
    assert engage_alerts.deliver(outbox, context_of()) == 0
    assert [mail.subject for mail in mails] == ["Engage: 2 messages of unknown outcome"]
    assert "Raised on 2026-11-10 09:00 UTC." in mails[0].html


def test_a_process_that_dies_between_the_mail_and_the_mark_mails_it_again(outbox, mails, addressed, monkeypatch):
    put(outbox, AlertKind.MESSAGES_UNKNOWN, count=2)

    def killed():
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        times = iter([NOW])
        dying.setattr(engage_alerts, "_clock", lambda engine: lambda: next(times, None) or killed())
        with pytest.raises(KeyboardInterrupt):
            engage_alerts.deliver(outbox, context_of())
    assert rows(outbox) == [("messages_unknown", 0, False)]
    engage_alerts.deliver(outbox, context_of())
    assert len(mails) == 2


def test_two_passes_at_once_mail_each_alert_once(outbox, mails, addressed):
    for n in range(6):
        put(outbox, AlertKind.CAMPAIGN_HALTED, why=f"reason {n}")
    start = threading.Barrier(2)

    def work():
        start.wait()
        engage_alerts.deliver(outbox, context_of())

    threads = [threading.Thread(target=work) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(mails) == 6
    assert all(mailed for _, _, mailed in rows(outbox))


def test_messages_that_become_unknown_in_many_transactions_are_one_mail(outbox, mails, addressed):
    for _ in range(30):
        put(outbox, AlertKind.MESSAGES_UNKNOWN, count=2)
    engage_alerts.deliver(outbox, context_of())
    assert [mail.subject for mail in mails] == ["Engage: 60 messages of unknown outcome"]


def test_an_alert_that_no_text_fits_does_not_hold_up_the_others(outbox, mails, addressed):
    put(outbox, AlertKind.CAMPAIGN_HALTED, nonsense=1)
    put(outbox, AlertKind.CAMPAIGN_HALTED, why="it says so")
    engage_alerts.deliver(outbox, context_of())
    assert len(mails) == 1


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (TimeoutError("timed out"), 1),
        (ConnectionRefusedError("connection refused"), 1),
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed"), 1),
        (smtplib.SMTPAuthenticationError(535, b"wrong password"), 1),
        (AirflowException("Unable to connect to smtp server"), 1),
        (smtplib.SMTPDataError(550, b"this one looks like spam"), 3),
        (KeyError("a text that does not render"), 3),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.usefixtures("mails", "addressed")
def test_only_an_error_of_one_message_lets_the_pass_go_on(outbox, monkeypatch, error, tries):
    tried = []

    def fail(hook):
        tried.append(hook.smtp_conn_id)
        raise error

    for n in range(5):
        put(outbox, AlertKind.CAMPAIGN_HALTED, why=f"reason {n}")
    monkeypatch.setattr(SmtpHook, "get_conn", fail)
    engage_alerts.deliver(outbox, context_of())
    assert len(tried) == tries


@pytest.mark.parametrize(("timeout", "limit"), [(None, 10), (300, 10), (4, 4)])
@pytest.mark.usefixtures("mails", "addressed")
def test_a_mail_server_that_swallows_all_costs_seconds(outbox, monkeypatch, timeout, limit):
    tried = []

    def swallow(**options):
        tried.append(options["timeout"])
        raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed: timed out")

    connection = SmtpHook().get_connection("smtp_default")
    if timeout:
        connection.extra = f'{{"disable_ssl": true, "from_email": "a@example.com", "timeout": {timeout}}}'
    monkeypatch.setattr(SmtpHook, "get_connection", lambda hook, conn_id: connection)
    monkeypatch.setattr(smtplib, "SMTP", swallow)
    put(outbox, AlertKind.CAMPAIGN_HALTED, why="it says so")
    engage_alerts.deliver(outbox, context_of())
    assert tried == [limit]


def test_a_failure_that_airflow_reports_twice_is_one_mail(mails, addressed):
    engage_alerts.task_failed(context_of(RuntimeError()))
    engage_alerts.task_failed(context_of(RuntimeError()))
    assert len(mails) == 1


def test_a_failure_of_the_hourly_dag_is_one_mail_for_each_task_reason_and_day(mails, addressed, task_context):
    def fails(reason, hour, task="watch"):
        with time_machine.travel(NOW.replace(hour=0) + timedelta(hours=hour)):
            context = failed(task_context, GuardStop(reason * 5000))
            context["ti"].__dict__.update(dag_id="engage_maintenance", task_id=task, run_id=f"scheduled__{hour}")
            engage_alerts.task_failed(context)
        return len(mails)

    assert [fails("a", hour) for hour in range(24)] == [1] * 24
    assert fails("a", 23, "maintain") == 2
    assert fails("b", 23) == 3
    assert fails("a", 24) == 4


def test_a_failure_is_mailed_though_the_database_is_away(mails, addressed, monkeypatch):
    def away():
        raise exc.OperationalError("SELECT 1", {}, Exception("connection refused"))

    monkeypatch.setattr(engage_alerts, "_engine", away)
    engage_alerts.task_failed(context_of(RuntimeError()))
    assert [mail.subject for mail in mails] == ["Engage: the task extract of customer_engagement has failed"]


def test_an_alert_without_an_address_waits_for_one(outbox, mails, addressed):
    addressed("")
    put(outbox, AlertKind.MESSAGES_UNKNOWN, count=2)
    engage_alerts.deliver(outbox, context_of())
    assert (mails, rows(outbox)) == ([], [("messages_unknown", 0, False)])
    addressed(TO)
    engage_alerts.deliver(outbox, context_of())
    assert len(mails) == 1


@pytest.fixture
def later(monkeypatch):
    """Set the database's clock to some time after ``NOW``."""
    return lambda **after: monkeypatch.setattr(engage_alerts, "_clock", lambda _: lambda: NOW + timedelta(**after))


def test_the_first_address_gets_the_alerts_of_a_week(outbox, mails, addressed, later):
    for n in range(1000):
        put(outbox, AlertKind.CAMPAIGN_HALTED, why=f"reason {n}")
    later(days=7)
    later(days=7, seconds=1)
    assert engage_alerts.deliver(outbox, context_of()) == 0
    unmailed = alert_outbox.unmailed(outbox, as_of=NOW + timedelta(days=8))
    assert unmailed == alert_outbox.Unmailed(waiting=0, expired=1000)


def test_an_approval_is_not_asked_for_by_mail_once_its_time_is_over(outbox, mails, addressed, later):
    put(outbox, AlertKind.APPROVAL_REQUESTED, messages=1200, hours=48)
    put(outbox, AlertKind.APPROVAL_REQUESTED, messages=1300, hours=72)
    later(hours=49)
    engage_alerts.deliver(outbox, context_of())
    assert [mail.subject for mail in mails] == ["Engage: 1,300 messages wait for an approval"]


def test_an_alert_expires_by_the_databases_clock(outbox, monkeypatch):
    monkeypatch.undo()
    assert isinstance(engage_alerts._clock(outbox), DatabaseClock)


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
