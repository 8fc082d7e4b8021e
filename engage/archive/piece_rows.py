"""The rows of a hash piece of a log, read from Postgres a block at a time, sorted by customer and time.

Every row has a time, because a partition holds the times of its window only.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from engage.archive.columns import has_text, schema_of, type_of
from engage.storage.binary_copy import MICROSECOND, POSTGRES_EPOCH, copied_out, unpacked
from engage.storage.schema import LOG_TIMES

BLOCK = 500_000
"""Rows that are in memory at a time. Each block becomes a row group."""
BLOCK_OF_TEXTS = 100_000
"""The same of a log with texts."""
EPOCH = (POSTGRES_EPOCH - POSTGRES_EPOCH.replace(year=1970)) // MICROSECOND
"""Microseconds between Arrow's zero and Postgres's."""


def count(conn: sa.Connection, log: sa.Table, piece: sa.Table) -> dict[str, int]:
    """How many rows of a piece have a value, by column. ``rows`` is the number of all rows."""
    counts = [sa.func.count(piece.c[column.name]).label(column.name) for column in log.columns]
    return dict(conn.execute(sa.select(sa.func.count().label("rows"), *counts).select_from(piece)).mappings().one())


def blocks(conn: sa.Connection, log: sa.Table, piece: sa.Table, counts: dict[str, int]) -> Generator[Any]:
    """The rows as tables of Arrow. ``counts``: what ``count`` found in the same snapshot."""
    return (_texts if has_text(log) else _numbers)(conn, log, piece, counts)


def _ordered(log: sa.Table, piece: sa.Table, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(*columns).select_from(piece).order_by(piece.c.customer_id, piece.c[LOG_TIMES[log].name])


def _numbers(conn: sa.Connection, log: sa.Table, piece: sa.Table, counts: dict[str, int]) -> Generator[Any]:
    """Rows of one width. A column with nulls is read as a value and whether it is null, so that all widths are one."""
    wanted: list[sa.ColumnElement[Any]] = []
    widths: list[str] = []
    for column in piece.columns:
        if counts[column.name] < counts["rows"]:
            wanted += [sa.func.coalesce(column, 0), column.is_(None)]
            widths += [">i8", "?"]
        else:
            wanted.append(column)
            widths.append(">i8")
    for rows in unpacked(conn, _ordered(log, piece, *wanted), widths, BLOCK):
        yield _table(log, rows, widths)


def _table(log: sa.Table, rows: npt.NDArray[np.void], widths: list[str]) -> Any:
    arrays, place = [], 0
    for column in log.columns:
        values = rows[f"value{place}"].astype(np.int64)
        nullable = widths[place + 1 : place + 2] == ["?"]
        missing = rows[f"value{place + 1}"] if nullable else None
        arrays.append(_array(column, values, missing))
        place += 2 if nullable else 1
    return pa.Table.from_arrays(arrays, schema=schema_of(log))


def _array(column: sa.Column[Any], values: npt.NDArray[np.int64], missing: npt.NDArray[np.bool_] | None) -> Any:
    if isinstance(column.type, sa.DateTime):
        values += EPOCH
    return pa.array(values, mask=missing).cast(type_of(column))


def _texts(conn: sa.Connection, log: sa.Table, piece: sa.Table, counts: dict[str, int]) -> Generator[Any]:
    """Rows with texts, whose widths differ: each value is an object of Python, which takes several times as long."""
    with copied_out(conn, _ordered(log, piece, *piece.columns)) as copy:
        # a time is read as the number that it is
        copy.set_types(["text" if isinstance(column.type, sa.Text) else "int8" for column in log.columns])
        rows = copy.rows()
        while some := [*islice(rows, BLOCK_OF_TEXTS)]:
            columns = zip(log.columns, zip(*some, strict=True), strict=True)
            arrays = [_of_objects(column, values) for column, values in columns]
            yield pa.Table.from_arrays(arrays, schema=schema_of(log))


def _of_objects(column: sa.Column[Any], values: Sequence[Any]) -> Any:
    if isinstance(column.type, sa.DateTime):
        values = [value + EPOCH for value in values]
        return pa.array(values, pa.int64()).cast(type_of(column))
    return pa.array(values, type_of(column))
