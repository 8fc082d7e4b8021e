"""Serves a double of another system's HTTP API on 127.0.0.1, whatever its clients do to their connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are what this is for."""


@contextmanager
def served(handler: type[BaseHTTPRequestHandler], closing: threading.Event, port: int = 0) -> Iterator[int]:
    """The port on which ``handler`` answers until the block ends. ``closing`` is set then, and ends its waits."""
    with _Server(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            closing.set()
            server.shutdown()
            thread.join()
