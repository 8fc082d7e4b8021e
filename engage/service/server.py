"""Runs the service: uvicorn, with a limit on how long and how large the head of a request may be."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
"""For a connection to send the head of its next request; uvicorn itself would wait for ever for the rest of one."""
MAX_HEAD = 32_768
MAX_PACKING = 8
"""How many bytes may be sent for one of a body: chunks of a single one take six."""
KEEP_ALIVE = 30
MAX_CONNECTIONS = 2_000
STOP_WITHIN = 20


class _PatientToAPoint(HttpToolsProtocol):
    """HTTP/1.1 for clients that know what they want.

    Bytes are counted before they are parsed, and a body gives credit for its packing. So a head, or what follows the
    last chunk of a body, may be as large as ``MAX_HEAD``, give or take one read.
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
            self._expect_head()  # whatever came after the answer, it has ended uvicorn's own wait for the next request

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._credit = MAX_HEAD
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_is_in()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._credit += MAX_PACKING * len(body)
        super().on_body(body)

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.send_400_response("The head of the request is too large.")
        else:  # an answer is under way, and another one would be taken for a part of it
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


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are answered first."""
    options: dict[str, Any] = {
        "http": _PatientToAPoint,
        "loop": "uvloop",
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        "timeout_keep_alive": KEEP_ALIVE,
        "timeout_graceful_shutdown": STOP_WITHIN,
        "limit_concurrency": MAX_CONNECTIONS,
        "backlog": 2048,
    }
    uvicorn.Server(uvicorn.Config(app, host=host, port=port, **options)).run()
