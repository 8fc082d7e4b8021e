"""Who may use a route: API keys, their scopes, and how often each may call."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import OrderedDict
from time import monotonic
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from engage.service import api_keys
from engage.service.api_keys import ApiKey
from engage.service.context import Context
from engage.service.problem_details import problem

BELIEVED_FOR = 2.0
"""Seconds for which a key that was found is not looked up again, and so may outlive its revocation."""
_REMEMBERED = 10_000


class KeyRing:
    """The keys as the service sees them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._found: OrderedDict[bytes, tuple[float, ApiKey]] = OrderedDict()
        self._allowances: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def admit(self, request: Request, scope: str) -> ApiKey:
        """The key of a request that may go on.

        Raises:
            HTTPException: 401 without a key that is known, 403 without the scope, 429 too often.
        """
        key = await self._find(_presented(request))
        if key is None:
            raise problem(
                401,
                "This address takes an API key: 'Authorization: Bearer engage_…'. Keys are made by "
                "`python -m engage keys create`.",
                {"WWW-Authenticate": 'Basic realm="Engage"' if request.url.path == "/docs" else "Bearer"},
            )
        if scope not in key.scopes:
            raise problem(403, f"This key has not the scope {scope!r}; it has {', '.join(sorted(key.scopes))}.")
        wait = self._wait(key)
        if wait:
            raise problem(
                429,
                f"This key may send {key.requests_per_second} requests a second. Send larger batches, or slower.",
                {"Retry-After": str(int(wait) + 1)},
            )
        return key

    async def _find(self, text: str | None) -> ApiKey | None:
        if text is None or not api_keys.has_form(text):
            return None
        digest, now = hashlib.sha256(text.encode()).digest(), monotonic()
        at, key = self._found.get(digest, (0.0, None))
        if key is None or now - at > BELIEVED_FOR:
            key = await run_in_threadpool(self._look_up, text)
            self._found.pop(digest, None)
            if key is not None:
                _remember(self._found, digest, (now, key))
        return key

    def _look_up(self, text: str) -> ApiKey | None:
        with self._context.engine.begin() as conn:
            return api_keys.find(conn, text)

    def _wait(self, key: ApiKey) -> float:
        """Seconds until the key may call again; 0 takes one of what it may, which fills up to a second's worth."""
        rate, now = key.requests_per_second, monotonic()
        if not rate:
            return 0.0
        at, left = self._allowances.pop(key.key_id, (now, float(rate)))
        left = min(rate, left + (now - at) * rate)
        allowed = left >= 1
        _remember(self._allowances, key.key_id, (now, left - allowed))
        return 0.0 if allowed else (1 - left) / rate


def _remember(entries: OrderedDict[Any, Any], key: object, value: object) -> None:
    entries[key] = value
    if len(entries) > _REMEMBERED:
        entries.popitem(last=False)


def _presented(request: Request) -> str | None:
    """The key of a request: as a bearer token, or as the password that a browser asks for."""
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return text.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(text, validate=True).decode("ascii").partition(":")[2]
        except (binascii.Error, ValueError):
            return None
    return None
