"""Airflow's audit log, as Engage's pages read it and add to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.log import Log
from airflow.utils.session import create_session
from sqlalchemy.orm import Session

from engage.airflow_names import DAG_ID
from engage.pages.audit_log import RUN_EVENTS, SETTING_EVENTS, VARIABLE_EVENTS, AuditEntry, Place
from engage.pages.setting_editors import TOLERANCE
from engage.settings import PREFIX

MOST_EDITS = 5_000
"""Edits that are read at most. Settings that were last edited before have no known editor."""


def may_read(user: BaseUser) -> bool:
    """Whether the user may read the audit log: the DAG's entries, and those without a DAG."""
    ask = get_auth_manager().is_authorized_dag
    return all(
        ask(method="GET", access_entity=DagAccessEntity.AUDIT_LOG, details=details, user=user)
        for details in (DagDetails(id=DAG_ID), None)
    )


def record(session: Session, user: BaseUser, event: str, **details: object) -> None:
    """Add an entry in the transaction of the change, so that a refused change leaves none."""
    name = user.get_name()
    session.add(Log(f"engage.{event}", owner=name, owner_display_name=name, extra=json.dumps(details)))


def record_now(user: BaseUser, event: str, **details: object) -> None:
    """Add an entry at once, for what changes nothing in Airflow's database, such as an export."""
    with create_session() as session:
        record(session, user, event, **details)


def entries(
    session: Session, events: Sequence[str], *, user: str | None = None, before: Place | None = None, limit: int
) -> list[AuditEntry]:
    """The newest entries of these events that are about Engage, or the newest before a place in the log."""
    ours = sa.or_(
        sa.and_(Log.event.in_(VARIABLE_EVENTS), Log.extra.contains(PREFIX, autoescape=True)),
        sa.and_(Log.event.in_(RUN_EVENTS), Log.dag_id == DAG_ID),
        Log.event.notin_((*VARIABLE_EVENTS, *RUN_EVENTS)),
    )
    query = (
        sa.select(Log.id, Log.dttm, Log.owner, Log.event, Log.run_id, Log.extra)
        .where(Log.event.in_(events), ours, Log.dttm.is_not(None))
        .order_by(Log.dttm.desc(), Log.id.desc())
        .limit(limit)
    )
    if user is not None:
        query = query.where(Log.owner == user)
    if before is not None:
        earlier = sa.and_(Log.dttm == before.at, Log.id < before.below)
        query = query.where(sa.or_(Log.dttm < before.at, earlier))
    return [_entry(row) for row in session.execute(query)]


def setting_edits(session: Session, *, since: datetime | None, until: datetime) -> list[AuditEntry]:
    """The edits of any Variables between two times, newest first, with ``TOLERANCE`` more at each end."""
    query = (
        sa.select(Log.id, Log.dttm, Log.owner, Log.event, Log.run_id, Log.extra)
        .where(Log.event.in_(SETTING_EVENTS), Log.dttm < until + TOLERANCE)
        .order_by(Log.dttm.desc(), Log.id.desc())
        .limit(MOST_EDITS)
    )
    if since is not None:
        query = query.where(Log.dttm > since - TOLERANCE)
    return [_entry(row) for row in session.execute(query)]


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(row.id, row.dttm, row.owner or "", row.event, row.run_id, _details(row.extra))


def _details(extra: str | None) -> dict[str, object]:
    try:
        found = json.loads(extra or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
