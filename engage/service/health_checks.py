"""``/healthz`` and ``/readyz``: whether the process is alive, and whether it can take requests."""

from __future__ import annotations

from fastapi import APIRouter

from engage.errors import NotReady
from engage.service.context import Context
from engage.service.problem_details import documented, problem
from engage.service.strict_route import StrictRoute
from engage.storage import migrations


def routes(context: Context) -> APIRouter:
    """The routes of the health checks. They take no key."""
    router = APIRouter(route_class=StrictRoute, tags=["health"])

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        """Answers without asking the database."""
        return {"status": "alive"}

    @router.get("/readyz", summary="Can it take requests?", responses=documented(503))
    def readyz() -> dict[str, str]:
        """Checks that the database answers and has the schema that this version needs."""
        try:
            migrations.require_current(context.engine)
        except NotReady as exc:
            raise problem(503, str(exc), {"Retry-After": "5"}) from None
        return {"status": "ready"}

    return router
