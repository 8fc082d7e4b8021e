"""Alerts by e-mail to the operators, through Airflow's notifier and its connection ``smtp_default``.

The Variable ``engage_alert_emails`` holds the addresses. It is read when there is an alert. An alert that cannot be
sent is written to the task's log, and fails no task.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import engage_links
from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowTaskTimeout

from engage.airflow_names import DAG_ID
from engage.errors import EngageError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from engage.alert import Alert

VARIABLE = "engage_alert_emails"
SUBJECT = "{{ engage_alert.subject }}"
BODY = """<p>{{ engage_alert.happened | e }}</p>
<p>{{ engage_alert.advice | e }}</p>
<p>Run: <a href="{{ ti.log_url | e }}">{{ ti.run_id | e }}</a></p>
{% if engage_report %}<p><a href="{{ engage_report | e }}">The campaign's report</a></p>{% endif %}"""
"""Airflow renders these as templates. The alert's text comes in as a value, as users may have typed parts of it."""

log = logging.getLogger(__name__)


def task_failed(context: Context) -> None:
    """Send the alert that a task has failed after its last retry."""
    from engage import alert

    ti = context["ti"]
    _send(context, alert.task_failed(ti.dag_id, ti.task_id, _reason(context.get("exception"))))


def messages_unknown(context: Context, count: int) -> None:
    """Send the alert that the fate of some messages is unknown."""
    from engage import alert

    _send(context, alert.messages_unknown(count))


def campaign_halted(context: Context, why: str) -> None:
    """Send the alert that the sender has halted its campaign."""
    from engage import alert

    _send(context, alert.campaign_halted(why))


def approval_requested(context: Context, messages: int, hours: int) -> None:
    """Send the alert that a campaign's list waits for an approver."""
    from engage import alert

    _send(context, alert.approval_requested(messages, hours))


def approval_timed_out(context: Context) -> None:
    """Send the alert that a campaign was rejected, as no approver answered in time."""
    from engage import alert

    _send(context, alert.approval_timed_out())


def _reason(exception: Any) -> str:
    """Why a task failed. Of errors other than Engage's own, it gives the kind only: a database quotes rows."""
    if exception is None:
        return "Its process ended without saying why."
    if isinstance(exception, AirflowTaskTimeout):
        return "It took longer than it may."
    if isinstance(exception.__context__, EngageError):
        return str(exception.__context__)
    return f"{type(exception.__cause__ or exception).__name__}; its log says more."


def _send(context: Context, alert: Alert) -> None:
    try:
        if to := _addresses():
            from airflow.providers.smtp.notifications.smtp import SmtpNotifier

            notify = SmtpNotifier(to=to, subject=SUBJECT, html_content=BODY)
            ti = context["ti"]
            report = engage_links.report_url(ti) if ti.dag_id == DAG_ID else None
            notify({**context, "engage_alert": asdict(alert), "engage_report": report})
    except Exception:
        log.exception("An alert could not be sent: %s", alert.subject)


def _addresses() -> list[str]:
    from engage import alert, settings

    text: str | None = Variable.get(VARIABLE, default=None)
    chosen = settings.from_variables(lambda key: text if key == VARIABLE else None)
    return alert.addresses(chosen.alert_emails)
