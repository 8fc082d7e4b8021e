"""Lines of text with any line end, from blocks of any size."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice

from engage.errors import InputError
from engage.imports.rows import CHUNK_ROWS

MAX_ROW = 1 << 20
"""Most characters of a row."""
_CHUNK_CHARACTERS = 1 << 22


def lines_of(blocks: Iterable[str]) -> Iterator[str]:
    """Lines with their ends: LF, CR LF or CR. No other character ends a line.

    Raises:
        InputError: a line is longer than ``MAX_ROW``.
    """
    rest, row = "", 1
    for block in blocks:
        text = rest + block
        end = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1  # LF may follow a CR at the end
        for line in io.StringIO(text[:end], newline=""):
            row += 1
            yield line
        rest = text[end:]
        if len(rest) > MAX_ROW:
            raise too_long(row)
    if rest:
        yield from io.StringIO(rest, newline="")


def some(lines: Iterator[str]) -> list[str]:
    """The next lines, as many as one chunk takes; empty at the end."""
    found, characters = [], 0
    for line in islice(lines, CHUNK_ROWS):
        found.append(line)
        characters += len(line)
        if characters > _CHUNK_CHARACTERS:
            break
    return found


def too_long(row: int) -> InputError:
    """The error for a row that is too long to be one."""
    return InputError(
        f"Row {row:,} has more than {MAX_ROW:,} characters, so it is no row. A quotation mark may be missing at its "
        "end, or the file may be no CSV."
    )
