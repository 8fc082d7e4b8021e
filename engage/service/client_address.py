"""The address of a request's client, also behind a proxy that the operator trusts."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engage.errors import InputError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_IPV6_PREFIX = 64
"""Bits of an IPv6 address that name one client. The client chooses the others at will."""


@dataclass(frozen=True)
class TrustedProxies:
    """The proxies whose header ``X-Forwarded-For`` counts. Without any, the header is ignored."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> TrustedProxies:
        """Read addresses and networks with commas between them.

        Raises:
            InputError: an entry is neither.
        """
        names = [name.strip() for name in text.split(",") if name.strip()]
        try:
            return cls(tuple(ipaddress.ip_network(name) for name in names))
        except ValueError as exc:
            raise InputError(
                f"ENGAGE_TRUSTED_PROXIES has an entry that is no address: {exc}. It takes the addresses or networks "
                "of your proxies with commas between them, such as 127.0.0.1,10.0.0.0/8."
            ) from None

    def trusts(self, address: str) -> bool:
        """Whether an address is a trusted proxy's."""
        found = _parsed(address)
        return found is not None and any(found in network for network in self.networks)

    def client_address(self, scope: Mapping[str, Any]) -> str:
        """The client of an ASGI request; empty on a Unix socket. An IPv6 address is given as its /64 network.

        Each proxy appends the address that it saw. So the entries count from the last one, as long as a trusted
        proxy wrote them; a client can make up all the others.
        """
        address: str = (scope.get("client") or ("", 0))[0]
        for forwarded in reversed(_forwarded(scope)):
            if not self.trusts(address) or _parsed(forwarded) is None:
                break
            address = forwarded
        return grouped(address)


def _forwarded(scope: Mapping[str, Any]) -> list[str]:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [entry.strip() for line in lines for entry in line.split(",")]


def grouped(address: str) -> str:
    """The address under which a client is counted: its own, or the /64 network of an IPv6 address."""
    found = _parsed(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False))
    return address if found is None else str(found)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
