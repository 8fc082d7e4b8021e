"""Sees every request: a line in the log, the metrics, and an id that both sides can name it by."""

from __future__ import annotations

import logging
import re
import secrets
import sys
from time import perf_counter

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engage.service import problem_details
from engage.service.context import Context

log = structlog.get_logger("engage.service")

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_QUIET = {"/healthz", "/readyz", "/metrics"}
"""Asked for every few seconds; the log says so only if they fail."""


class Observe:
    """ASGI middleware around the whole service."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._metrics = app, context.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, status, started = _request_id(scope), 500, perf_counter()

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
        """The route's pattern and not the address: that is anything a client makes up, or a customer's id."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if route != "none" else "any"
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.latency.labels(route).observe(seconds)
        if route in _QUIET and status < 400:
            return
        say = log.info if status < 500 else log.error
        key = scope.get("state", {}).get("key")
        say(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            key=key and key.key_id,
            request_id=request_id,
        )


_failed = problem_details.answer(500, "A fault of ours. Nothing was stored. The log has it under the x-request-id.")


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ID.fullmatch(value):
            return bytes(value)
    return secrets.token_hex(8).encode()


def configure_logs() -> None:
    """Log lines for a person on a terminal, JSON for machines everywhere else, on standard error."""
    terminal = sys.stderr.isatty()
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal)
    shared: list[structlog.typing.Processor] = [structlog.processors.add_log_level, stamp]
    shown: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]  # others show variables
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *shown],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shown]
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
