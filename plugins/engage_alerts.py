"""Alerts by e-mail to the operators, through Airflow's notifier and its connection ``smtp_default``.

Alerts wait in the outbox of Engage's database until they are mailed. The Variable ``engage_alert_emails`` holds the
addresses, and is read when there is an alert. An alert that cannot be sent stays in the outbox, and fails no task.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import engage_links
from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout

from engage.airflow_names import DAG_ID, run_path
from engage.errors import EngageError

if TYPE_CHECKING:
    import sqlalchemy as sa
    from airflow.providers.smtp.hooks.smtp import SmtpHook
    from airflow.sdk import Context

    from engage.alert import Alert
    from engage.alert_outbox import Waiting
    from engage.storage.database_clock import DatabaseClock

VARIABLE = "engage_alert_emails"
CONNECTION = "engage_db"
PATIENCE = 10
"""Seconds that an answer of the mail server may take. Tasks wait for it."""
SUBJECT = "{{ engage_alert.subject }}"
BODY = """<p>{{ engage_alert.happened | e }}</p>
<p>{{ engage_alert.advice | e }}</p>
{% if window %}<p>Window: {{ window | e }}</p>{% endif %}
<p>Raised on {{ raised_at }} UTC.</p>
{% if link %}<p>Run: <a href="{{ link | e }}">{{ run_id or "the task's log" | e }}</a></p>{% endif %}
{% if report %}<p><a href="{{ report | e }}">The campaign's report</a></p>{% endif %}"""
"""Airflow renders these as templates. The alert's text comes in as a value, as users may have typed parts of it."""

log = logging.getLogger(__name__)


def task_failed(context: Context) -> None:
    """Send the alert that a task has failed after its last retry. Airflow may say so twice about one attempt.

    A task of the hourly DAG is reported once for each reason and day.
    """
    from engage import alert, alert_outbox
    from engage.statuses import AlertKind

    ti = context["ti"]
    detail = {"dag": ti.dag_id, "task": ti.task_id, "reason": _reason(context.get("exception"))}
    now = _now()
    if ti.dag_id == DAG_ID:
        incident = f"{ti.dag_id} {ti.run_id} {ti.task_id} {getattr(ti, 'try_number', None)} failed"
    else:
        reason = sha256(detail["reason"].encode()).hexdigest()
        incident = f"{ti.dag_id} {ti.task_id} {now:%Y-%m-%d} {reason} failed"
    try:
        engine = _engine()
        with engine.begin() as conn:
            alert_outbox.put(conn, AlertKind.TASK_FAILED, as_of=now, incident=incident, link=ti.log_url, **detail)
    except Exception as exc:  # noqa: BLE001 - the database that is away may be what has failed
        log.warning("The outbox of alerts cannot be reached (%s); the alert is mailed at once", type(exc).__name__)
        _mail_at_once(alert.task_failed(**detail), context, now)
        return
    deliver(engine, context)


def deliver(engine: sa.Engine, context: Context) -> int:
    """Mail the alerts that wait in the outbox; returns their number. It raises no error."""
    from engage import alert_outbox

    try:
        to = _addresses()
        if not to:
            return 0
        return alert_outbox.deliver(engine, lambda waiting: _mail_waiting(waiting, to, context), _clock(engine))
    except Exception:
        log.exception("The outbox of alerts could not be worked off")
        return 0


def _now() -> datetime:
    return datetime.now(UTC)


def _clock(engine: sa.Engine) -> DatabaseClock:
    from engage.storage.database_clock import DatabaseClock

    return DatabaseClock(engine)


def _engine() -> sa.Engine:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from engage.storage import connection

    return connection.connect(PostgresHook(CONNECTION).sqlalchemy_url)


def _reason(exception: Any) -> str:
    """Why a task failed. Of errors other than Engage's own, it gives the kind only: a database quotes rows."""
    if exception is None:
        return "Its process ended without saying why."
    if isinstance(exception, AirflowTaskTimeout):
        return "It took longer than it may."
    if isinstance(exception.__context__, EngageError):
        return str(exception.__context__)
    return f"{type(exception.__cause__ or exception).__name__}; its log says more."


def _mail_waiting(waiting: Waiting, to: list[str], context: Context) -> None:
    """Mail one alert. It links to the task that raised it, else to the last run of its campaign."""
    from engage.campaigns.run_options import CLI_RUN_ID

    ti = context["ti"]
    if waiting.link == ti.log_url or (waiting.run_id == ti.run_id and ti.dag_id == DAG_ID):
        run_id, link = ti.run_id, ti.log_url
        report = engage_links.report_url(ti) if ti.dag_id == DAG_ID else None
    else:
        run_id = None if waiting.run_id == CLI_RUN_ID else waiting.run_id
        link = waiting.link or (run_id and f"{engage_links.airflow_url()}{run_path(run_id)}")
        report = run_id and f"{engage_links.airflow_url()}{engage_links.report_of(run_id)}"
    _mail(waiting.alert, to, waiting.raised_at, window=waiting.window, run_id=run_id, link=link, report=report)


def _mail_at_once(alert: Alert, context: Context, now: datetime) -> None:
    ti = context["ti"]
    report = engage_links.report_url(ti) if ti.dag_id == DAG_ID else None
    try:
        if to := _addresses():
            _mail(alert, to, now, window=None, run_id=ti.run_id, link=ti.log_url, report=report)
    except Exception:
        log.exception("An alert could not be sent: %s", alert.subject)


def _mail(alert: Alert, to: list[str], raised_at: datetime, **values: Any) -> None:
    """Mail an alert; the errors of the mail server pass, unlike those of a call of Airflow's notifier.

    Raises:
        OSError: the mail server is away, or takes no mail.
    """
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    notifier = SmtpNotifier(to=to, subject=SUBJECT, html_content=BODY)
    notifier.hook = _hook(notifier.smtp_conn_id)
    context: Any = {"engage_alert": asdict(alert), "raised_at": f"{raised_at:%Y-%m-%d %H:%M}", **values}
    notifier.render_template_fields(context)
    try:
        notifier.notify(context)
    except AirflowException as exc:  # the hook's own error about the connection
        raise ConnectionError(str(exc)) from exc


def _hook(conn_id: str) -> SmtpHook:
    """Airflow's hook, but it waits ``PATIENCE`` at most, and tries once: the outbox tries again."""
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    class ImpatientHook(SmtpHook):  # type: ignore[misc]
        @property
        def timeout(self) -> int:
            return min(int(super().timeout), PATIENCE)

        @property
        def smtp_retry_limit(self) -> int:
            return 0

    return ImpatientHook(conn_id)


def _addresses() -> list[str]:
    from engage import alert, settings

    text: str | None = Variable.get(VARIABLE, default=None)
    chosen = settings.from_variables(lambda key: text, "alert_emails")
    return alert.addresses(chosen.alert_emails)
