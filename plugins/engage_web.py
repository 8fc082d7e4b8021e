"""Engage's pages inside Airflow's frame: their addresses, and the two Variables and the halt that they change.

``engage.pages`` makes the HTML. Only the api-server imports this module, when it asks the plugin for its web app.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

import engage_web_errors
import engage_web_headers
import engage_web_runs
import engage_web_shell
import sqlalchemy as sa
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, get_user
from airflow.models.dagrun import DagRun
from airflow.models.variable import Variable
from airflow.providers.postgres.hooks.postgres import PostgresHook
from engage_steps import CONNECTION, window_of
from engage_web_access import HALT, SEARCH, SEE, SET_THRESHOLDS, TRIGGER, TheViewer, logged
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from engage import parsing, settings
from engage.airflow_names import DAG_ID
from engage.campaigns import campaign, lateness
from engage.errors import RunError
from engage.pages import campaign_list, campaign_report, csv_download, customer_page, what_if
from engage.reports.what_if import THRESHOLDS
from engage.settings import PREFIX
from engage.storage import connection
from engage.storage.database_clock import DatabaseClock
from engage.window import Window

STATEMENT_SECONDS = 10.0
"""How long a page may keep the database busy."""

app = FastAPI(title="Engage", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(get_user)])
engage_web_errors.install(app)
engage_web_headers.install(app)
app.include_router(engage_web_shell.router)


@lru_cache(maxsize=1)
def _engine_for(url: sa.URL) -> sa.Engine:
    return connection.connect(
        url, patience=STATEMENT_SECONDS, pool_size=4, max_overflow=0, pool_timeout=STATEMENT_SECONDS / 2
    )


def _engine() -> sa.Engine:
    return _engine_for(PostgresHook(CONNECTION).sqlalchemy_url)


def _now() -> datetime:
    """This machine's time, which is enough to tell a complete window of an address."""
    return datetime.now(UTC)


Database = Annotated[sa.Engine, Depends(_engine)]


@lru_cache(maxsize=1)
def _clock_of(engine: sa.Engine) -> DatabaseClock:
    return DatabaseClock(engine)


def _database_now(engine: Database) -> datetime:
    """The database's time, by which every age is measured."""
    clock = _clock_of(engine)
    clock.measure()
    return clock()


def _window(window_start: str) -> Window:
    return Window.named(window_start, _now())


def _chosen(low: str | None = None, high: str | None = None) -> dict[str, str]:
    both = zip(THRESHOLDS, (low, high), strict=True)
    return {name: value for name, value in both if value is not None}


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


class Wanted(BaseModel):
    """The customer's id, as the user typed it."""

    customer_id: str


class Thresholds(BaseModel):
    """Both thresholds, as the user typed them."""

    low_spend_threshold: str
    high_activity_threshold: str


TheWindow = Annotated[Window, Depends(_window)]
Chosen = Annotated[dict[str, str], Depends(_chosen)]
DatabaseNow = Annotated[datetime, Depends(_database_now)]


@app.get("/campaigns", dependencies=SEE)
def campaigns(
    engine: Database, viewer: TheViewer, session: SessionDep, now: DatabaseNow, before: str | None = None
) -> HTMLResponse:
    """The list of campaigns."""
    older = _window(before) if before else None
    return HTMLResponse(
        campaign_list.campaign_list(engine, viewer, _lateness_settings(session), before=older, as_of=now)
    )


@app.get("/report", dependencies=SEE)
def report(engine: Database, viewer: TheViewer, window: TheWindow) -> HTMLResponse:
    """The report on a window's campaign."""
    return HTMLResponse(campaign_report.campaign_report(engine, viewer, window))


@app.get("/run", dependencies=SEE)
def report_of_run(engine: Database, viewer: TheViewer, session: SessionDep, dag_id: str, run_id: str) -> HTMLResponse:
    """The report on the campaign of a DAG run: the tab *Campaign report* of the run."""
    if dag_id != DAG_ID:
        raise RunError(f"Only the runs of {DAG_ID} have a campaign.")
    if not run_id.isprintable():  # Postgres keeps no NUL
        raise RunError("A run's id has no control characters.")
    run = session.scalar(sa.select(DagRun).where(DagRun.dag_id == DAG_ID, DagRun.run_id == run_id))
    if run is None:
        raise RunError(f"There is no such run of {DAG_ID}.")
    window = window_of(run, (run.conf or {}).get("window_start"), _now())
    return HTMLResponse(campaign_report.campaign_report(engine, viewer, window, in_run=True))


