"""The columns of a file with an example of each, which show the user what a column is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, BinaryIO, cast

from engage.imports.reading import Hashed, opened
from engage.imports.rows import Fault

ROWS = 20
"""Rows in which an example is looked for."""
MOST = 60
"""Characters of a value on the page."""


@dataclass(frozen=True)
class Head:
    """The names of the columns, and the first value of each that is not blank."""

    columns: tuple[str, ...]
    examples: tuple[str, ...]


def read(file: IO[bytes]) -> Head:
    """The head of a file, which stands at its beginning afterwards.

    Raises:
        InputError: the file cannot be read.
    """
    with opened(Hashed(cast(BinaryIO, file))) as (source, _, _):
        records = chain.from_iterable(chunk.records() for chunk in islice(source.chunks(), 1))
        rows = [found for _, found in islice(records, ROWS) if not isinstance(found, Fault)]
        columns = tuple(source.columns)
    file.seek(0)
    return Head(columns, tuple(_example([row[place] for row in rows]) for place in range(len(columns))))


def _example(values: list[str]) -> str:
    return shortened(next(filter(None, map(str.strip, values)), ""))


def shortened(value: str) -> str:
    """The beginning of a value, as far as the page shows it."""
    return value if len(value) <= MOST else f"{value[: MOST - 1]}…"
