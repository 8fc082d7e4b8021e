"""The error answers of Engage's pages: a page in a browser, JSON for a script."""

from __future__ import annotations

from http import HTTPStatus

import engage_web_headers
from airflow.exceptions import AirflowNotFoundException
from engage_links import airflow_path
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from engage.errors import EngageError, InputError, NothingToHalt, UnfitDatabase
from engage.pages import error_page
from engage.storage.database_errors import DATABASE_ERRORS, SENTENCES, sqlstate, trouble

UNDEFINED = {"42P01", "42703"}
"""Postgres's codes for a table and for a column that does not exist."""
TITLES = {
    HTTPStatus.BAD_REQUEST: "That address is not right",
    HTTPStatus.UNAUTHORIZED: "You are not logged in",
    HTTPStatus.FORBIDDEN: "You may not see this",
    HTTPStatus.NOT_FOUND: "That cannot be found",
    HTTPStatus.UNPROCESSABLE_ENTITY: "That address is not right",
    HTTPStatus.SERVICE_UNAVAILABLE: "Engage's database does not answer as it should",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong in Engage",
}
"""The headings of error pages; others have the status's own words."""
NOT_AUTHENTICATED = "Not authenticated"
"""Airflow's words for a request without a login."""


def install(app: FastAPI) -> None:
    """Answer every error of every route with one sentence."""
    app.add_exception_handler(EngageError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    for error in DATABASE_ERRORS:
        app.add_exception_handler(error, _database_error)
    app.add_exception_handler(AirflowNotFoundException, _no_connection)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


def _refused(request: Request, exc: Exception) -> Response:
    statuses: dict[type[EngageError], HTTPStatus] = {
        UnfitDatabase: HTTPStatus.SERVICE_UNAVAILABLE,
        NothingToHalt: HTTPStatus.CONFLICT,
        InputError: HTTPStatus.BAD_REQUEST,
    }
    found = (status for error, status in statuses.items() if isinstance(exc, error))
    return _answer(request, next(found, HTTPStatus.NOT_FOUND), str(exc))


def _invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    wrong = "; ".join(f"{'.'.join(map(str, error['loc'][1:]))}: {error['msg']}" for error in exc.errors())
    return _answer(request, HTTPStatus.UNPROCESSABLE_ENTITY, f"The request has a value that is not allowed. {wrong}.")


def _database_error(request: Request, exc: Exception) -> Response:
    if found := trouble(exc):
        return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, f"{SENTENCES[found]} {error_page.NOTHING_CHANGED}")
    if sqlstate(exc) in UNDEFINED:
        return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, error_page.NO_SCHEMA)
    raise exc


def _no_connection(request: Request, exc: Exception) -> Response:
    return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, error_page.NO_CONNECTION)


def _http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    status = HTTPStatus(exc.status_code)
    plain = exc.detail in (status.phrase, NOT_AUTHENTICATED)
    answer = _answer(request, status, error_page.SENTENCES.get(status, status.phrase) if plain else str(exc.detail))
    answer.headers.update(exc.headers or {})
    return answer


def _unexpected(request: Request, exc: Exception) -> Response:
    """Answer outside of the middleware that adds the headers. The server logs the exception."""
    return engage_web_headers.secured(_answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, error_page.UNEXPECTED))


def _answer(request: Request, status: HTTPStatus, sentence: str) -> Response:
    """A page with the sentence, or JSON for the script that sent a POST."""
    if request.method != "GET":
        return JSONResponse({"detail": sentence}, status)
    path = request.url.path.removeprefix(request.scope.get("root_path", "")).removeprefix("/")
    page = error_page.error_page(
        TITLES.get(status, status.phrase),
        sentence,
        log_in=f"{airflow_path()}/" if status is HTTPStatus.UNAUTHORIZED else None,
        root="../" * path.count("/"),
        in_run=path == "run",
    )
    return HTMLResponse(page, status)
