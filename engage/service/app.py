"""The service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool

from engage.errors import NotReady
from engage.service import customer_routes, event_routes, problem_details, twilio_webhooks
from engage.service.access_log import Observe
from engage.service.authentication import KeyRing
from engage.service.batch_writer import Writer
from engage.service.context import Context
from engage.service.docs_page import CSP, docs_page
from engage.service.event_models import DocumentedBatch
from engage.service.problem_details import Problem, documented, problem
from engage.service.request_body import StrictRoute, route_for
from engage.storage import migrations

DESCRIPTION = (
    "Takes the events of the app, what customers want, and what the SMS provider reports. Times are UTC, amounts of "
    "one currency. Every request takes an API key, 'Authorization: Bearer engage_…', but for the health checks and "
    "the provider's own, which are signed. Errors are problem details (RFC 9457)."
)
_OPEN = ("/healthz", "/readyz", "/v1/providers/")


def create_app(context: Context) -> FastAPI:
    """The application of one service."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        app.state.writer = writer = Writer(context)
        yield
        await run_in_threadpool(writer.close)

    app = FastAPI(title="Engage", description=DESCRIPTION, version="1", lifespan=running,
                  docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)  # fmt: skip
    app.state.keys = KeyRing(context)
    problem_details.install(app)
    public = [event_routes.routes(context), *customer_routes.routes(context), twilio_webhooks.routes(context)]
    for router in [*public, _health(context), _about(app, context)]:
        app.include_router(router)
    app.add_middleware(Observe, context=context)
    return app


def _health(context: Context) -> APIRouter:
    router = APIRouter(route_class=StrictRoute, tags=["health"])

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        """Asks nobody else."""
        return {"status": "alive"}

    @router.get("/readyz", summary="Can it take requests?", responses=documented(503))
    def readyz() -> dict[str, str]:
        """Asks the database whether it answers and has the schema that this version needs."""
        try:
            migrations.require_current(context.engine)
        except NotReady as exc:
            raise problem(503, str(exc), {"Retry-After": "5"}) from None
        return {"status": "ready"}

    return router


def _about(app: FastAPI, context: Context) -> APIRouter:
    router = APIRouter(route_class=route_for("read"), tags=["about"])
    described: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not described:
            described.update(_openapi(app))
        return described

    @router.get("/metrics", summary="Figures for Prometheus", response_class=Response,
                responses={200: {"content": {"text/plain": {}}}, **documented(401, 403, 429, 503)})  # fmt: skip
    def metrics() -> Response:
        """Batches, events, rejects by reason, latencies, connections."""
        context.metrics.pool.set(context.engine.pool.checkedout())  # type: ignore[attr-defined]
        return Response(generate_latest(context.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/openapi.json", include_in_schema=False)
    def openapi_json() -> Response:
        return JSONResponse(openapi())

    @router.get("/docs", include_in_schema=False)
    def docs() -> Response:
        """A browser asks for a login: any name, and the key as the password."""
        return HTMLResponse(docs_page(openapi()), headers={"Content-Security-Policy": CSP})

    return router


def _openapi(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = found.setdefault("components", {})
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "engage_ID_SECRET"}}
    of_events = DocumentedBatch.model_json_schema(ref_template="#/components/schemas/{model}")["$defs"]
    components.setdefault("schemas", {}).update(of_events | {"Problem": _problem_schema()})
    components["schemas"].pop("HTTPValidationError", None)
    components["schemas"].pop("ValidationError", None)
    for path, methods in found["paths"].items():
        if not path.startswith(_OPEN):
            for operation in methods.values():
                operation["security"] = [{"key": []}]
    return found


def _problem_schema() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return schema
