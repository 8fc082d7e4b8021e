"""What readers of files and validators of rows share: records, faults, and what a chunk of rows comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

CHUNK_ROWS = 20_000
"""Rows that are read, validated and written at a time."""
LOST = "A process that reads rows has ended, perhaps for want of memory. Import again."
"""What an import says of a worker process that is gone."""


class Fault(NamedTuple):
    """Why a row is refused: a code to count by, and a sentence. It never repeats a value, which may be a phone."""

    code: str
    sentence: str
    values: tuple[str, ...] | None = None
    """The row's values if they could not be told apart by columns."""


Record = tuple[int, list[str] | Fault]
"""A row's number, and its values in the order of the columns."""


class Chunk(Protocol):
    """Some rows of a file, as a worker process gets them."""

    def records(self) -> Iterator[Record]:
        """The rows in order, without blank ones."""


class Source(Protocol):
    """A file that is being read."""

    columns: list[str]
    nested: Mapping[str, str]
    """Columns that are not read, as they hold lists or objects, each with its type."""
    format: str

    @property
    def encoding(self) -> str | None:
        """The name of the encoding of text, as far as the file was read."""

    @property
    def delimiter(self) -> str | None:
        """The name of the delimiter of CSV."""

    def chunks(self) -> Iterator[Chunk]:
        """All rows. Each is read once."""


class Rejected(NamedTuple):
    """A row that is refused, with its original values."""

    row: int
    fault: Fault
    values: tuple[str, ...]


@dataclass
class Parsed:
    """What a chunk comes to: rows in the format of COPY by table, refused rows, and counts worth a mention."""

    read: int = 0
    copied: dict[str, bytes] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    windows: set[int] = field(default_factory=set)
    """The 8-week windows of events, counted from the first."""
