"""The page *What if*, and the two Variables that it sets."""

from __future__ import annotations

from typing import Annotated

import engage_web_audit
import engage_web_settings
import engage_web_variables
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from engage_web_access import SEE, SET_THRESHOLDS, TheViewer
from engage_web_database import Database, TheWindow, window_named
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

from engage import settings
from engage.pages import what_if
from engage.reports.what_if import THRESHOLDS
from engage.settings import PREFIX, Change

router = APIRouter()


class Thresholds(BaseModel):
    """Both thresholds, as the user typed them, and the Variables that the user saw; an empty text stands for none."""

    low_spend_threshold: str
    high_activity_threshold: str
    low_was: str | None = None
    high_was: str | None = None


def _chosen(low: str | None = None, high: str | None = None) -> dict[str, str]:
    both = zip(THRESHOLDS, (low, high), strict=True)
    return {name: value for name, value in both if value is not None}


def _variables(viewer: TheViewer, session: SessionDep) -> dict[str, str | None]:
    """The thresholds' Variables, for a user who may set them."""
    if not viewer.may_set_thresholds:
        return {}
    stored = engage_web_variables.values(session)
    return {name: stored.get(name) for name in THRESHOLDS}


Chosen = Annotated[dict[str, str], Depends(_chosen)]
Variables = Annotated[dict[str, str | None], Depends(_variables)]


@router.get("/what-if", dependencies=SEE)
def what_if_page(
    engine: Database, viewer: TheViewer, chosen: Chosen, variables: Variables, window_start: str | None = None
) -> HTMLResponse:
    """The page that counts a campaign's buckets with other thresholds."""
    window = window_named(window_start) if window_start else None
    return HTMLResponse(what_if.what_if_page(engine, viewer, window, chosen, variables))


@router.get("/what-if-counts", dependencies=SEE)
def what_if_counts(
    engine: Database, window: TheWindow, chosen: Chosen, variables: Variables, by_field: bool = False
) -> HTMLResponse:
    """The parts of that page that change with the thresholds; ``by_field``: wrong ones are sentences for their fields.

    A script asks by field. An error status would be an error in the browser's console.
    """
    wrong = what_if.wrong_thresholds(chosen) if by_field else None
    return HTMLResponse(wrong or what_if.counts(engine, window, chosen, variables))


@router.post("/thresholds", dependencies=SET_THRESHOLDS)
def set_thresholds(wanted: Thresholds, user: GetUserDep, session: SessionDep) -> JSONResponse:
    """Set the two Variables, for the next campaign; the answer can take it back."""
    values = {name: str(getattr(wanted, name)) for name in THRESHOLDS}
    chosen = settings.validate(values, label=lambda name: f"The Airflow Variable {PREFIX}{name}")
    stored = engage_web_variables.values(session)
    seen = dict(zip(THRESHOLDS, (wanted.low_was, wanted.high_was), strict=True))
    changes = [
        Change(name, value, stored.get(name) if seen[name] is None else seen[name] or None)
        for name, value in values.items()
    ]
    if refused := engage_web_settings.store(session, changes):
        return refused
    engage_web_audit.record(session, user, "thresholds", **values)
    detail = f"Set: {what_if.threshold_words(chosen)}. {engage_web_settings.next_campaign(changes)}"
    return JSONResponse({"detail": detail, "undo": engage_web_settings.undo(changes)})
