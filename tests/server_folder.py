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

import pytest

from engage.local import postgres_server
from engage.local.home import CHECKOUT

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes that have to be free in memory; in containers there are often few."""
SERVER_MEMORY = 512 << 20
GUARD = 'read -r folder; read -r home; read -r over || ENGAGE_HOME="$home" "$0" -m engage clean --yes; rm -rf "$folder"'
"""Waits for this process to be over. Without a word from it, its servers still run and are stopped first."""


@contextmanager
def server_folder(below: str = ".") -> Iterator[Path]:
    """A new folder, or one ``below`` it, in memory if there is room.

    It and its servers go even when ``kill -9`` ends the tests.
    """
    in_memory = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    folder = tempfile.mkdtemp(prefix="engage-tests-", dir=MEMORY if in_memory else None)
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(
            ["sh", "-c", GUARD, sys.executable],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # a Ctrl-C is not for the guard
        ) as guard,
    ):
        assert guard.stdin
        guard.stdin.write(f"{folder}\n{Path(folder) / below}\n")
        guard.stdin.flush()
        # every checkpoint and every DROP goes through all of a server's buffers, by default a quarter of the memory
        patch.setattr(postgres_server, "_memory", lambda: SERVER_MEMORY)
        yield Path(folder) / below
        guard.communicate("over\n")
