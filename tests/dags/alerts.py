"""A failed task and the outbox of alerts, as tests fill and read them."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import engage_steps
import pytest
import sqlalchemy as sa
from airflow.sdk.exceptions import AirflowFailException

from engage import alert_outbox
from engage.storage.schema import alert as alert_table
from engage.window import ANCHOR, Window

LINK = "http://127.0.0.1:8080/dags/customer_engagement/runs/a_run/tasks/extract?try_number=1"
TO = "ada@example.com, ben@example.com"
NOW = datetime(2026, 11, 10, 9, tzinfo=UTC)
WINDOW = Window(ANCHOR)


def put(outbox, kind, **detail):
    with outbox.begin() as conn:
        alert_outbox.put(conn, kind, window=WINDOW, as_of=NOW, **detail)


def rows(outbox):
    with outbox.connect() as conn:
        query = sa.select(alert_table.c.kind, alert_table.c.attempts, alert_table.c.mailed_at.is_not(None))
        return [tuple(row) for row in conn.execute(query.order_by(alert_table.c.alert_id))]


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
