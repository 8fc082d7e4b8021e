"""The page *Activity*."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import engage_web_audit
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from engage_web_access import SEE, TheViewer
from engage_web_database import Database, DatabaseNow
from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse

from engage.pages import activity_page
from engage.pages.activity_page import SHOWN, Position, Wanted
from engage.pages.audit_words import events_of
from engage.pages.happenings import Kind

router = APIRouter()


def _wanted(kind: str = "", by: str = "", before: str = "") -> Wanted:
    if kind and kind not in set(Kind):
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"There is no kind {kind[:40]!r} of activity.")
    return Wanted(Kind(kind) if kind else None, by.strip() or None, Position.parse(before) if before else None)


@router.get("/activity", dependencies=SEE)
def activity(
    engine: Database,
    viewer: TheViewer,
    *,
    user: GetUserDep,
    session: SessionDep,
    now: DatabaseNow,
    wanted: Annotated[Wanted, Depends(_wanted)],
) -> HTMLResponse:
    """What happened: of one kind or all, by one user or all, the newest or those before a place."""
    entries = None
    if engage_web_audit.may_read(user):
        place = wanted.before.in_log if wanted.before else None
        entries = engage_web_audit.entries(
            session, events_of(wanted.kind), user=wanted.user, before=place, limit=SHOWN + 1
        )
    return HTMLResponse(activity_page.activity_page(engine, viewer, wanted, entries, as_of=now))
