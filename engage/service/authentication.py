"""Lets a request in by its API key: the key is known, has the scope, and is within its rate limit."""

from __future__ import annotations

import base64
import binascii
import hashlib
from time import monotonic

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from engage.service import api_keys
from engage.service.api_keys import ApiKey
from engage.service.context import Context
from engage.service.problem_details import problem
from engage.service.rate_limit import RateLimit
from engage.service.recent import Recent
from engage.statuses import ApiScope

CACHE_SECONDS = 2.0
"""A key that was found is not looked up again for this long, so it may outlive its revocation by as much."""


class Authenticator:
    """The API keys of one running service."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._found: Recent[bytes, tuple[float, ApiKey]] = Recent()
        self._rate_limit = RateLimit()

    async def admit(self, request: Request, scope: ApiScope) -> ApiKey:
        """The key of a request that may go on.

        Raises:
            HTTPException: 401 without a known key, 403 without the scope, 429 over the rate limit.
        """
        key = await self._find(_presented(request))
        if key is None:
            raise problem(
                401,
                "This address takes an API key: 'Authorization: Bearer engage_…'. Make one with "
                "`python -m engage keys create`.",
                {"WWW-Authenticate": 'Basic realm="Engage"' if request.url.path == "/docs" else "Bearer"},
            )
        if scope not in key.scopes:
            raise problem(403, f"This key does not have the scope '{scope}'; it has {', '.join(sorted(key.scopes))}.")
        wait = self._rate_limit.wait(key)
        if wait:
            raise problem(
                429,
                f"This key may send {key.requests_per_second} requests a second. Send larger batches, or send slower.",
                {"Retry-After": str(int(wait) + 1)},
            )
        return key

    async def _find(self, text: str | None) -> ApiKey | None:
        if text is None or not api_keys.has_form(text):
            return None
        digest, now = hashlib.sha256(text.encode()).digest(), monotonic()
        at, key = self._found.get(digest, (0.0, None))
        if key is None or now - at > CACHE_SECONDS:
            key = await run_in_threadpool(self._look_up, text)
            self._found.pop(digest, None)
            if key is not None:
                self._found[digest] = (now, key)
        return key

    def _look_up(self, text: str) -> ApiKey | None:
        with self._context.engine.begin() as conn:
            return api_keys.find(conn, text)


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
