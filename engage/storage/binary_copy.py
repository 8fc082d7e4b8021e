"""Bulk writes with Postgres's binary COPY, the fastest way to add rows.

https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import sqlalchemy as sa

from engage.storage.connection import hide_rows

POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_FIELD = ("length", "value")
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_TYPES: dict[type[Any], str] = {
    sa.BigInteger: "int8",
    sa.Boolean: "bool",
    sa.DateTime: "timestamptz",
    sa.LargeBinary: "bytea",
    sa.Text: "text",
}


def microseconds(moment: datetime) -> int:
    """A timestamptz as Postgres keeps it: microseconds since 2000."""
    return (moment - POSTGRES_EPOCH) // MICROSECOND


def packed(*columns: npt.NDArray[np.int64] | npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Rows of int64 columns: the field count, then each field's length and value. A timestamptz is an int64 too.

    A column of another type has its bytes as they are, such as the 16 bytes of a UUID.
    """
    types = [">i8" if values.dtype.kind == "i" else values.dtype.str for values in columns]
    fields = [(f"{kind}{n}", ">i4" if kind == "length" else types[n]) for n in range(len(columns)) for kind in _FIELD]
    rows = np.empty(len(columns[0]), dtype=[("fields", ">i2"), *fields])
    rows["fields"] = len(columns)
    for n, values in enumerate(columns):
        rows[f"length{n}"] = values.dtype.itemsize
        rows[f"value{n}"] = values
    return rows


def copy_packed(conn: sa.Connection, target: str, table: sa.Table, rows: npt.NDArray[np.void]) -> None:
    """Add ``packed`` rows, with all columns of ``table`` in order, to the table named ``target``."""
    with _copy(conn, _statement(target, [c.name for c in table.columns])) as copy:
        copy.write(_HEADER)
        copy.write(rows.view(np.uint8).data)
        copy.write(_TRAILER)


def copy_bytes(conn: sa.Connection, table: sa.Table, rows: bytes) -> None:
    """Add rows with all columns of ``table`` in order, which are in the binary format already, without its header."""
    with _copy(conn, _statement(table.name, [c.name for c in table.columns])) as copy:
        for part in (_HEADER, rows, _TRAILER):
            copy.write(part)


def copy_rows(conn: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Add rows of any types to a table; far slower than ``copy_packed``."""
    with _copy(conn, _statement(table.name, columns)) as copy:
        copy.set_types([_TYPES[type(table.c[name].type)] for name in columns])
        for row in rows:
            copy.write_row(row)


def _statement(target: str, columns: Sequence[str]) -> str:
    return f"COPY {target} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"


@contextmanager
def _copy(conn: sa.Connection, statement: str) -> Iterator[Any]:
    """psycopg's own COPY, because the DBAPI has none. Its errors become SQLAlchemy's, without the refused row."""
    try:
        with conn.connection.cursor().copy(statement) as copy:
            yield copy
    except psycopg.Error as exc:
        hide_rows(exc, exc)
        raise sa.exc.DBAPIError.instance(statement, None, exc, psycopg.Error, hide_parameters=True) from exc
