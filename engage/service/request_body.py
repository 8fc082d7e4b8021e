"""Reads what a client sends: no more than allowed, no slower than allowed, and JSON without traps."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from engage.service.problem_details import AWAY, RETRY_AFTER, problem

MAX_BYTES = 1_000_000
"""Of a body, as it is sent and as it is once unpacked."""
SECONDS = 10.0
"""For a body to arrive."""
ANSWER_WITHIN = 15.0
"""Seconds until a client is told to try again. What it asked for may be done all the same."""
T = TypeVar("T")
_GZIP = zlib.MAX_WBITS | 16
# the connection ends with the answer: nobody reads the rest
_CLOSE = {"Connection": "close"}
TOO_LARGE = f"The body has more than {MAX_BYTES:,} bytes. Send smaller batches."


async def read(request: Request) -> bytes:
    """The body, unpacked.

    Raises:
        HTTPException: 408 too slow, 413 too large, 415 packed in a way that is not known, 400 cut off or corrupt.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise problem(415, f"The Content-Encoding {encoding[:20]!r} is not known; send gzip, or none.", _CLOSE)
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:12]) > MAX_BYTES:
        raise problem(413, TOO_LARGE, _CLOSE)
    try:
        async with asyncio.timeout(SECONDS):
            body = await _received(request)
    except TimeoutError:
        raise problem(408, f"The body did not arrive within {SECONDS:g} seconds.", _CLOSE) from None
    except ClientDisconnect:
        raise problem(400, "The connection ended before the body did.", _CLOSE) from None
    return _unpacked(body) if encoding == "gzip" else body


async def _received(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BYTES:
            raise problem(413, TOO_LARGE, _CLOSE)
        chunks.append(chunk)
    return b"".join(chunks)


def _unpacked(body: bytes) -> bytes:
    unpack = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpack.decompress(body, MAX_BYTES + 1)
    except zlib.error:
        raise problem(400, "The body is not gzip, though Content-Encoding says so.") from None
    if len(unpacked) > MAX_BYTES:
        raise problem(413, TOO_LARGE)
    if not unpack.eof or unpack.unused_data:
        raise problem(400, "The body is not one whole piece of gzip.")
    return unpacked


def parse(body: bytes) -> Any:
    """The JSON of a body.

    Raises:
        HTTPException: 400 if it is not JSON, says a name twice, or has numbers or depths that nobody means.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once_each, parse_constant=_no_constant)
    except RecursionError:
        raise problem(400, "The JSON is nested too deeply.") from None
    except UnicodeDecodeError:
        raise problem(400, "The body is not UTF-8.") from None
    except ValueError as exc:
        raise problem(400, f"The body is not valid JSON: {_reason(exc)}.") from None


def _reason(exc: ValueError) -> str:
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg} at character {exc.pos}"
    return str(exc) if str(exc).startswith(_OURS) else "it has a number with too many digits"


_OURS = ("the name", "there is no")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("the name of a field stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"there is no {name} in JSON")


class StrictRequest(Request):
    """A request whose body is read by ``read`` and whose JSON is read by ``parse``, whoever asks for it."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await read(self)
        return self._body

    async def json(self) -> Any:
        return parse(await self.body())


class StrictRoute(APIRoute):
    """A route that lets nobody in, and reads no body, before ``StrictRoute.scope`` has been asked for.

    It answers in time, also if a thread of it waits for a database that is never going to say anything.
    """

    scope: str | None = None

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.scope is not None:
                request.state.key = await _in_time(request.app.state.keys.admit(request, self.scope))
            request = StrictRequest(request.scope, request.receive)
            if request.method not in ("GET", "HEAD"):
                await request.body()
            return await _in_time(handle(request))

        return strict


async def _in_time(answer: Coroutine[Any, Any, T]) -> T:
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            return await answer
    except TimeoutError:
        raise problem(503, AWAY, {"Retry-After": RETRY_AFTER}) from None


def route_for(scope: str) -> type[StrictRoute]:
    """The class of the routes that take a key with ``scope``."""
    return type(f"RouteFor{scope.capitalize()}", (StrictRoute,), {"scope": scope})
