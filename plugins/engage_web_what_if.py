"""The page *What if*, and the two Variables that it sets."""

from __future__ import annotations

from typing import Annotated

import engage_web_variables
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.variable import Variable
from engage_web_access import SEE, SET_THRESHOLDS, TheViewer, logged
from engage_web_database import Database, TheWindow, window_named
from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel

from engage import settings
from engage.pages import what_if
from engage.reports.what_if import THRESHOLDS
from engage.settings import PREFIX

router = APIRouter()


class Thresholds(BaseModel):
    """Both thresholds, as the user typed them."""

    low_spend_threshold: str
    high_activity_threshold: str


def _chosen(low: str | None = None, high: str | None = None) -> dict[str, str]:
    both = zip(THRESHOLDS, (low, high), strict=True)
    return {name: value for name, value in both if value is not None}


Chosen = Annotated[dict[str, str], Depends(_chosen)]


@router.get("/what-if", dependencies=SEE)
def what_if_page(
    engine: Database, viewer: TheViewer, chosen: Chosen, session: SessionDep, window_start: str | None = None
) -> HTMLResponse:
    """The page that counts a campaign's buckets with other thresholds."""
    window = window_named(window_start) if window_start else None
    variables = (
        {name: engage_web_variables.value(session, name) for name in THRESHOLDS} if viewer.may_set_thresholds else {}
    )
    return HTMLResponse(what_if.what_if_page(engine, viewer, window, chosen, variables))


@router.get("/what-if-counts", dependencies=SEE)
def what_if_counts(engine: Database, window: TheWindow, chosen: Chosen) -> HTMLResponse:
    """The part of that page that changes with the thresholds."""
    return HTMLResponse(what_if.counts(engine, window, chosen))


@router.post("/thresholds", dependencies=[*SET_THRESHOLDS, logged("thresholds")])
def set_thresholds(wanted: Thresholds, session: SessionDep) -> JSONResponse:
    """Set the two Variables, for the next campaign."""
    values = wanted.model_dump()
    settings.validate(values, label=lambda name: f"The Airflow Variable {PREFIX}{name}")
    for name, value in values.items():
        known = engage_web_variables.variable(session, name)
        Variable.set(PREFIX + name, value, description=known and known.description, session=session)
    new = ", ".join(f"{PREFIX}{name} is {value}" for name, value in values.items())
    return JSONResponse({"detail": f"Set: {new}. The next campaign takes them."})
