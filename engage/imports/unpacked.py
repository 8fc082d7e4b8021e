"""How large a compressed file is once it is unpacked."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress
from typing import BinaryIO

from engage.imports.encoding import BLOCK

_MAGIC = b"\x1f\x8b"


def size(file: BinaryIO, *, most: int) -> int:
    """The bytes of a file with gzip once it is unpacked, counted up to a little more than ``most``; else 0.

    Of a broken file, the bytes before the fault. The file stands at its beginning before and after.
    """
    packed, found = file.read(len(_MAGIC)) == _MAGIC, 0
    file.seek(0)
    with suppress(EOFError, zlib.error, gzip.BadGzipFile), gzip.GzipFile(fileobj=file) as inside:
        while packed and found <= most and (block := inside.read(BLOCK)):
            found += len(block)
    file.seek(0)
    return found
