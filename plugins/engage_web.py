"""Engage's pages inside Airflow's frame: their addresses, who may see them, and who may act.

What they say comes from ``engage.pages``. Only the api-server imports this, when it asks the plugin for its web app.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails, VariableDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from airflow.api_fastapi.logging.decorators import action_logging
from airflow.exceptions import AirflowNotFoundException
from airflow.models.dagrun import DagRun
from airflow.models.variable import Variable
from airflow.providers.postgres.hooks.postgres import PostgresHook
from engage_links import airflow_path, airflow_url
from engage_steps import CONNECTION, window_of
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from engage import settings
from engage.airflow_names import DAG_ID
from engage.campaigns import campaign
from engage.errors import EngageError, InputError, RunError
from engage.pages import campaign_report as pages
from engage.pages import customer_page, error_page, render
from engage.pages import what_if as what_if_page
from engage.pages.viewer import Viewer
from engage.reports.what_if import THRESHOLDS
from engage.service.problem_details import NO_ANSWER
from engage.settings import PREFIX
from engage.storage import connection
from engage.window import Window

PATIENCE = 10.0
"""Seconds that a page may keep the database busy."""

app = FastAPI(title="Engage", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(get_user)])
may_see = [Depends(requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID))]
may_brake = [*may_see, Depends(requires_access_dag("PUT", DagAccessEntity.RUN, DAG_ID))]


@lru_cache(maxsize=1)
def _engine_for(url: sa.URL) -> sa.Engine:
    return connection.connect(url, patience=PATIENCE, pool_size=4, max_overflow=0, pool_timeout=PATIENCE / 2)


def _engine() -> sa.Engine:
    return _engine_for(PostgresHook(CONNECTION).sqlalchemy_url)


def _now() -> datetime:
    return datetime.now(UTC)


def _window(window_start: str) -> Window:
    return Window.named(window_start, _now())


def _viewer(user: GetUserDep) -> Viewer:
    return Viewer(airflow=airflow_path(), may_brake=_may_brake(user), may_set=_may_set(user))


def _may_brake(user: BaseUser) -> bool:
    allowed: bool = get_auth_manager().is_authorized_dag(
        method="PUT", access_entity=DagAccessEntity.RUN, details=DagDetails(id=DAG_ID), user=user
    )
    return allowed


def _may_set(user: BaseUser) -> bool:
    ask = get_auth_manager().is_authorized_variable
    return all(ask(method="PUT", details=VariableDetails(key=PREFIX + name), user=user) for name in THRESHOLDS)


def _requires_set(user: GetUserDep) -> None:
    if not _may_set(user):
        raise HTTPException(HTTPStatus.FORBIDDEN, "You may not edit these Variables.")


def _from_here(request: Request) -> None:
    """Refuse what another site has had a browser send along with its user's login.

    A browser says where a request comes from, and lets no foreign page send JSON.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = {_origin(airflow_url()), _origin(str(request.base_url))}
    if site not in {None, "same-origin"} or (site is None and origin not in own):
        raise HTTPException(HTTPStatus.FORBIDDEN, "This was not sent by one of Engage's own pages.")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(HTTPStatus.FORBIDDEN, "This takes JSON.")


def _origin(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))


def _chosen(low: str | None = None, high: str | None = None) -> dict[str, str]:
    both = zip(THRESHOLDS, (low, high), strict=True)
    return {name: value for name, value in both if value is not None}


def _logged(what: str) -> Any:
    """Leave an entry in Airflow's audit log."""
    return Depends(action_logging(f"engage.{what}"))


class Halt(BaseModel):
    """Which campaign to stop, and why."""

    window_start: str
    why: str = Field(max_length=500, pattern=r"\S")


class Resume(BaseModel):
    """Which campaign may go on."""

    window_start: str


class Thresholds(BaseModel):
    """Both thresholds, as a person types them."""

    low_spend_threshold: str
    high_activity_threshold: str


Database = Annotated[sa.Engine, Depends(_engine)]
TheViewer = Annotated[Viewer, Depends(_viewer)]
TheWindow = Annotated[Window, Depends(_window)]
Chosen = Annotated[dict[str, str], Depends(_chosen)]


@app.get("/campaigns", dependencies=may_see)
def campaign_list(engine: Database, viewer: TheViewer, before: str | None = None) -> HTMLResponse:
    """All campaigns."""
    return HTMLResponse(pages.campaign_list(engine, viewer, _window(before) if before else None))


@app.get("/report", dependencies=may_see)
def campaign_report(engine: Database, viewer: TheViewer, window: TheWindow) -> HTMLResponse:
    """One campaign, by its window."""
    return HTMLResponse(pages.campaign_report(engine, viewer, window))


@app.get("/run", dependencies=may_see)
def report_of_run(engine: Database, viewer: TheViewer, session: SessionDep, dag_id: str, run_id: str) -> HTMLResponse:
    """The campaign that a DAG run is about: the tab on the run."""
    if dag_id != DAG_ID:
        raise RunError(f"Only the runs of {DAG_ID} are about a campaign.")
    run = session.scalar(sa.select(DagRun).where(DagRun.dag_id == DAG_ID, DagRun.run_id == run_id))
    if run is None:
        raise RunError("There is no such run.")
    window = window_of(run, (run.conf or {}).get("window_start"), _now())
    return HTMLResponse(pages.campaign_report(engine, viewer, window))


