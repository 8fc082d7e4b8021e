"""The service as an ASGI application: all routes, the access log, and the batch writer."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from engage.campaigns import status
from engage.service import (
    campaign_routes,
    customer_routes,
    event_routes,
    health_checks,
    openapi,
    problem_details,
    twilio_webhooks,
)
from engage.service.access_log import AccessLog
from engage.service.authentication import Authenticator
from engage.service.batch_writer import BatchWriter
from engage.service.context import Context
from engage.service.docs_page import CSP, docs_page
from engage.service.problem_details import documented
from engage.service.security_headers import SecurityHeaders
from engage.service.strict_route import route_for
from engage.statuses import ApiScope
from engage.storage.database_clock import DatabaseClock

log = logging.getLogger(__name__)


def create_app(context: Context) -> FastAPI:
    """The application of one service."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        app.state.writer = writer = BatchWriter(context)
        yield
        await run_in_threadpool(writer.close)

    app = FastAPI(title="Engage", description=openapi.DESCRIPTION, version="1", lifespan=running,
                  docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)  # fmt: skip
    app.state.authenticator = Authenticator(context)
    problem_details.install(app)
    public = [event_routes.routes(context), *customer_routes.routes(context)]
    public += [campaign_routes.routes(context), twilio_webhooks.routes(context)]
    for router in [*public, health_checks.routes(context), *_about(app, context)]:
        app.include_router(router)
    app.add_middleware(AccessLog, context=context)
    app.add_middleware(SecurityHeaders)
    return app


_METRICS: dict[str, Any] = {
    "description": "The metrics, in the text format of Prometheus.",
    "content": {"text/plain": {"example": 'engage_batches_total{outcome="stored"} 42.0'}},
}


def _about(app: FastAPI, context: Context) -> list[APIRouter]:
    router = APIRouter(route_class=route_for(ApiScope.READ), tags=["about"])
    monitoring = APIRouter(route_class=route_for(ApiScope.METRICS), tags=["about"])
    described: dict[str, Any] = {}

    def description() -> dict[str, Any]:
        if not described:
            described.update(openapi.describe(app))
        return described

    @monitoring.get("/metrics", summary="Metrics for Prometheus", response_class=Response,
                responses={200: _METRICS, **documented(401, 403, 429, 503)})  # fmt: skip
    def metrics() -> Response:
        """Batches, events, rejected events by reason, latencies, connections, campaigns by status."""
        if isinstance(context.clock, DatabaseClock):
            context.clock.measure()
            context.metrics.clock_off.set(context.clock.off)
        _count_campaigns(context)
        context.metrics.pool.set(context.engine.pool.checkedout())  # type: ignore[attr-defined]
        return Response(generate_latest(context.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/openapi.json", include_in_schema=False)
    def openapi_json() -> Response:
        return JSONResponse(description())

    @router.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        """Shows the description to a browser, which asks for a login: any name, with the key as the password."""
        address = context.public_url or str(request.base_url).rstrip("/")
        return HTMLResponse(docs_page(description(), address), headers={"Content-Security-Policy": CSP})

    return [router, monitoring]


def _count_campaigns(context: Context) -> None:
    """Count the campaigns by status. While the database does not answer, the metric has no value."""
    gauge = context.metrics.campaigns
    gauge.clear()
    try:
        with context.engine.begin() as conn:
            tally = status.tally(conn)
    except SQLAlchemyError as exc:
        log.warning("The campaigns cannot be counted for the metrics: %s", type(exc).__name__)
        return
    for key, campaigns in tally.items():
        gauge.labels(key).set(campaigns)
