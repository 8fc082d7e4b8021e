"""Opens a file whatever it is: finds compression and format by its first bytes, and returns the reader."""

from __future__ import annotations

import gzip
import hashlib
import io
import tempfile
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from engage.errors import InputError
from engage.imports.delimited import Delimited
from engage.imports.encoding import BLOCK, Text
from engage.imports.json_lines import JsonLines
from engage.imports.parquet import MAGIC, Parquet
from engage.imports.rows import Source

_GZIP = b"\x1f\x8b"
_REFUSED = {
    b"PK\x03\x04": "a spreadsheet or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of an old kind",
    b"%PDF": "a PDF",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
}
_SPOOL_IN_MEMORY = 1 << 24


class _Unpacked(gzip.GzipFile):
    """A compressed file that is read once."""

    def seekable(self) -> bool:
        """It cannot: a ``Hashed`` stream cannot seek, which the base class does not ask."""
        return False


class Hashed(io.RawIOBase):
    """A stream that hashes what is read of it, and can look ahead. It need not be able to seek."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self._ahead = b""
        self._ended = False
        self.size = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: object) -> int:
        """Read into a buffer of bytes."""
        view = memoryview(cast(bytearray, buffer))
        found = self._ahead[: len(view)] or self._read(len(view))
        self._ahead = self._ahead[len(found) :] if self._ahead else b""
        view[: len(found)] = found
        return len(found)

    def peek(self, size: int) -> bytes:
        """The first bytes, which stay to be read."""
        while len(self._ahead) < size and (more := self._read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def digest(self) -> bytes:
        """SHA-256 of the whole stream, the rest of which is read for it."""
        while not self._ended:
            self._ended = not self._read(BLOCK)
        return self._digest.digest()

    def whole(self, spool: BinaryIO) -> BinaryIO:
        """All bytes as a stream that can seek: the file itself, or ``spool``, which is filled."""
        if self._stream.seekable():
            self.digest()
            self._stream.seek(0)
            return self._stream
        while block := self.read(BLOCK):
            spool.write(block)
        spool.seek(0)
        return spool

    def _read(self, size: int) -> bytes:
        found = self._stream.read(size)
        self._digest.update(found)
        self.size += len(found)
        return found


@contextmanager
def opened(stream: Hashed, known: Container[str] = ()) -> Iterator[tuple[Source, str | None, Hashed]]:
    """The reader of a file, the name of its compression, and its content to be hashed.

    ``known`` are the plain names of columns that count.

    Raises:
        InputError: the format is unknown, or the file is broken; also while it is read.
    """
    try:
        packed = stream.peek(len(_GZIP)) == _GZIP
        inside = Hashed(cast(BinaryIO, _Unpacked(fileobj=cast(BinaryIO, stream)))) if packed else stream
        with _source(inside, known) as source:
            yield source, "gzip" if packed else None, inside
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise InputError(f"The compressed file is broken or not complete: {exc}.") from None


@contextmanager
def _source(stream: Hashed, known: Container[str]) -> Iterator[Source]:
    head = stream.peek(64)
    for magic, what in _REFUSED.items():
        if head.startswith(magic):
            raise InputError(f"The file is {what}. It takes CSV, also compressed with gzip, JSON Lines or Parquet.")
    if head.startswith(MAGIC):
        with tempfile.SpooledTemporaryFile(_SPOOL_IN_MEMORY) as spool:  # Parquet is read from its end
            yield Parquet(stream.whole(cast(BinaryIO, spool)))
        return
    text = Text(cast(BinaryIO, io.BufferedReader(stream, BLOCK)))
    first = bytes(byte for byte in head if byte).lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")[:1]
    if first == b"[":
        raise InputError("The file is one JSON array. It takes JSON Lines: one object on each line, without commas.")
    yield JsonLines(text, known) if first == b"{" else Delimited(text)
