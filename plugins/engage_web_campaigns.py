"""Campaigns on Engage's pages: the list, a report, and what an operator does with a campaign."""

from __future__ import annotations

import engage_web_runs
import engage_web_variables
import sqlalchemy as sa
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dagrun import DagRun
from engage_steps import window_of
from engage_web_access import HALT, SEE, TRIGGER, TheViewer, logged
from engage_web_database import Database, DatabaseNow, TheWindow, airflow_now, window_named
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field

from engage import parsing
from engage.airflow_names import DAG_ID
from engage.campaigns import campaign, lateness
from engage.errors import RunError
from engage.pages import campaign_list, campaign_report, csv_download

router = APIRouter()


class Halt(BaseModel):
    """The campaign to halt, and the reason."""

    window_start: str
    why: str = Field(max_length=parsing.MAX_NOTE)


class Resume(BaseModel):
    """The campaign to resume."""

    window_start: str


class GoOn(BaseModel):
    """The window to run."""

    window_start: str


@router.get("/campaigns", dependencies=SEE)
def campaigns(
    engine: Database, viewer: TheViewer, session: SessionDep, now: DatabaseNow, before: str | None = None
) -> HTMLResponse:
    """The list of campaigns."""
    older = window_named(before) if before else None
    return HTMLResponse(
        campaign_list.campaign_list(
            engine, viewer, engage_web_variables.lateness_settings(session), before=older, as_of=now
        )
    )


@router.get("/report", dependencies=SEE)
def report(engine: Database, viewer: TheViewer, window: TheWindow) -> HTMLResponse:
    """The report on a window's campaign."""
    return HTMLResponse(campaign_report.campaign_report(engine, viewer, window))


@router.get("/run", dependencies=SEE)
def report_of_run(engine: Database, viewer: TheViewer, session: SessionDep, dag_id: str, run_id: str) -> HTMLResponse:
    """The report on the campaign of a DAG run: the tab *Campaign report* of the run."""
    if dag_id != DAG_ID:
        raise RunError(f"Only the runs of {DAG_ID} have a campaign.")
    if not run_id.isprintable():  # Postgres keeps no NUL
        raise RunError("A run's id has no control characters.")
    run = session.scalar(sa.select(DagRun).where(DagRun.dag_id == DAG_ID, DagRun.run_id == run_id))
    if run is None:
        raise RunError(f"There is no such run of {DAG_ID}.")
    window = window_of(run, (run.conf or {}).get("window_start"), airflow_now())
    return HTMLResponse(campaign_report.campaign_report(engine, viewer, window, in_run=True))


@router.get("/counts.csv", dependencies=SEE)
def counts(engine: Database, window: TheWindow) -> Response:
    """The CSV download of a campaign's counts."""
    name = f"campaign-{window.start:%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(csv_download.counts_csv(engine, window), media_type="text/csv", headers=headers)


@router.post("/go-on", dependencies=[*TRIGGER, logged("go_on")])
def go_on(wanted: GoOn, session: SessionDep, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """Start a run of a window whose campaign does not go on by itself."""
    window = window_named(wanted.window_start)
    late = lateness.is_late(window, engage_web_variables.lateness_settings(session), now)
    # a run has the time of Airflow's own clock, or the scheduler would let it wait
    run_id = engage_web_runs.start_run(session, window, send_late=late, user=user.get_name(), now=airflow_now())
    return JSONResponse({"detail": f"Started: {run_id}."})


@router.post("/halt", dependencies=[*HALT, logged("halt")])
def halt(wanted: Halt, engine: Database, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """Halt a campaign's sender."""
    why = parsing.note(wanted.why, "The reason")
    with engine.begin() as conn:
        campaign.halt(conn, window_named(wanted.window_start), by=user.get_name(), why=why, as_of=now)
    return JSONResponse({"detail": "Halted. Queued messages wait."})


@router.post("/resume", dependencies=[*HALT, logged("resume")])
def resume(wanted: Resume, engine: Database, now: DatabaseNow) -> JSONResponse:
    """End the halt of a campaign."""
    with engine.begin() as conn:
        campaign.resume(conn, window_named(wanted.window_start), as_of=now)
    return JSONResponse({"detail": "Resumed. Clear the task message to send the queued messages."})
