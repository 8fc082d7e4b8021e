"""The text of a file whatever its encoding: UTF-8, UTF-16, UTF-32 or Windows-1252, with or without a byte order mark.

The file is read once and never held whole. A byte that the encoding does not have becomes a lone surrogate, so that
its row can be refused by number.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from engage.errors import InputError

BLOCK = 1 << 18
"""Bytes read at a time."""
_SAMPLE = 4096
_MARKS = {
    codecs.BOM_UTF8: ("utf-8", "UTF-8 with a byte order mark"),
    codecs.BOM_UTF32_LE: ("utf-32-le", "UTF-32"),
    codecs.BOM_UTF32_BE: ("utf-32-be", "UTF-32"),
    codecs.BOM_UTF16_LE: ("utf-16-le", "UTF-16 with a byte order mark"),
    codecs.BOM_UTF16_BE: ("utf-16-be", "UTF-16 with a byte order mark"),
}
_UTF8, _WINDOWS = "UTF-8", "Windows-1252"
_LOST = re.compile("[\ufffd\ud800-\udfff]")
_NUL_SHARE = 0.2
"""Least share of NUL in every second byte of UTF-16: in digits, separators and line ends of any language."""


class Text:
    """The decoded blocks of a stream. ``encoding`` is known once the first character beyond ASCII was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.encoding = _UTF8

    def __iter__(self) -> Iterator[str]:
        block = self._stream.read(BLOCK)
        codec, mark = self._marked(block)
        if codec:
            yield from self._decoded(block[mark:], codecs.getincrementaldecoder(codec)(_on_error(codec)))
            return
        if 0 in block[:_SAMPLE]:
            raise InputError("The file is not text: it has bytes of value 0. Export it as CSV in UTF-8.")
        while block and block.isascii():
            yield block.decode("ascii")
            block = self._stream.read(BLOCK)
        if block:
            codec, self.encoding = _guess(block)
            yield from self._decoded(block, codecs.getincrementaldecoder(codec)("surrogateescape"))

    def _marked(self, block: bytes) -> tuple[str, int]:
        """The codec that the first bytes show, and the length of the mark; an empty codec if they show none."""
        for mark, (codec, name) in _MARKS.items():
            if block.startswith(mark):
                self.encoding = name
                return codec, len(mark)
        sample = block[: min(_SAMPLE, len(block) // 2 * 2)]
        even, odd = (sample[place::2].count(0) / max(1, len(sample) // 2) for place in (0, 1))
        for codec, often, seldom in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
            if often >= _NUL_SHARE and seldom < often / 10:
                self.encoding = "UTF-16 without a byte order mark"
                return codec, 0
        return "", 0

    def _decoded(self, block: bytes, decoder: codecs.IncrementalDecoder) -> Iterator[str]:
        while block:
            yield decoder.decode(block)
            block = self._stream.read(BLOCK)
        if rest := decoder.decode(b"", final=True):
            yield rest


def is_whole(text: str) -> bool:
    """Whether no character of a text was lost while it was decoded or exported."""
    return text.isascii() or not _LOST.search(text)


def shown(text: str) -> str:
    """The text with � for each lost character, as a file in UTF-8 can hold it."""
    return text if text.isascii() else text.encode("utf-8", "replace_lost").decode()


def _guess(block: bytes) -> tuple[str, str]:
    """UTF-8 if its characters outnumber the bytes that it does not have, else Windows-1252."""
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(block)
    lost = sum("\ud800" <= character <= "\udfff" for character in text)
    beyond = sum(character > "\x7f" for character in text)
    return ("utf-8", _UTF8) if beyond >= 2 * lost else ("cp1252", _WINDOWS)


def _on_error(codec: str) -> str:
    return "surrogateescape" if codec == "utf-8" else "replace"


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "\ufffd".encode() * (error.end - error.start), error.end


codecs.register_error("replace_lost", _replaced)
