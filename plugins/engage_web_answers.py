"""Guards Airflow's own address for answers: its page Required Actions and its REST API record no approval otherwise.

A user who may not approve gets a sentence, and Airflow never sees the answer. Every user's rejection passes.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus

import engage_web_approvers
import engage_web_audit
import engage_web_database
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from airflow.exceptions import AirflowNotFoundException
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.utils.session import create_session
from engage_web_approvers import Refused
from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engage.airflow_names import DAG_ID
from engage.campaigns import approvers
from engage.formats import iso_day
from engage.storage.database_errors import DATABASE_ERRORS

ADDRESS = re.compile(rf"/api/v2/dags/{DAG_ID}/dagRuns/([^/]+)/taskInstances/approve/-?\d+/hitlDetails/?$")
UNAVAILABLE = (
    "Engage cannot check whether you may approve, as its database does not answer. The answer was not recorded. "
    "Try again when the database is back."
)


class CheckedApprovals:
    """The middleware. It lets every request pass but an approval that does not count."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        about = ADDRESS.search(scope["path"]) if scope["type"] == "http" and scope["method"] == "PATCH" else None
        if about is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        if _approves(body) and (user := await _user(request)):
            refused = await run_in_threadpool(_refusal, about[1], user)
            if refused:
                await refused(scope, receive, send)
                return
        await self.app(scope, _again(body, receive), send)


def _approves(body: bytes) -> bool:
    try:
        chosen = json.loads(body)["chosen_options"]
    except (ValueError, TypeError, KeyError):
        return False
    return isinstance(chosen, list) and ApprovalOperator.APPROVE in chosen


async def _user(request: Request) -> BaseUser | None:
    """The user, as Airflow's route will find them; None if Airflow will refuse the request."""
    try:
        return await get_user(request, None, await bearer_scheme(request))
    except HTTPException:
        return None


def _refusal(run_id: str, user: BaseUser) -> JSONResponse | None:
    """The answer to a user who may not approve the list about which the run asks; None if Airflow may go on."""
    try:
        with engage_web_database.engine().begin() as conn, create_session() as session:
            found = approvers.asked_by_run(conn, run_id)
            if found is None:  # nothing waits for this answer, and the task will say so
                return None
            engage_web_approvers.check(conn, session, found, user.get_name())
    except Refused as exc:
        engage_web_audit.record_now(user, "approval_refused", window_start=iso_day(exc.window.start), why=exc.why)
        return JSONResponse({"detail": exc.why}, HTTPStatus.FORBIDDEN)
    except (*DATABASE_ERRORS, AirflowNotFoundException):
        return JSONResponse({"detail": UNAVAILABLE}, HTTPStatus.SERVICE_UNAVAILABLE)
    return None


def _again(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read to the next reader."""
    left = [body]

    async def read() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return read