@app.get("/counts.csv", dependencies=SEE)
def counts(engine: Database, window: TheWindow) -> Response:
    """The CSV download of a campaign's counts."""
    name = f"campaign-{window.start:%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(csv_download.counts_csv(engine, window), media_type="text/csv", headers=headers)


@app.get("/what-if", dependencies=SEE)
def what_if_page(
    engine: Database, viewer: TheViewer, chosen: Chosen, session: SessionDep, window_start: str | None = None
) -> HTMLResponse:
    """The page that counts a campaign's buckets with other thresholds."""
    window = _window(window_start) if window_start else None
    variables = (
        {name: getattr(_variable(session, name), "val", None) for name in THRESHOLDS}
        if viewer.may_set_thresholds
        else {}
    )
    return HTMLResponse(what_if.what_if_page(engine, viewer, window, chosen, variables))


@app.get("/what-if-counts", dependencies=SEE)
def what_if_counts(engine: Database, window: TheWindow, chosen: Chosen) -> HTMLResponse:
    """The part of that page that changes with the thresholds."""
    return HTMLResponse(what_if.counts(engine, window, chosen))


@app.get("/customer", dependencies=SEE)
def one_customer(engine: Database, viewer: TheViewer, customer_id: str | None = None) -> HTMLResponse:
    """The page about one customer, or without an id only the field for one."""
    return HTMLResponse(customer_page.customer_page(engine, viewer, customer_id))


@app.post("/find-customer", dependencies=SEARCH)
def find_customer(wanted: Wanted, engine: Database) -> JSONResponse:
    """The address of a customer's page. What the user typed stays out of every log, as it may be a phone number."""
    found = customer_page.known_id(engine, wanted.customer_id)
    return JSONResponse({"detail": "", "go": f"customer?customer_id={found}"})


@app.post("/go-on", dependencies=[*TRIGGER, logged("go_on")])
def go_on(wanted: GoOn, session: SessionDep, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """Start a run of a window whose campaign does not go on by itself."""
    window = _window(wanted.window_start)
    late = lateness.is_late(window, _lateness_settings(session), now)
    # a run has the time of Airflow's own clock, or the scheduler would let it wait
    run_id = engage_web_runs.start_run(session, window, send_late=late, user=user.get_name(), now=_now())
    return JSONResponse({"detail": f"Started: {run_id}."})


@app.post("/thresholds", dependencies=[*SET_THRESHOLDS, logged("thresholds")])
def set_thresholds(wanted: Thresholds, session: SessionDep) -> JSONResponse:
    """Set the two Variables, for the next campaign."""
    values = wanted.model_dump()
    settings.validate(values, label=lambda name: f"The Airflow Variable {PREFIX}{name}")
    for name, value in values.items():
        known = _variable(session, name)
        Variable.set(PREFIX + name, value, description=known and known.description, session=session)
    new = ", ".join(f"{PREFIX}{name} is {value}" for name, value in values.items())
    return JSONResponse({"detail": f"Set: {new}. The next campaign takes them."})


def _lateness_settings(session: Session) -> settings.Settings:
    """The setting of the moment by which a window is late."""
    return settings.for_lateness(lambda key: getattr(_variable(session, key.removeprefix(PREFIX)), "val", None))


def _variable(session: Session, name: str) -> Variable | None:
    found: Variable | None = session.scalar(sa.select(Variable).where(Variable.key == PREFIX + name))
    return found


@app.post("/halt", dependencies=[*HALT, logged("halt")])
def halt(wanted: Halt, engine: Database, user: GetUserDep, now: DatabaseNow) -> JSONResponse:
    """Halt a campaign's sender."""
    why = parsing.note(wanted.why, "The reason")
    with engine.begin() as conn:
        campaign.halt(conn, _window(wanted.window_start), by=user.get_name(), why=why, as_of=now)
    return JSONResponse({"detail": "Halted. Queued messages wait."})


@app.post("/resume", dependencies=[*HALT, logged("resume")])
def resume(wanted: Resume, engine: Database, now: DatabaseNow) -> JSONResponse:
    """End the halt of a campaign."""
    with engine.begin() as conn:
        campaign.resume(conn, _window(wanted.window_start), as_of=now)
    return JSONResponse({"detail": "Resumed. Clear the task message to send the queued messages."})
