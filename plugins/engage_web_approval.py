"""The page on which a campaign's list is approved. The answer goes to Airflow's own question, the task ``approve``."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal

import engage_web_approvers
import engage_web_audit
import engage_web_variables
import sqlalchemy as sa
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.utils.state import TaskInstanceState
from engage_web_access import ANSWER, SEE, TheViewer, logged
from engage_web_database import Database, DatabaseNow, TheWindow, window_named
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from engage import formats, parsing
from engage.airflow_names import DAG_ID
from engage.campaigns import campaign
from engage.campaigns.campaign import Campaign
from engage.errors import SettingsError
from engage.pages import addresses, approval_page
from engage.pages.approval_page import Question
from engage.statuses import ApprovalState

TASK_ID = "approve"
OPTIONS = {"approve": ApprovalOperator.APPROVE, "reject": ApprovalOperator.REJECT}
ANSWERED = "The question was answered in the meantime, or its time is up. Reload the page to see where it stands."

router = APIRouter()


class Answer(BaseModel):
    """The answer to a run's question about a list. ``list``: when that was frozen, as the page knew it.

    ``dag_id``, ``run_id`` and ``task_id`` name the question in Airflow's audit log.
    """

    window_start: str
    list: str
    answer: Literal["approve", "reject"]
    run_id: str
    dag_id: Literal["customer_engagement"]
    task_id: Literal["approve"]
    reason: str | None = None
    """Why the list is rejected."""


@router.get("/approval", dependencies=SEE)
def approval(
    *,
    engine: Database,
    viewer: TheViewer,
    session: SessionDep,
    user: GetUserDep,
    window: TheWindow,
    now: DatabaseNow,
    after: str | None = None,
) -> HTMLResponse:
    """The page about a window's list, with texts to customers whose ids are greater than ``after``."""
    later = parsing.customer_id(after) if after else 0
    page = approval_page.approval_page(
        engine,
        viewer,
        window,
        ask=lambda run_ids: _question(session, run_ids),
        who=lambda conn, found: engage_web_approvers.of(conn, session, found),
        user=user.get_name(),
        sees_edits=lambda: engage_web_audit.may_read(user),
        rate=_rate(session),
        after=later,
        as_of=now,
    )
    return HTMLResponse(page)


@router.post("/answer", dependencies=[*ANSWER, logged("answer")])
def answer(wanted: Answer, engine: Database, session: SessionDep, user: GetUserDep) -> JSONResponse:
    """Answer the question of the task ``approve`` as Airflow's own page does. The run goes on, and records it.

    Raises:
        InputError: the list is rejected without a reason, or with one that cannot be kept.
    """
    reason = parsing.note(wanted.reason or "", "The reason") if wanted.answer == "reject" else None
    window = window_named(wanted.window_start)
    with engine.connect() as conn:
        found = campaign.find(conn, window)
    known = found and found.frozen_at and formats.iso(found.frozen_at)
    waits = found and found.approval.state is ApprovalState.REQUESTED and wanted.run_id in found.approval.asking_runs
    if not waits or known != wanted.list:
        raise HTTPException(HTTPStatus.CONFLICT, ANSWERED)
    assert found is not None
    question = _question(session, [wanted.run_id])
    if question is None or not question.open:
        raise HTTPException(HTTPStatus.CONFLICT, ANSWERED)
    if wanted.answer == "approve":
        _check(engine, session, found, user)
    update_hitl_detail(
        dag_id=DAG_ID,
        dag_run_id=wanted.run_id,
        task_id=TASK_ID,
        update_hitl_detail_payload=UpdateHITLDetailPayload(
            chosen_options=[OPTIONS[wanted.answer]], params_input={"reason": reason}
        ),
        user=user,
        session=session,
    )
    done = "Approved. The messages go out." if wanted.answer == "approve" else "Rejected. No message goes out."
    return JSONResponse({"detail": done, "go": addresses.report(window)})


def _check(engine: sa.Engine, session: Session, found: Campaign, user: BaseUser) -> None:
    """Refuse a user who may not approve.

    Raises:
        HTTPException: with the sentence that says why.
    """
    try:
        with engine.begin() as conn:
            engage_web_approvers.check(conn, session, found, user.get_name())
    except engage_web_approvers.Refused as exc:
        engage_web_audit.record_now(
            user, "approval_refused", window_start=formats.iso_day(exc.window.start), why=exc.why
        )
        raise HTTPException(HTTPStatus.FORBIDDEN, exc.why) from None


def _question(session: Session, run_ids: Sequence[str]) -> Question | None:
    """The question of these runs that is open, else one that was answered; None if Airflow has none."""
    query = (
        sa.select(TaskInstance.run_id, TaskInstance.state, HITLDetail.responded_at, HITLDetail.responded_by,
                  HITLDetail.chosen_options)
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(TaskInstance.dag_id == DAG_ID, TaskInstance.task_id == TASK_ID, TaskInstance.run_id.in_(run_ids))
    )  # fmt: skip
    found = [
        Question(
            run_id=row.run_id,
            # before this state Airflow loses an answer: the process that asks has not ended
            open=row.state == TaskInstanceState.AWAITING_INPUT and row.responded_at is None,
            answered_by=row.responded_by["name"] if row.responded_by else None,
            approved=row.chosen_options == [OPTIONS["approve"]] if row.responded_at else None,
        )
        for row in (session.execute(query) if run_ids else [])
    ]
    return next((one for one in found if one.open), found[-1] if found else None)


def _rate(session: Session) -> float | None:
    """The sending rate of the moment; None if a Variable is wrong."""
    try:
        return float(engage_web_variables.current(session).messages_per_second)
    except SettingsError:
        return None
