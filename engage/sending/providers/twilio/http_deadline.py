"""One deadline for a whole HTTP exchange: connecting, sending, and every byte of the answer.

The timeouts of requests and urllib3 begin anew with each read, so an answer that drips in could last for ever.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import connection

CONNECTING = 0.5
"""The share of the time that connecting may take, so that a late address leaves time for the exchange."""

_exchange = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The deadline of the exchange that this thread makes in the block."""
    _exchange.deadline = monotonic() + seconds
    _exchange.begun = False
    try:
        yield
    finally:
        del _exchange.deadline


def begun() -> bool:
    """Whether the last exchange of this thread came so far as to send its request, all of it or a part."""
    return bool(getattr(_exchange, "begun", False))


def _left() -> float:
    """The seconds that are left.

    Raises:
        TimeoutError: none are left.
        RuntimeError: outside of ``within``.
    """
    deadline = getattr(_exchange, "deadline", None)
    if deadline is None:
        raise RuntimeError("An HTTP exchange began without a deadline: use http_deadline.within.")
    left = float(deadline) - monotonic()
    if left <= 0:
        raise TimeoutError("the time of the exchange is over")
    return left


class _TimedReader(io.RawIOBase):
    """The bytes of an answer; each read has only the time that is left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock))


class _Timed(HTTPConnection):
    """A connection whose every wait has only the time that is left."""

    response_class = _TimedResponse

    def _new_conn(self) -> socket.socket:
        """Connect to the first address of the host that answers. Each has an equal share of the time for connecting."""
        until = monotonic() + self._left_to_begin() * CONNECTING
        family = connection.allowed_gai_family()
        try:
            addresses = socket.getaddrinfo(self._dns_host, self.port, family, socket.SOCK_STREAM)
        except socket.gaierror as exc:
            raise NameResolutionError(self.host, self, exc) from exc
        failure: OSError | None = None
        for tried, (*_, address) in enumerate(addresses):
            share = (until - monotonic()) / (len(addresses) - tried)
            if share <= 0:
                break
            rest = self._left_to_begin() - share
            target = str(address[0]), self.port
            try:
                sock = connection.create_connection(target, share, self.source_address, self.socket_options)
            except OSError as exc:
                failure = exc
                continue
            sock.settimeout(rest)  # for the TLS handshake
            return sock
        raise NewConnectionError(self, f"no address could be connected to in time: {failure}") from failure

    def request(self, *args: Any, **kwargs: Any) -> None:
        self.timeout = self._left_to_begin()
        _exchange.begun = True  # through a proxy to https, the way is open by now
        super().request(*args, **kwargs)

    def _left_to_begin(self) -> float:
        """The seconds that are left. If there are none, the error says that no byte of the request was sent."""
        try:
            return _left()
        except TimeoutError as exc:
            raise ConnectTimeoutError(self, str(exc)) from exc


class _TimedHttps(_Timed, HTTPSConnection):
    """As ``_Timed``, over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Timed


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedHttps


_POOLS = {"http": _Pool, "https": _HttpsPool}


class DeadlineAdapter(HTTPAdapter):
    """Makes the connections of a session keep to ``within``, also those through an HTTP proxy.

    A SOCKS proxy has connections of its own, with the timeouts of requests.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager
