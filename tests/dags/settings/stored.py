"""Airflow's Variables and audit log, as tests of the settings' pages write and read them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import sqlalchemy as sa
from sqlalchemy.orm import Session

AT = datetime(2026, 11, 26, 14, tzinfo=UTC)
ADA = SimpleNamespace(get_name=lambda: "ada")
OLD = [{"name": "approval_hours", "value": "3", "was": None}]


def variables(engine):
    from airflow.models.variable import Variable

    with Session(engine) as session:
        return {one.key: one.val for one in session.scalars(sa.select(Variable))}


def put(engine, **values):
    from airflow.models.variable import Variable

    with Session(engine) as session, session.begin():
        for name, value in values.items():
            session.add(Variable(f"engage_{name}", value, "its description"))


def log(engine):
    """The audit log's entries: event, user, details."""
    from airflow.models.log import Log

    with Session(engine) as session:
        rows = session.execute(sa.select(Log.event, Log.owner, Log.extra).order_by(Log.id)).all()
    return [(row.event, row.owner, json.loads(row.extra)) for row in rows]


def written(engine, event, minutes=0, *, dag_id=None, owner="ada", extra=None):
    """Write an entry of the audit log."""
    from airflow.models.log import Log

    with Session(engine) as session, session.begin():
        one = Log(event, owner=owner, dag_id=dag_id, extra=json.dumps(extra or {}))
        one.dttm = AT + timedelta(minutes=minutes)
        session.add(one)
