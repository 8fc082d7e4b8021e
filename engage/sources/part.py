"""A part of a source: the events of one kind that are read, counted and marked as read together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from engage.sources.event_rows import Columns

CHUNK = 50_000
"""Most rows of one transaction."""
Filesystem = Callable[[str], tuple[Any, str]]
"""Gives the filesystem of a path, as of fsspec, and the path as the filesystem writes it."""


class Part(Protocol):
    """A slice of a query by time, or a file."""

    @property
    def kind(self) -> str:
        """The kind of its events."""

    @property
    def name(self) -> str:
        """Its name among the parts of the source with this kind of event."""

    @property
    def version(self) -> str:
        """It changes when the part or its definition changes."""

    @property
    def fixed(self) -> bool:
        """Whether its rows are the same as long as its version is."""

    def count(self) -> int:
        """How many rows the source itself says that the part has, right now."""

    def span(self) -> tuple[datetime, datetime] | None:
        """The earliest and the latest time in it, if that is known without reading it."""

    def chunks(self) -> Iterator[tuple[Columns, Sequence[Sequence[Any]]]]:
        """Its rows, at most ``CHUNK`` at a time, and where the fields stand in them."""
