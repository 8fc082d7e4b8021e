"""Lets a request in by its API key: the key is known, has the scope, and is within its rate limit."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from math import ceil
from time import monotonic

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from engage.service import api_keys
from engage.service.api_keys import ApiKey
from engage.service.context import Context
from engage.service.problem_details import problem
from engage.service.rate_limit import LoginLimit, RateLimit
from engage.service.recent import Recent
from engage.statuses import ApiScope

CACHE_SECONDS = 2.0
"""A key that was found is not looked up again for this long, so it may outlive its revocation by as much."""


class Authenticator:
    """The API keys of one running service."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._found: Recent[bytes, tuple[float, ApiKey]] = Recent()
        self._asking: dict[bytes, asyncio.Task[ApiKey | None]] = {}
        self._rate_limit, self._login_limit = RateLimit(), LoginLimit()

    async def admit(self, request: Request, scope: ApiScope) -> ApiKey:
        """The key of a request that may go on.

        Raises:
            HTTPException: 401 without a known key, 403 without the scope, 429 over a rate limit.
        """
        key = await self._find(_presented(request), request.client.host if request.client else "")
        if key is None:
            raise problem(
                401,
                "This address takes an API key: 'Authorization: Bearer engage_…'. Make one with `engage keys create`.",
                {"WWW-Authenticate": 'Basic realm="Engage"' if request.url.path == "/docs" else "Bearer"},
            )
        request.state.key = key  # the access log names it, also if the request is refused
        if scope not in key.scopes:
            raise problem(403, f"This key does not have the scope '{scope}'; it has {', '.join(sorted(key.scopes))}.")
        wait = self._rate_limit.wait(key)
        if wait:
            raise problem(
                429,
                f"This key may send {key.requests_per_second} requests a second. Send larger batches, or send slower.",
                {"Retry-After": str(ceil(wait))},
            )
        return key

    async def _find(self, text: str | None, address: str) -> ApiKey | None:
        """The key with this text. A key that was right before is looked up again whatever else its address sends."""
        if text is None or not api_keys.has_form(text):
            return None
        digest, now = hashlib.sha256(text.encode()).digest(), monotonic()
        at, key = self._found.get(digest, (0.0, None))
        if key is not None and now - at <= CACHE_SECONDS:
            return key
        asking = self._asking.get(digest)
        if asking is None:
            if key is None and (wait := self._login_limit.wait(address)):
                raise problem(
                    429,
                    "This address has sent too many wrong keys. Wait, then check the key: `engage keys list` shows "
                    "which ones are in force.",
                    {"Retry-After": str(ceil(wait))},
                )
            asking = asyncio.create_task(self._ask(text, digest, address, new=key is None))
            self._asking[digest] = asking
            asking.add_done_callback(lambda _: self._asking.pop(digest, None))
        return await asyncio.shield(asking)

    async def _ask(self, text: str, digest: bytes, address: str, *, new: bool) -> ApiKey | None:
        """Look a key up. Requests at the same time with one key share the answer; only a wrong key costs an attempt."""
        wrong, asked_at = False, monotonic()
        try:
            key = await run_in_threadpool(self._look_up, text)
            self._found.pop(digest, None)
            wrong = key is None
            if key is not None:
                self._found[digest] = (asked_at, key)
            return key
        finally:
            if new and not wrong:
                self._login_limit.succeeded(address)

    def _look_up(self, text: str) -> ApiKey | None:
        with self._context.engine.begin() as conn:
            return api_keys.find(conn, text, as_of=self._context.clock())


def _presented(request: Request) -> str | None:
    """The key of a request: a bearer token, or the password of a browser's login."""
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return text.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(text, validate=True).decode("ascii").partition(":")[2]
        except (binascii.Error, ValueError):
            return None
    return None
