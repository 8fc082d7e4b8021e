"""The rate limit of each API key: a token bucket that holds one second's worth of requests."""

from __future__ import annotations

from time import monotonic

from engage.service.api_keys import ApiKey
from engage.service.recent import Recent


class RateLimit:
    """The token buckets of the keys that called lately."""

    def __init__(self) -> None:
        self._buckets: Recent[str, tuple[float, float]] = Recent()
        """Key id to the time of its last request and the tokens left then."""

    def wait(self, key: ApiKey) -> float:
        """Take a token of the key. Returns 0.0, or without a token the seconds until there is one."""
        rate, now = key.requests_per_second, monotonic()
        if not rate:
            return 0.0
        at, left = self._buckets.get(key.key_id, (now, float(rate)))
        left = min(rate, left + (now - at) * rate)
        allowed = left >= 1
        self._buckets[key.key_id] = (now, left - allowed)
        return 0.0 if allowed else (1 - left) / rate
