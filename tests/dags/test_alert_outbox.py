"""Each alert is mailed at least once and only within a week, whatever the mail server and the processes do."""

from __future__ import annotations

import smtplib
import threading
from datetime import timedelta
from types import SimpleNamespace

import engage_alerts
import pytest
import time_machine
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk.exceptions import AirflowException
from sqlalchemy import exc

from engage import alert_outbox
from engage.errors import GuardStop
from engage.statuses import AlertKind
from engage.storage.database_clock import DatabaseClock
from tests.dags.alerts import NOW, TO, context_of, failed, put, rows

pytestmark = pytest.mark.usefixtures("outbox")


def waiting(outbox):
    return alert_outbox.unmailed(outbox, as_of=NOW).waiting


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
