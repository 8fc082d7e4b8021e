"""A folder for the servers that tests start. pytest's own folders do not serve: another session deletes old ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engage.local.home import CHECKOUT

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes that have to be free in memory; in containers there are often few."""
GUARD = 'read -r over || ENGAGE_HOME="$1" "$0" -m engage clean; rm -rf "$1"'
"""Waits for this process to be over. Without a word from it, its servers still run and are stopped first."""


@contextmanager
def server_folder() -> Iterator[Path]:
    """A new folder, in memory if there is room. It and its servers go even when ``kill -9`` ends the tests."""
    in_memory = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    folder = tempfile.mkdtemp(prefix="engage-tests-", dir=MEMORY if in_memory else None)
    with subprocess.Popen(
        ["sh", "-c", GUARD, sys.executable, folder],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C is not for the guard
    ) as guard:
        yield Path(folder)
        guard.communicate(b"over\n")
