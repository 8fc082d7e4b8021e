"""The file of a hash piece: Parquet, written a row group at a time, with its checksum and the bounds of its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa
from pyarrow import compute

from engage.archive import publish, stored
from engage.archive.columns import schema_of, written_as
from engage.archive.manifest import File, folder
from engage.archive.place import Place
from engage.storage.schema import LOG_TIMES
from engage.window import Window


@dataclass
class _Bounds:
    first_at: datetime | None = None
    last_at: datetime | None = None
    least_customer: int | None = None
    greatest_customer: int | None = None

    def add(self, rows: Any, time: str) -> None:
        """Widen the bounds by some rows."""
        for column, least, greatest in (
            (time, "first_at", "last_at"),
            ("customer_id", "least_customer", "greatest_customer"),
        ):
            found = compute.min_max(rows[column]).as_py()
            for name, value, choose in ((least, found["min"], min), (greatest, found["max"], max)):
                before = getattr(self, name)
                if value is not None:
                    setattr(self, name, value if before is None else choose(before, value))


def write(place: Place, log: sa.Table, window: Window, piece: int, blocks: Iterable[Any], *, attempt: str) -> File:
    """Write a piece's rows under a hidden name, which is that of the result. ``blocks``: tables of Arrow, in order.

    Without rows the result names no file.
    """
    name, bounds, rows = stored.hidden(attempt, piece), _Bounds(), 0
    with (
        stored.writing(place, place.of(folder(log.name, window), name)) as file,
        pq.ParquetWriter(file, schema_of(log), **written_as(log)) as writer,
    ):
        for block in blocks:
            writer.write_table(block, row_group_size=len(block))
            bounds.add(block, LOG_TIMES[log].name)
            rows += len(block)
    if not rows:
        return publish.empty(piece)
    return File(
        piece, name, rows, file.size, file.sha256,
        bounds.first_at, bounds.last_at, bounds.least_customer, bounds.greatest_customer,
    )  # fmt: skip
