"""The headers of every answer of Engage's pages: what a browser may do with it, and how long it may keep it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.responses import Response

from engage.pages import render


def install(app: FastAPI) -> None:
    """Add the headers to every answer of the app."""
    app.middleware("http")(_add)


def secured(answer: Response) -> Response:
    """The answer with the headers. Only a file whose address changes with its content may be kept."""
    answer.headers["Content-Security-Policy"] = render.CSP
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "same-origin"
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


async def _add(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    return secured(await call_next(request))
