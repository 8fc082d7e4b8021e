"""Campaigns on Engage's pages: the list, a report, and what an operator does with a campaign."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial

import engage_web_runs
import engage_web_variables
import sqlalchemy as sa
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dagrun import DagRun
from engage_run_window import window_of
from engage_web_access import CHANGE_RUNS, SEE, TRIGGER, TheViewer, logged
from engage_web_database import Database, DatabaseNow, TheWindow, airflow_now, window_named
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field

from engage import parsing
from engage.airflow_names import DAG_ID
from engage.campaigns import campaign, lateness
from engage.errors import RunError, SettingsError
from engage.pages import campaign_list, campaign_progress, campaign_report, csv_download, lift_csv
from engage.pages.campaign_trend import Trend

MAX_SECONDS = 3600.0
"""The longest time over which a page asks for a rate."""

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


class StartRun(BaseModel):
    """The parameters of a run, as a form sends them: a box that is not ticked is missing, an empty field is empty."""

    window_start: str
    dry_run: bool = False
    send_late: bool = False
    ignore_guard: bool = False
    seed: bool = False
    customers: str = ""
    rng_seed: str = ""


@router.get("/campaigns", dependencies=SEE)
def campaigns(
    *,
    engine: Database,
    viewer: TheViewer,
    session: SessionDep,
    user: GetUserDep,
    now: DatabaseNow,
    before: str | None = None,
    show: campaign_list.Show = campaign_list.Show.ALL,
    trend: Trend = Trend.SEGMENTS,
) -> HTMLResponse:
    """The list of campaigns: all or those of a kind, with one of the charts."""
    wrong = None
    try:
        engage_web_variables.current(session)
    except SettingsError as exc:
        # the sentence repeats values, and Airflow may hide these from the user
        may_know = engage_web_variables.may_read_all(user, session)
        wrong = str(exc) if may_know else "You may not see the Variables that say which."
    return HTMLResponse(
        campaign_list.campaign_list(
            engine,
            viewer,
            engage_web_variables.lateness_settings(session),
            before=window_named(before) if before else None,
            as_of=now,
            show=show,
            trend=trend,
            facts=partial(engage_web_runs.facts, session),
            settings_error=wrong,
        )
    )


@router.get("/report", dependencies=SEE)
def report(
    engine: Database, viewer: TheViewer, session: SessionDep, window: TheWindow, against: str | None = None
) -> HTMLResponse:
    """The report on a window's campaign, compared with that of the window ``against``."""
    other = window_named(against) if against else None
    facts = partial(engage_web_runs.facts, session)
    return HTMLResponse(campaign_report.campaign_report(engine, viewer, window, against=other, facts=facts))


@router.get("/report-progress", dependencies=SEE)
def report_progress(
    engine: Database, window: TheWindow, gone: int | None = None, seconds: float | None = None
) -> HTMLResponse:
    """The part of a report that changes while messages go out.

    ``gone``, ``seconds``: so many messages had gone so long ago, for the rate.
    """
    before = None
    if gone is not None and seconds is not None and 0 < seconds < MAX_SECONDS:
        before = campaign_progress.Before(gone, timedelta(seconds=seconds))
    return HTMLResponse(campaign_progress.progress(engine, window, before))


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
    facts = partial(engage_web_runs.facts, session)
    return HTMLResponse(campaign_report.campaign_report(engine, viewer, window, in_run=True, facts=facts))


@router.get("/counts.csv", dependencies=SEE)
def counts(engine: Database, window: TheWindow) -> Response:
    """The CSV download of a campaign's counts."""
    name = f"campaign-{window.start:%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(csv_download.counts_csv(engine, window), media_type="text/csv", headers=headers)


@router.get("/lift.csv", dependencies=SEE)
def lift(engine: Database, window_start: str | None = None) -> Response:
    """The CSV download of what the texts of a campaign did, or those of all measured campaigns."""
    window = window_named(window_start) if window_start else None
    name = f"lift-{window.start:%Y-%m-%d}.csv" if window else "lift.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(lift_csv.lift_csv(engine, window), media_type="text/csv", headers=headers)


@router.post("/go-on", dependencies=[*TRIGGER, logged("go_on")])
def go_on(wanted: GoOn, session: SessionDep, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """Start a run of a window whose campaign does not go on by itself."""
    window = window_named(wanted.window_start)
    late = lateness.is_late(window, engage_web_variables.lateness_settings(session), now)
    # a run has the time of Airflow's own clock, or the scheduler would let it wait
    conf: dict[str, object] = {"send_late": True} if late else {}
    run_id = engage_web_runs.start_run(session, window, conf, user=user.get_name(), now=airflow_now())
    return JSONResponse({"detail": f"Started: {run_id}."})


@router.post("/start-run", dependencies=[*TRIGGER, logged("start_run")])
def start_run(wanted: StartRun, session: SessionDep, user: GetUserDep) -> JSONResponse:
    """Trigger a run of a window with the parameters that the user chose."""
    window = window_named(wanted.window_start)
    conf: dict[str, object] = {
        name: True for name in ("dry_run", "send_late", "ignore_guard", "seed") if getattr(wanted, name)
    }
    if wanted.seed:
        numbers = {"customers": wanted.customers, "rng_seed": wanted.rng_seed}
        conf |= {name: _plain(parsing.number(text.strip())) for name, text in numbers.items() if text.strip()}
    run_id = engage_web_runs.start_run(session, window, conf, user=user.get_name(), now=airflow_now())
    return JSONResponse({"detail": f"Started: {run_id}. Its campaign is in the list once the task extract is done."})


def _plain(number: Decimal) -> int | float:
    """The number for the DAG, which decides whether it has to be a whole one."""
    return int(number) if number == number.to_integral_value() else float(number)


@router.post("/halt", dependencies=[*CHANGE_RUNS, logged("halt")])
def halt(wanted: Halt, engine: Database, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """Halt a campaign's sender."""
    why = parsing.note(wanted.why, "The reason")
    with engine.begin() as conn:
        campaign.halt(conn, window_named(wanted.window_start), by=user.get_name(), why=why, as_of=now)
    return JSONResponse({"detail": "Halted. Queued messages wait."})


@router.post("/resume", dependencies=[*CHANGE_RUNS, logged("resume")])
def resume(wanted: Resume, engine: Database, now: DatabaseNow) -> JSONResponse:
    """End the halt of a campaign."""
    with engine.begin() as conn:
        campaign.resume(conn, window_named(wanted.window_start), as_of=now)
    return JSONResponse({"detail": "Resumed. Clear the task message to send the queued messages."})
