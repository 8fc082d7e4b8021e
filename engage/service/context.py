"""What every part of the service needs: the database, the clock, and this installation's configuration."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import sqlalchemy as sa

from engage.currency import DEFAULT as DEFAULT_CURRENCY
from engage.currency import currency as installed_currency
from engage.errors import InputError
from engage.sending.providers import Account
from engage.service.client_address import TrustedProxies
from engage.service.metrics import Metrics
from engage.texts import phone


@dataclass(frozen=True)
class Context:
    """One running service's database, clock and configuration."""

    engine: sa.Engine
    clock: Callable[[], datetime]
    hash_key: bytes = field(repr=False)
    currency: str = DEFAULT_CURRENCY
    """The ISO 4217 code of every amount; two decimals."""
    public_url: str | None = None
    """This service's address on the internet, such as ``https://engage.example.com``; without it every receipt and
    inbound text is refused."""
    account: Account | None = None
    """The SMS account whose receipts and inbound texts are accepted; without one, all are refused."""
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)
    """The proxies in front of this service. Their clients are limited one by one."""
    metrics: Metrics = field(default_factory=Metrics)

    @classmethod
    def from_environment(cls, engine: sa.Engine, clock: Callable[[], datetime], hash_key: bytes | None) -> Context:
        """Configure a service from the environment variables ``ENGAGE_…``.

        ``hash_key`` takes the place of ``ENGAGE_HASH_KEY`` if it is given.

        Raises:
            InputError: a variable is missing or has a value that is not allowed.
        """
        return cls(
            engine=engine,
            clock=clock,
            hash_key=hash_key or phone.hash_key(os.environ.get("ENGAGE_HASH_KEY")),
            currency=installed_currency(),
            public_url=_public_url(os.environ.get("ENGAGE_PUBLIC_URL")),
            account=Account.from_url(url) if (url := os.environ.get("ENGAGE_SMS_URL")) else None,
            trusted_proxies=TrustedProxies.parse(os.environ.get("ENGAGE_TRUSTED_PROXIES") or ""),
        )


def _public_url(url: str | None) -> str | None:
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise InputError(f"ENGAGE_PUBLIC_URL is {url!r}; it takes an address such as https://engage.example.com.")
    return url.rstrip("/")
