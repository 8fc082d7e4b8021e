"""``/healthz`` and ``/readyz``: whether the process is alive, and whether it can take requests."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from engage.errors import NotReady
from engage.service.context import Context
from engage.service.problem_details import documented, problem
from engage.service.strict_route import StrictRoute
from engage.storage import migrations
from engage.storage.database_clock import DatabaseClock

FRESH_SECONDS = 1.0
"""How long the database's answer holds, because every client may ask for it without a key."""


class Alive(BaseModel):
    """The process is alive."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """The service can take requests."""

    status: Literal["ready"] = "ready"


_READY: dict[int | str, dict[str, Any]] = {
    200: {"description": "It can."},
    **documented(503, _503="The database does not answer, or lacks the schema of this version."),
}


def routes(context: Context) -> APIRouter:
    """The routes of the health checks. They take no key."""
    router = APIRouter(route_class=StrictRoute, tags=["health"])
    readiness = _Readiness(context)

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", summary="Is the process alive?", responses={200: {"description": "It is."}})
    async def healthz() -> Alive:
        """Answers without asking the database."""
        return Alive()

    @router.head("/readyz", include_in_schema=False)
    @router.get("/readyz", summary="Can it take requests?", responses=_READY)
    async def readyz() -> Ready:
        """Checks that the database answers and has the schema that this version needs, at most once a second."""
        try:
            await readiness.require()
        except NotReady as exc:
            raise problem(503, str(exc), {"Retry-After": "5"}) from None
        return Ready()

    return router


class _Readiness:
    """The database's last answer. Requests at the same time share one question."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._answer: asyncio.Task[None] | None = None
        self._at = 0.0

    async def require(self) -> None:
        """Return if the database is ready.

        Raises:
            NotReady: the schema is not up to date.
            UnfitDatabase: a newer version has upgraded the schema, or a right is missing.
            SQLAlchemyError: the database does not answer.
        """
        answer = self._answer
        if answer is None or (answer.done() and monotonic() - self._at >= FRESH_SECONDS):
            self._answer = answer = asyncio.create_task(self._ask())
        await asyncio.shield(answer)

    async def _ask(self) -> None:
        try:
            await run_in_threadpool(self._check)
        finally:
            self._at = monotonic()

    def _check(self) -> None:
        migrations.require_current(self._context.engine)
        if isinstance(self._context.clock, DatabaseClock):
            self._context.clock.measure()
