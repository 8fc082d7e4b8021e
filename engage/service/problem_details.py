"""The service's error answers: problem details (RFC 9457), each with a sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match

from engage.errors import EngageError, NoSuchCustomer, NotReady, SyntheticCustomer, UnfitDatabase
from engage.storage.database_errors import DATABASE_ERRORS, SENTENCES, Trouble, trouble

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "1"
"""Seconds."""
_AGAIN = "Send the same again later; nothing is done twice."
DATABASE_AWAY = f"{SENTENCES[Trouble.AWAY]} {_AGAIN}"
MAX_ERRORS = 100
"""The most errors that one answer lists for a malformed request. A batch lists each wrong event."""


class RowProblem(BaseModel):
    """What is wrong with one part of a request."""

    index: int | None = Field(None, description="Position of the event in the batch, from 0.", examples=[2])
    field: str | None = Field(None, description="Name of the wrong field.", examples=["amount"])
    reason: str = Field(description="Short name of the error, for counting.", examples=["invalid_amount"])
    detail: str = Field(description="What is allowed.", examples=["The largest amount is 10000000000.00."])


class Problem(BaseModel):
    """An error, as RFC 9457 defines it."""

    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(
        description="What was wrong, and what to do.", examples=["1 of 1 events are wrong; nothing was stored."]
    )
    errors: list[RowProblem] | None = Field(None, description="One entry for each wrong part.")


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: list[dict[str, Any]] | None = None
) -> HTTPException:
    """An exception that is answered with this error."""
    return HTTPException(status, {"detail": detail, "errors": errors}, dict(headers or {}))


def documented(*statuses: int, **meanings: str) -> dict[int | str, dict[str, Any]]:
    """A route's error answers, for its OpenAPI description. ``_404="…"`` is what one means here."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": meanings.get(f"_{status}") or _MEANINGS[status], "content": content}
        for status in statuses
    }


def title(status: int) -> str:
    """The name of a status."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def answer(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: list[dict[str, Any]] | None = None
) -> Response:
    """The response for an error."""
    body: dict[str, Any] = {"title": title(status), "status": status, "detail": detail}
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, dict(headers or {}), MEDIA_TYPE)


def named(names: Iterable[int | str]) -> str | None:
    """The dotted name of a field. None for a long or odd name, which only a client can have made up."""
    name = ".".join(map(str, names))
    return name if _NAME.fullmatch(name) else None


_NAME = re.compile(r"[\w.-]{1,80}", re.ASCII)
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""Names of RFC 9110 that Python took over in 3.13 only."""
_MEANINGS = {
    400: "The body is cut off, or is not JSON in UTF-8.",
    401: "The key is missing, unknown, revoked or expired.",
    403: "The key lacks the scope.",
    404: "There is no such customer.",
    408: "The body did not arrive in time.",
    409: "The id belongs to a synthetic customer.",
    413: "The body is too large. Send less at a time.",
    415: "The encoding of the body is not taken here. Send gzip, or none.",
    422: "A value is missing or wrong. The field `errors` lists each one.",
    429: "The key has sent too many requests, or the address too many wrong keys. Wait for `Retry-After` seconds.",
    503: "The database does not answer, or too much waits. Wait for `Retry-After` seconds, then send the same again: "
    "nothing is done twice.",
}
"""What an error means for the client, in most places."""
_STATUSES: dict[type[Exception], int] = {NoSuchCustomer: 404, SyntheticCustomer: 409, NotReady: 409, UnfitDatabase: 503}


def install(app: FastAPI) -> None:
    """Answer every error of every route with problem details."""
    app.add_exception_handler(StarletteHTTPException, _raised)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(EngageError, _refused)
    for error in DATABASE_ERRORS:
        app.add_exception_handler(error, _database_error)


def _raised(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, StarletteHTTPException)
    detail: Any = exc.detail
    if isinstance(detail, dict):
        return answer(exc.status_code, detail["detail"], exc.headers, detail["errors"])
    headers = {"Allow": _methods(request)} if exc.status_code == 405 else exc.headers
    return answer(exc.status_code, _sentence(exc), headers)


def _methods(request: Request) -> str:
    """The methods of an address. Each route knows only its own."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted(method for route in routes for method in route.methods))


def _sentence(exc: StarletteHTTPException) -> str:
    known = {
        404: "There is nothing at this address; /docs lists all addresses.",
        405: "This address does not take this method; the header Allow lists those it takes.",
    }
    return known.get(exc.status_code, exc.detail)


def _invalid(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    errors = [
        {"field": named(error["loc"][1:]), "reason": error["type"], "detail": error["msg"]}
        for error in exc.errors()[:MAX_ERRORS]
    ]
    return answer(422, "The request does not have the form that /docs describes.", errors=errors)


def _refused(request: Request, exc: Exception) -> Response:
    return answer(
        _STATUSES.get(type(exc), 500),
        str(exc),
        {"Retry-After": "60"} if isinstance(exc, NotReady | UnfitDatabase) else None,
    )


def _database_error(request: Request, exc: Exception) -> Response:
    found = trouble(exc)
    if found is None:
        raise exc
    return answer(503, f"{SENTENCES[found]} {_AGAIN}", {"Retry-After": _RETRY_AFTER.get(found, RETRY_AFTER)})


_RETRY_AFTER = {Trouble.DISK_FULL: "30", Trouble.READ_ONLY: "10", Trouble.NO_RIGHT: "60"}
"""Seconds, of troubles that last."""
