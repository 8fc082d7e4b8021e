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

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await request_body.read(self)
        return self._body

    async def json(self) -> Any:
        return request_body.parse(await self.body())


class StrictRoute(APIRoute):
    """A route that admits only keys with ``scope``, or every request if it has none.

    It answers in time even if its thread waits for a database that hangs.
    """

    scope: ApiScope | None = None

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.scope is not None:
                request.state.key = await _in_time(request.app.state.authenticator.admit(request, self.scope))
            request = StrictRequest(request.scope, request.receive)
            if request.method not in ("GET", "HEAD"):
                await request.body()
            return await _in_time(handle(request))

        return strict


def route_for(scope: ApiScope) -> type[StrictRoute]:
    """The class of the routes that take a key with ``scope``."""
    return type(f"RouteFor{scope.capitalize()}", (StrictRoute,), {"scope": scope})


async def _in_time(answer: Coroutine[Any, Any, T]) -> T:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await answer
    except TimeoutError:
        raise problem(503, DATABASE_AWAY, {"Retry-After": RETRY_AFTER}) from None
