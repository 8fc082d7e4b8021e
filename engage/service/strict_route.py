"""Routes that check the API key before they read the body, and that always answer in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

from engage.service import request_body
from engage.service.problem_details import DATABASE_AWAY, RETRY_AFTER, problem
from engage.statuses import ApiScope

ANSWER_SECONDS = 15.0
"""After this long the client gets a 503. What it asked for may still be done."""
T = TypeVar("T")


class StrictRequest(Request):
    """A request whose body and JSON are read by ``request_body``, with its limits."""

    max_bytes = request_body.SMALL_BYTES
    unpacks = True

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await request_body.read(self, self.max_bytes, unpacks=self.unpacks)
        return self._body

    async def json(self) -> Any:
        return request_body.parse(await self.body())


class StrictRoute(APIRoute):
    """A route that admits only keys with ``scope``, or every request if it has none.

    It answers in time even if its thread waits for a database that hangs.
    """

    scope: ApiScope | None = None
    max_bytes = request_body.SMALL_BYTES
    unpacks = True
    """Whether a body may be gzip."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            await self.admit(request)
            request = StrictRequest(request.scope, request.receive)
            request.max_bytes, request.unpacks = self.max_bytes, self.unpacks
            if request.method not in ("GET", "HEAD"):
                await request.body()
            return await _in_time(handle(request))

        return strict

    async def admit(self, request: Request) -> None:
        """Refuse a request that may not come in. Its body is unread so far."""
        if self.scope is not None:
            await _in_time(request.app.state.authenticator.admit(request, self.scope))


def route_for(scope: ApiScope, *, max_bytes: int = request_body.SMALL_BYTES) -> type[StrictRoute]:
    """The class of the routes that take a key with ``scope`` and bodies of ``max_bytes``."""
    return type(f"RouteFor{scope.capitalize()}", (StrictRoute,), {"scope": scope, "max_bytes": max_bytes})


async def _in_time(answer: Coroutine[Any, Any, T]) -> T:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer
    except TimeoutError:
        raise problem(503, DATABASE_AWAY, {"Retry-After": RETRY_AFTER}) from None
