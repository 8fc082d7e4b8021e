"""The access log: one line, one metric and one request id for every request."""

from __future__ import annotations

import re
import secrets
from time import perf_counter

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engage.service import problem_details
from engage.service.context import Context

log = structlog.get_logger("engage.service")

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_REFUSED = {401, 403, 429}
"""Answers to what may be abuse, so their lines name the client's address."""
_QUIET = {"/healthz", "/readyz", "/metrics"}
"""Routes that monitoring calls every few seconds. The log has them only if they fail."""


class AccessLog:
    """ASGI middleware around the whole service. It also answers an unexpected error with a 500."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._metrics, self._proxies = app, context.metrics, context.trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, status, started = _request_id(scope), 500, perf_counter()
        scope["client"] = (self._proxies.client_address(scope), 0)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id)]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except Exception:
            log.exception("failed", request_id=request_id.decode())
            await _failed(scope, receive, answer)
        finally:
            self._note(scope, status, request_id.decode(), perf_counter() - started)

    def _note(self, scope: Scope, status: int, request_id: str, seconds: float) -> None:
        """Log and count the route's pattern. The address may hold a customer's id, or anything a client made up."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if route != "none" else "any"
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.latency.labels(route).observe(seconds)
        if route in _QUIET and status < 400:
            return
        write = log.info if status < 500 else log.error
        key = scope.get("state", {}).get("key")
        refused = {"address": scope["client"][0]} if status in _REFUSED else {}
        write(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            key=key and key.key_id,
            request_id=request_id,
            **refused,
        )


_failed = problem_details.answer(
    500, "The service has failed, and nothing was stored. Its log has the details under the x-request-id."
)


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(8).encode()
