"""HTTP/1.1 with limits on the head of a request: how large it may be, and how long it may take."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
"""How long a connection may take to send the next head. Uvicorn itself would wait for ever for the rest of one."""
MAX_HEAD = 32_768
"""Bytes of a head."""
MAX_OVERHEAD = 8
"""Bytes that may be sent for each byte of a body. A chunk of one byte takes six."""


class BoundedHeadProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1, which closes a connection whose head is too large or too slow.

    Bytes are counted before they are parsed, and the bytes of a body give credit for its chunk headers. So a head, and
    what follows a body's last chunk, may have ``MAX_HEAD`` bytes, give or take one read.
    """

    _deadline: asyncio.TimerHandle | None = None
    _credit = MAX_HEAD

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_in()
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
