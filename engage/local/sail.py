"""Sail, a server of Spark Connect that needs no Java, for the demonstration and for tests."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engage import process_signals
from engage.errors import LocalError
from engage.local.base_environment import base_variables
from engage.local.home import tail
from engage.local.progress import Say, quiet

READY_WITHIN = 60
"""Seconds until the server listens."""


@contextmanager
def sail(log: Path, *, say: Say = quiet, variables: Mapping[str, str] | None = None) -> Iterator[int]:
    """The port of a server on 127.0.0.1 for the length of a block; it writes to ``log``.

    ``variables``: its own configuration of an object store.

    Raises:
        LocalError: it is not installed, or does not start.
    """
    program = Path(sys.executable).parent / "sail"
    if not program.exists():
        raise LocalError(
            f"There is no Sail beside {sys.executable}, which is the local server of Spark Connect. `make demo "
            "ENGINE=spark` installs it."
        )
    port = free_port()
    say("Starting Sail, a server of Spark Connect …")
    with log.open("ab") as output, process_signals.deferred():
        server = subprocess.Popen(
            [str(program), "spark", "server", "--ip", "127.0.0.1", "--port", str(port)],
            env=base_variables() | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # keeps Ctrl-C from it
        )
    try:
        _wait_until_ready(server, port, log)
        yield port
    finally:
        with process_signals.ignored():
            server.kill()  # it holds no data
            server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise LocalError(f"Sail did not start; its log is {log}.\n{tail(log)}")


def free_port() -> int:
    """A port of 127.0.0.1 that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
