"""HTTP/1.1 with limits on connections for each address, and on a request's head: its size and its time."""

from __future__ import annotations

import asyncio
from collections import Counter

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from engage.service.client_address import TrustedProxies, grouped

HEAD_SECONDS = 10.0
"""How long a connection may take to send the next head. Uvicorn itself would wait for ever for the rest of one."""
MAX_HEAD = 32_768
"""Bytes of a head."""
MAX_PER_ADDRESS = 200
"""Connections of one address, a tenth of what the service takes in all. A trusted proxy has no such limit."""
MAX_OVERHEAD = 8
"""Bytes that may be sent for each byte of a body. A chunk of one byte takes six."""


class AddressCounts:
    """The open connections of each address."""

    def __init__(self, trusted: TrustedProxies) -> None:
        self._trusted = trusted
        self._open: Counter[str] = Counter()

    def add(self, address: str) -> bool:
        """Count a connection. Returns whether the address may have it."""
        group = grouped(address)
        self._open[group] += 1
        return self._open[group] <= MAX_PER_ADDRESS or not address or self._trusted.trusts(address)

    def remove(self, address: str) -> None:
        """Count the end of a connection."""
        group = grouped(address)
        self._open[group] -= 1
        if not self._open[group]:
            del self._open[group]


class BoundedHeadProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1, which closes a connection whose head is too large or too slow.

    Bytes are counted before they are parsed, and the bytes of a body give credit for its chunk headers. So a head, and
    what follows a body's last chunk, may have ``MAX_HEAD`` bytes, give or take one read.
    """

    counts: AddressCounts
    _address = ""
    _deadline: asyncio.TimerHandle | None = None
    _credit = MAX_HEAD

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if isinstance(peer, tuple) else ""
        if not self.counts.add(self._address):
            transport.abort()
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_in()
        self.counts.remove(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._credit -= len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._credit < 0:
            self._refuse()
        elif self.cycle is not None and self.cycle.response_complete:
            self._expect_head()  # data after the answer has cancelled uvicorn's own wait for the next request

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._credit = MAX_HEAD
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_is_in()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._credit += MAX_OVERHEAD * len(body)
        super().on_body(body)

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.send_400_response("The head of the request is too large.")
        else:  # the client would take a second answer for a part of the one under way
            self.transport.close()

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _head_is_in(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def counting(trusted: TrustedProxies) -> type[BoundedHeadProtocol]:
    """The protocol of one server, with its own counts of connections."""
    return type("CountingProtocol", (BoundedHeadProtocol,), {"counts": AddressCounts(trusted)})
