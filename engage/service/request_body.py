"""Reads a request's body with limits on its size and its time, and its JSON without surprises."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from engage.service.problem_details import problem

MAX_BYTES = 1_000_000
"""Size limit of a batch of events, both as it is sent and once it is unpacked."""
SMALL_BYTES = 32_768
"""Size limit of every other body."""
MAX_FIELDS = 1_000
"""Fields of one JSON object. Each unknown field costs an error, so their number is bounded first."""
BODY_SECONDS = 10.0
"""How long a body may take to arrive."""
_GZIP = zlib.MAX_WBITS | 16
_CLOSE = {"Connection": "close"}
"""Ends the connection with the answer, because the rest of the body stays unread."""


async def read(request: Request, max_bytes: int, *, unpacks: bool) -> bytes:
    """The body, unpacked if it is gzip and the route ``unpacks``.

    Raises:
        HTTPException: 408 too slow, 413 too large, 415 unknown encoding, 400 cut off or corrupt.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in (("identity", "gzip") if unpacks else ("identity",)):
        allowed = "gzip, or no encoding" if unpacks else "no encoding"
        raise problem(415, f"The Content-Encoding {encoding[:20]!r} is not taken here; send {allowed}.", _CLOSE)
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:12]) > max_bytes:
        raise _too_large(max_bytes, _CLOSE)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _received(request, max_bytes)
    except TimeoutError:
        raise problem(408, f"The body did not arrive within {BODY_SECONDS:g} seconds.", _CLOSE) from None
    except ClientDisconnect:
        raise problem(400, "The connection ended before the body was complete.", _CLOSE) from None
    return _unpacked(body, max_bytes) if encoding == "gzip" else body


def _too_large(max_bytes: int, headers: dict[str, str] | None = None) -> HTTPException:
    return problem(413, f"The body has more than {max_bytes:,} bytes. Send less at a time.", headers)


async def _received(request: Request, max_bytes: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes, _CLOSE)
        chunks.append(chunk)
    return b"".join(chunks)


def _unpacked(body: bytes, max_bytes: int) -> bytes:
    unpack = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpack.decompress(body, max_bytes + 1)
    except zlib.error:
        raise problem(400, "The body is not gzip, though Content-Encoding says so.") from None
    if len(unpacked) > max_bytes:
        raise _too_large(max_bytes)
    if not unpack.eof or unpack.unused_data:
        raise problem(400, "The body is not exactly one complete gzip stream.")
    return unpacked


def parse(body: bytes) -> Any:
    """The JSON of a body.

    Raises:
        HTTPException: 400 if it is not UTF-8 or JSON, repeats a field's name, nests too deeply, or has huge
            numbers or objects.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_once_each, parse_constant=_no_constant)
    except RecursionError:
        raise problem(400, "The JSON is nested too deeply.") from None
    except UnicodeDecodeError:
        raise problem(400, "The body is not UTF-8.") from None
    except ValueError as exc:
        raise problem(400, f"The body is not valid JSON: {_reason(exc)}.") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_FIELDS:
        raise ValueError(_TOO_WIDE)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(_TWICE)
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{_NOT_JSON} {name}")


_TWICE, _NOT_JSON = "one object has two fields of the same name", "JSON has no"
_TOO_WIDE = f"one object has more than {MAX_FIELDS} fields"


def _reason(exc: ValueError) -> str:
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg} at character {exc.pos}"
    return str(exc) if str(exc).startswith((_TWICE, _NOT_JSON, _TOO_WIDE)) else "it has a number with too many digits"
