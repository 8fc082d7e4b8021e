"""The error answers of Engage's pages: a page in a browser, JSON for a script."""

from __future__ import annotations

from http import HTTPStatus

from airflow.exceptions import AirflowNotFoundException
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response

from engage.errors import EngageError, InputError, NothingToHalt, UnfitDatabase
from engage.pages import error_page
from engage.storage.database_errors import DATABASE_ERRORS, SENTENCES, sqlstate, trouble

UNDEFINED = {"42P01", "42703"}
"""Postgres's codes for a table and for a column that does not exist."""


def install(app: FastAPI) -> None:
    """Answer every error of every route with one sentence."""
    app.add_exception_handler(EngageError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    for error in DATABASE_ERRORS:
        app.add_exception_handler(error, _database_error)
    app.add_exception_handler(AirflowNotFoundException, _no_connection)


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


def _answer(request: Request, status: HTTPStatus, sentence: str) -> Response:
    """A page with the sentence, or JSON for the script that sent a POST."""
    if request.method == "POST":
        return JSONResponse({"detail": sentence}, status)
    return HTMLResponse(error_page.error_page(status.phrase, sentence), status)
