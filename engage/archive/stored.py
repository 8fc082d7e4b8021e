"""Files in the archive's place: written under a hidden name first, then moved, so that no name holds half a file."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from pyarrow import fs

from engage.archive.manifest import folder
from engage.archive.place import Place
from engage.window import Window

_BLOCK = 1 << 20
_OWN = re.compile(r"\.?\d\d(-[0-9a-f]{8})?(\.parquet)?|\.manifest\.json-[0-9a-f]{8}")
"""The names that Engage gives to files besides the manifest."""


class Hashed(io.RawIOBase):
    """A file that is being written, with its size and its SHA-256 so far."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write(data)
        self._sha256.update(data)
        length = memoryview(data).nbytes
        self.size += length
        return length

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._sha256.hexdigest()


def hidden(attempt: str, piece: int) -> str:
    """The name of a piece's file that no manifest lists yet. ``attempt`` is unique."""
    return f".{piece:02}-{attempt}"


@contextmanager
def writing(place: Place, path: str) -> Iterator[Hashed]:
    """Write a new file. On a disk it is safe from a power failure once this has ended."""
    with place.reached():
        if place.local:  # a store of objects has no folders
            place.filesystem.create_dir(os.path.dirname(path), recursive=True)
        with place.filesystem.open_output_stream(path) as stream:
            yield Hashed(stream)
        if place.local:
            _sync(path)


def move(place: Place, window_folder: str, name: str, to: str) -> None:
    """Give a whole file its name, in the place of any file that has it."""
    with place.reached():
        place.filesystem.move(place.of(window_folder, name), place.of(window_folder, to))
        if place.local:
            _sync(place.of(window_folder))


def files(place: Place, table: str, window: Window) -> list[Any]:
    """All files in a window's folder, those of other programs too, by name."""
    with place.reached():
        selector = fs.FileSelector(place.of(folder(table, window)), allow_not_found=True)
        found = [one for one in place.filesystem.get_file_info(selector) if one.type == fs.FileType.File]
    return sorted(found, key=lambda one: one.base_name)


def clean(place: Place, table: str, window: Window, keep: Collection[str]) -> None:
    """Delete a window's files that are not to be kept: leavings of killed writers, and what was replaced.

    A file with a name that Engage does not give stays, as another program has written it.
    """
    for found in files(place, table, window):
        if found.base_name not in keep and _OWN.fullmatch(found.base_name):
            with place.reached():
                place.filesystem.delete_file(found.path)


def sha256_of(place: Place, path: str) -> tuple[int, str]:
    """The size and the SHA-256 of a file.

    Raises:
        FileNotFoundError: there is none.
    """
    found, size = hashlib.sha256(), 0
    with place.reached(), place.filesystem.open_input_stream(path) as stream:
        while block := stream.read(_BLOCK):
            found.update(block)
            size += len(block)
    return size, found.hexdigest()


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
