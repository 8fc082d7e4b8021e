"""What every part of the service needs: the database, the clock, and how this installation is set up."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import sqlalchemy as sa

from engage.errors import InputError
from engage.sending.providers import Account
from engage.service.metrics import Metrics
from engage.storage import connection
from engage.texts import phone

CURRENCY = "USD"
CONNECTIONS = 10
PATIENCE = 10.0
"""Seconds that a statement may take, so that a request is answered in any case."""


@dataclass(frozen=True)
class Context:
    """One running service."""

    engine: sa.Engine
    clock: Callable[[], datetime]
    hash_key: bytes = field(repr=False)
    currency: str = CURRENCY
    """The ISO 4217 code of every amount; two decimals."""
    public_url: str | None = None
    """How the world reaches this service, such as ``https://engage.example.com``; None is as the request says."""
    account: Account | None = None
    """Whose receipts and texts are believed; without one, nobody's are."""
    metrics: Metrics = field(default_factory=Metrics)

    @classmethod
    def from_environment(cls, engine: sa.Engine, clock: Callable[[], datetime], hash_key: bytes | None) -> Context:
        """As the environment variables ``ENGAGE_…`` say; ``hash_key`` where the installation has one of its own.

        Raises:
            InputError: one is missing or not allowed.
        """
        return cls(
            engine=engine,
            clock=clock,
            hash_key=hash_key or phone.hash_key(os.environ.get("ENGAGE_HASH_KEY")),
            currency=_currency(os.environ.get("ENGAGE_CURRENCY") or CURRENCY),
            public_url=_public_url(os.environ.get("ENGAGE_PUBLIC_URL")),
            account=Account.from_url(url) if (url := os.environ.get("ENGAGE_SMS_URL")) else None,
        )


def pooled(engine: sa.Engine) -> sa.Engine:
    """Another engine for the same database that never has more than ``CONNECTIONS``, and never waits for long."""
    url = engine.url.update_query_dict({**_GIVING_UP, **engine.url.query})
    return connection.connect(
        url, patience=PATIENCE, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=2.0, pool_recycle=3600
    )


_GIVING_UP = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "20000",
}
"""libpq's, for a server that the network no longer reaches; seconds, but for the last, which are milliseconds."""


def _currency(code: str) -> str:
    if len(code) != 3 or not code.isascii() or not code.isupper() or not code.isalpha():
        raise InputError(f"ENGAGE_CURRENCY is {code!r}; it takes an ISO 4217 code such as USD.")
    return code


def _public_url(url: str | None) -> str | None:
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise InputError(f"ENGAGE_PUBLIC_URL is {url!r}; it takes an address such as https://engage.example.com.")
    return url.rstrip("/")
