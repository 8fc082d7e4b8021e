"""Which user may see Engage's pages and change something on them, by Airflow's own permissions."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import engage_web_variables
import sqlalchemy as sa
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import (
    ConnectionDetails,
    DagAccessEntity,
    DagDetails,
)
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.api_fastapi.logging.decorators import action_logging
from airflow.models.dag import DagModel
from engage_links import airflow_path, airflow_url
from engage_steps import CONNECTION
from fastapi import Depends, HTTPException, Request

from engage.airflow_names import DAG_ID
from engage.pages.viewer import NextRun, Viewer

SEGMENTS = ("segments", "messages", "low_spend_threshold", "high_activity_threshold", "message_boost", "message_reward")
"""The settings that the page *Segments* sets, without those whose names the staff choose."""


def logged(action: str) -> Any:
    """A dependency that leaves an entry in Airflow's audit log."""
    return Depends(action_logging(f"engage.{action}"))


JSON, FILE = "application/json", "application/octet-stream"
"""What the pages send. A browser lets no other site's page send either."""


def _same_origin(request: Request) -> None:
    """Refuse a request that another site made the user's browser send (CSRF), or that has no JSON."""
    _from_our_pages(request, JSON, "This address takes JSON.")


def _file_of_same_origin(request: Request) -> None:
    """Refuse a request that another site made the user's browser send, or that has no file."""
    _from_our_pages(request, FILE, f"This address takes a file as {FILE}.")


def _from_our_pages(request: Request, media_type: str, otherwise: str) -> None:
    """A browser says where a request comes from."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = {_origin(airflow_url()), _origin(str(request.base_url))}
    if site not in {None, "same-origin"} or (site is None and origin not in own):
        raise HTTPException(HTTPStatus.FORBIDDEN, "This request did not come from one of Engage's own pages.")
    if request.headers.get("content-type", "").partition(";")[0].strip() != media_type:
        raise HTTPException(HTTPStatus.FORBIDDEN, otherwise)


def _origin(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))


def _requires_edit_connection(user: GetUserDep) -> None:
    if not may_edit_connection(user):
        raise HTTPException(HTTPStatus.FORBIDDEN, f"Only users who may edit the connection {CONNECTION} may do this.")


def _requires_set_segments(user: GetUserDep) -> None:
    if not _may_set_segments(user):
        raise HTTPException(HTTPStatus.FORBIDDEN, "Only users who may edit the Variables of texts may do this.")


_run_access = requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID)
_run_change = requires_access_dag("PUT", DagAccessEntity.RUN, DAG_ID)

_run_trigger = requires_access_dag("POST", DagAccessEntity.RUN, DAG_ID)
_answer = requires_access_dag("PUT", DagAccessEntity.HITL_DETAIL, DAG_ID)

SEE = [Depends(_run_access)]
"""For a user who may see the DAG's runs."""
CHANGE_RUNS = [Depends(_same_origin), *SEE, Depends(_run_change)]
"""For a user who may change the DAG's runs."""
TRIGGER = [Depends(_same_origin), *SEE, Depends(_run_trigger)]
"""For a user who may trigger runs of the DAG."""
ANSWER = [Depends(_same_origin), *SEE, Depends(_answer)]
"""For a user who may answer questions of the DAG's tasks, by the check of Airflow's own route."""
SEE_BY_POST = [Depends(_same_origin), *SEE]
"""For a user who may see the DAG's runs, and whose request holds what no address may show."""
SEND_TEST = [*TRIGGER, Depends(_requires_set_segments)]
"""For a user who may set the texts and trigger runs: a text goes to a phone of the staff, or a model drafts some."""
JUDGE_TEXTS = [Depends(_same_origin), *SEE, Depends(_requires_set_segments)]
"""For a user who may set the texts: drafted ones are read, edited, approved and rejected."""
EDIT_CONNECTION = [Depends(_same_origin), *SEE, Depends(_requires_edit_connection)]
"""For a user who may edit the connection to Engage's database: full phone numbers, and forgetting a customer."""
SEE_CONNECTION = [*SEE, Depends(_requires_edit_connection)]
"""For the same user, who looks at a page that others have no use for."""
UPLOAD = [Depends(_file_of_same_origin), *SEE_CONNECTION]
"""For the same user, who sends a file."""


def _may_on_runs(user: BaseUser, method: Literal["POST", "PUT"]) -> bool:
    return _may(user, method, DagAccessEntity.RUN)


def _may(user: BaseUser, method: Literal["POST", "PUT"], entity: DagAccessEntity) -> bool:
    allowed: bool = get_auth_manager().is_authorized_dag(
        method=method, access_entity=entity, details=DagDetails(id=DAG_ID), user=user
    )
    return allowed


def _may_set_segments(user: BaseUser) -> bool:
    return all(engage_web_variables.may_edit(user, name) for name in SEGMENTS)


def may_edit_connection(user: BaseUser) -> bool:
    """Whether the user may edit the connection to Engage's database, as Airflow's roles Op and Admin may."""
    allowed: bool = get_auth_manager().is_authorized_connection(
        method="PUT", details=ConnectionDetails(conn_id=CONNECTION), user=user
    )
    return allowed


def _next_run(session: SessionDep) -> NextRun:
    """The next run that Airflow plans. Runs go by the clock of Airflow's machine."""
    found = session.execute(
        sa.select(DagModel.next_dagrun_create_after, DagModel.is_paused).where(DagModel.dag_id == DAG_ID)
    ).one_or_none()
    at, paused = found or (None, False)
    return NextRun(at, as_of=datetime.now(UTC), paused=bool(paused))


def _viewer(user: GetUserDep, next_run: Annotated[NextRun, Depends(_next_run)]) -> Viewer:
    return Viewer(
        airflow=airflow_path(),
        may_change_runs=_may_on_runs(user, "PUT"),
        may_trigger=_may_on_runs(user, "POST"),
        may_answer=_may(user, "PUT", DagAccessEntity.HITL_DETAIL),
        may_set_segments=_may_set_segments(user),
        may_edit_connection=may_edit_connection(user),
        next_run=next_run,
    )


TheViewer = Annotated[Viewer, Depends(_viewer)]
