"""Errors as the service answers them: RFC 9457 problem details, each with a sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match

from engage.errors import EngageError, NoSuchCustomer, NotReady, SyntheticCustomer

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "1"
AWAY = "The database does not answer at the moment. Send the same again in a second; nothing is done twice."

NO_ANSWER = (OperationalError, InterfaceError, PoolTimeout)
"""How SQLAlchemy says that the database is away, busy or too slow."""


class RowProblem(BaseModel):
    """What is wrong with one part of a request."""

    index: int | None = Field(None, description="Which event of the batch, from 0.")
    field: str | None = Field(None, description="Which of its fields.")
    reason: str = Field(description="A short name to count by.", examples=["invalid_amount"])
    detail: str = Field(description="What is allowed.")


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(description="What was wrong and what to do.")
    errors: list[RowProblem] | None = Field(None, description="One for each wrong part.")


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: list[dict[str, Any]] | None = None
) -> HTTPException:
    """An error to raise."""
    return HTTPException(status, {"detail": detail, "errors": errors}, dict(headers or {}))


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its OpenAPI description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _title(status), "content": content} for status in statuses}


def _title(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase


def answer(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: list[dict[str, Any]] | None = None
) -> Response:
    """An error as a response."""
    body: dict[str, Any] = {"title": _title(status), "status": status, "detail": detail}
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, dict(headers or {}), MEDIA_TYPE)


def named(names: Iterable[int | str]) -> str | None:
    """The name of a field, unless a client has made up one that nobody wants to read in an answer or a log."""
    name = ".".join(map(str, names))
    return name if _NAME.fullmatch(name) else None


_NAME = re.compile(r"[\w.-]{1,80}", re.ASCII)
MAX_ERRORS = 100
"""Of more no one learns more. A batch has no more rows than may be wrong, and each of those is told of."""
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""RFC 9110's names, where Python had other ones before 3.13."""
_STATUSES: dict[type[Exception], int] = {NoSuchCustomer: 404, SyntheticCustomer: 409, NotReady: 409}


def install(app: FastAPI) -> None:
    """Let every error that a route can end with be answered so."""
    app.add_exception_handler(StarletteHTTPException, _raised)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(EngageError, _refused)
    for away in NO_ANSWER:
        app.add_exception_handler(away, _away)


def _raised(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, StarletteHTTPException)
    detail: Any = exc.detail
    if isinstance(detail, dict):
        return answer(exc.status_code, detail["detail"], exc.headers, detail["errors"])
    headers = {"Allow": _methods(request)} if exc.status_code == 405 else exc.headers
    return answer(exc.status_code, _sentence(exc), headers)


def _methods(request: Request) -> str:
    """What may be done at an address; each route by itself knows its own method only."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted(method for route in routes for method in route.methods))


def _sentence(exc: StarletteHTTPException) -> str:
    known = {404: "There is nothing at this address; /docs lists what there is.", 405: "Not with this method."}
    return known.get(exc.status_code, exc.detail)


def _invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    errors = [
        {"field": named(error["loc"][1:]), "reason": error["type"], "detail": error["msg"]}
        for error in exc.errors()[:MAX_ERRORS]
    ]
    return answer(422, "The request is not of the form that /docs describes.", errors=errors)


def _refused(request: Request, exc: Exception) -> Response:
    return answer(_STATUSES.get(type(exc), 500), str(exc), {"Retry-After": "60"} if isinstance(exc, NotReady) else None)


def _away(request: Request, exc: Exception) -> Response:
    return answer(503, AWAY, {"Retry-After": RETRY_AFTER})