@app.get("/counts.csv", dependencies=may_see)
def counts(engine: Database, window: TheWindow) -> Response:
    """One campaign's counts, to download."""
    name = f"campaign-{window.start:%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(pages.counts_csv(engine, window), media_type="text/csv", headers=headers)


@app.get("/what-if", dependencies=may_see)
def what_if(
    engine: Database, viewer: TheViewer, chosen: Chosen, session: SessionDep, window_start: str | None = None
) -> HTMLResponse:
    """Other thresholds over a computed window."""
    window = _window(window_start) if window_start else None
    variables = {name: getattr(_variable(session, name), "val", None) for name in THRESHOLDS} if viewer.may_set else {}
    return HTMLResponse(what_if_page.page(engine, viewer, window, chosen, variables))


@app.get("/what-if-counts", dependencies=may_see)
def what_if_counts(engine: Database, window: TheWindow, chosen: Chosen) -> HTMLResponse:
    """The part of that page that the thresholds change."""
    return HTMLResponse(what_if_page.counts(engine, window, chosen))


@app.get("/customer", dependencies=may_see)
def one_customer(engine: Database, customer_id: str | None = None) -> HTMLResponse:
    """One customer, by id; without one, only the field to enter it in."""
    return HTMLResponse(customer_page.page(engine, customer_id))


@app.post("/thresholds", dependencies=[Depends(_from_here), *may_see, Depends(_requires_set), _logged("thresholds")])
def set_thresholds(wanted: Thresholds, session: SessionDep) -> JSONResponse:
    """Make thresholds those of the next campaign: set the two Variables."""
    values = wanted.model_dump()
    settings.validate(values, label=lambda name: f"The Airflow Variable {PREFIX}{name}")
    for name, value in values.items():
        known = _variable(session, name)
        Variable.set(PREFIX + name, value, description=known and known.description, session=session)
    said = ", ".join(f"{PREFIX}{name} is {value}" for name, value in values.items())
    return JSONResponse({"detail": f"Set: {said}. The next campaign takes them."})


def _variable(session: Session, name: str) -> Variable | None:
    found: Variable | None = session.scalar(sa.select(Variable).where(Variable.key == PREFIX + name))
    return found


@app.post("/halt", dependencies=[Depends(_from_here), *may_brake, _logged("halt")])
def halt(wanted: Halt, engine: Database, user: GetUserDep) -> JSONResponse:
    """Pull a campaign's brake."""
    with engine.begin() as conn:
        campaign.halt(conn, _window(wanted.window_start), by=user.get_name(), why=wanted.why.strip(), as_of=_now())
    return JSONResponse({"detail": "Halted. What is queued waits."})


@app.post("/resume", dependencies=[Depends(_from_here), *may_brake, _logged("resume")])
def resume(wanted: Resume, engine: Database) -> JSONResponse:
    """Release it."""
    with engine.begin() as conn:
        campaign.resume(conn, _window(wanted.window_start), as_of=_now())
    return JSONResponse({"detail": "Released. Clear the task message, and it sends what is queued."})


@app.get("/static/{name}", dependencies=may_see)
def static(name: str) -> Response:
    """What the pages look like, and what they do in a browser."""
    if name not in render.STATIC:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(render.static(name), media_type=render.STATIC[name])


@app.middleware("http")
async def _guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Say of every answer what a browser may do with it."""
    answer = await call_next(request)
    answer.headers["Content-Security-Policy"] = render.CSP
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "same-origin"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _says(status: HTTPStatus, sentence: str) -> Callable[[Request, Exception], Response]:
    return lambda request, exc: _problem(request, status, sentence)


def _problem(request: Request, status: HTTPStatus, sentence: str) -> Response:
    """A page that says what is wrong; to a script that has sent something, the same as JSON."""
    if request.method == "POST":
        return JSONResponse({"detail": sentence}, status)
    return HTMLResponse(error_page.problem_page(status.phrase, sentence), status)


@app.exception_handler(EngageError)
def _refused(request: Request, exc: EngageError) -> Response:
    return _problem(request, HTTPStatus.BAD_REQUEST if isinstance(exc, InputError) else HTTPStatus.NOT_FOUND, str(exc))


@app.exception_handler(RequestValidationError)
def _invalid(request: Request, exc: RequestValidationError) -> Response:
    wrong = "; ".join(f"{'.'.join(map(str, error['loc'][1:]))}: {error['msg']}" for error in exc.errors())
    return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, f"That cannot be right. {wrong}.")


@app.exception_handler(sa.exc.ProgrammingError)
def _wrong(request: Request, exc: sa.exc.ProgrammingError) -> Response:
    if getattr(exc.orig, "sqlstate", None) not in {"42P01", "42703"}:  # no such table, no such column
        raise exc
    return _problem(request, HTTPStatus.SERVICE_UNAVAILABLE, error_page.NO_SCHEMA)


for _away in NO_ANSWER:
    app.add_exception_handler(_away, _says(HTTPStatus.SERVICE_UNAVAILABLE, error_page.AWAY))
app.add_exception_handler(AirflowNotFoundException, _says(HTTPStatus.SERVICE_UNAVAILABLE, error_page.NO_CONNECTION))
