"""Rate limits, as token buckets: so many requests for each API key, so many wrong keys for each address."""

from __future__ import annotations

from time import monotonic

from engage.service.api_keys import ApiKey
from engage.service.recent import Recent

WRONG_KEYS = 20
"""Wrong keys that an address may present at once."""
WRONG_KEYS_PER_SECOND = 1.0
"""How fast an address gets further attempts."""


class _TokenBuckets:
    """One bucket for each name that was used lately. A new bucket is full."""

    def __init__(self) -> None:
        self._buckets: Recent[str, tuple[float, float]] = Recent()
        """Name to the time of its last use and the tokens left then."""

    def take(self, name: str, rate: float, size: float) -> float:
        """Take a token. Returns 0.0, or without a token the seconds until there is one."""
        now = monotonic()
        at, left = self._buckets.get(name, (now, size))
        left = min(size, left + (now - at) * rate)
        allowed = left >= 1
        self._buckets[name] = (now, left - allowed)
        return 0.0 if allowed else (1 - left) / rate

    def give_back(self, name: str) -> None:
        """Return a token that was taken."""
        at, left = self._buckets.get(name, (monotonic(), 0.0))
        self._buckets[name] = (at, left + 1)


class RateLimit:
    """The requests of each key: a bucket holds one second's worth."""

    def __init__(self) -> None:
        self._buckets = _TokenBuckets()

    def wait(self, key: ApiKey) -> float:
        """Count a request of the key. Returns 0.0, or the seconds until the key may send it."""
        rate = float(key.requests_per_second)
        return self._buckets.take(key.key_id, rate, rate) if rate else 0.0


class LoginLimit:
    """The wrong keys of each address, so that a client that guesses keys cannot keep the database busy."""

    def __init__(self) -> None:
        self._buckets = _TokenBuckets()

    def wait(self, address: str) -> float:
        """Count an attempt of the address. Returns 0.0, or the seconds until it has another one."""
        return self._buckets.take(address, WRONG_KEYS_PER_SECOND, WRONG_KEYS)

    def succeeded(self, address: str) -> None:
        """Give an attempt back, because the key was right."""
        self._buckets.give_back(address)
