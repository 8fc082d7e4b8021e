"""Bulk writes and reads with Postgres's binary COPY, the fastest way for many rows.

https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import sqlalchemy as sa
from psycopg.pq import ExecStatus, TransactionStatus

from engage.storage.connection import hide_rows

POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

BLOCK = 100_000
"""How many rows ``copy_columns`` packs at a time."""
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
    types = [np.dtype(">i8") if values.dtype.kind == "i" else values.dtype for values in columns]
    rows = np.empty(len(columns[0]), dtype=_form(types))
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


def copy_columns(
    conn: sa.Connection,
    table: sa.Table,
    columns: Sequence[npt.NDArray[np.int64]],
    nulls: Sequence[npt.NDArray[np.bool_]],
) -> None:
    """Add rows of int64 columns, in the table's order. ``nulls``: for each column, which of its values are null."""
    with _copy(conn, _statement(table.name, [c.name for c in table.columns])) as copy:
        copy.write(_HEADER)
        for first in range(0, len(columns[0]), BLOCK):
            part = slice(first, first + BLOCK)
            copy.write(_with_nulls(packed(*(c[part] for c in columns)), [null[part] for null in nulls]))
        copy.write(_TRAILER)


def _with_nulls(rows: npt.NDArray[np.void], nulls: Sequence[npt.NDArray[np.bool_]]) -> memoryview:
    """The bytes of ``packed`` rows of int64. A null has the length -1 and no value."""
    kept = np.ones((len(rows), rows.dtype.itemsize), dtype=np.bool_)
    for n, null in enumerate(nulls):
        rows[f"length{n}"][null] = -1
        begin = _offset(rows, f"value{n}")
        kept[null, begin : begin + 8] = False
    return rows.view(np.uint8).reshape(kept.shape)[kept].data


def _offset(rows: npt.NDArray[np.void], name: str) -> int:
    fields = rows.dtype.fields
    assert fields is not None
    return fields[name][1]


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


@contextmanager
def copied_out(conn: sa.Connection, rows: sa.Select[Any]) -> Iterator[Any]:
    """psycopg's COPY of the rows of a query without values from outside, in the binary format."""
    with _copy(conn, _query(conn, rows)) as copy:
        yield copy


def unpacked(
    conn: sa.Connection, rows: sa.Select[Any], widths: Sequence[str], most: int
) -> Generator[npt.NDArray[np.void]]:
    """The rows of a query in its transaction as arrays of at most ``most``, with the fields ``value0``, ``value1`` ….

    ``widths``: numpy's type of each column, such as ``>i8``. No value may be null.

    Raises:
        ValueError: a value is null, or has another width.
    """
    form = _form([np.dtype(width) for width in widths])
    header = len(_HEADER)  # it comes with the first row
    with closing(_blocks(conn, _query(conn, rows), most)) as blocks:
        for block in blocks:
            found = np.frombuffer(memoryview(block)[header:], dtype=form, count=(len(block) - header) // form.itemsize)
            _require_whole(found, block[header + found.nbytes :])
            header = 0
            if len(found):
                yield found


def _query(conn: sa.Connection, rows: sa.Select[Any]) -> str:
    return (
        f"COPY ({rows.compile(dialect=conn.dialect, compile_kwargs={'literal_binds': True})}) TO STDOUT (FORMAT binary)"
    )


def _blocks(conn: sa.Connection, statement: str, most: int) -> Generator[bytearray]:
    """What the server sends for a COPY, in blocks of at most ``most`` rows.

    It asks libpq itself: psycopg's own COPY waits for each row anew, which takes five times as long.
    """
    connection = conn.connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    pgconn = connection.pgconn
    try:
        answer = pgconn.exec_(statement.encode())
        if answer.status == ExecStatus.COPY_OUT:
            more = True
            while more:
                block, more = _joined(pgconn.get_copy_data, most)
                yield block
            answer = pgconn.get_result() or answer
            while pgconn.get_result() is not None:
                pass
        if answer.status != ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(answer)
    except psycopg.Error as exc:
        raise _hidden(exc, statement) from exc
    finally:
        if pgconn.transaction_status == TransactionStatus.ACTIVE:
            _break_off(connection)


def _joined(get: Callable[[int], tuple[int, Any]], most: int) -> tuple[bytearray, bool]:
    """The next rows, and whether there may be more of them."""
    block = bytearray()
    for _ in range(most):
        size, row = get(0)
        if size <= 0:
            return block, False
        block += row
    return block, True


def _break_off(connection: psycopg.Connection[Any]) -> None:
    """Bring the connection back from a COPY of which no more rows are wanted."""
    pgconn = connection.pgconn
    connection.cancel_safe()
    while (answer := pgconn.get_result()) is not None:
        while answer.status == ExecStatus.COPY_OUT and pgconn.get_copy_data(0)[0] > 0:
            pass


def _require_whole(rows: npt.NDArray[np.void], rest: bytes | bytearray) -> None:
    names = rows.dtype.names or ()
    right = all((rows[f"length{n}"] == rows.dtype[f"value{n}"].itemsize).all() for n in range(len(names) // 2))
    if not right or rest not in (b"", _TRAILER) or not (rows["fields"] == len(names) // 2).all():
        raise ValueError("A row of the binary COPY has a null or a value of another width than its column.")


def _form(types: Sequence[np.dtype[Any]]) -> np.dtype[np.void]:
    """The form of a row: the number of fields, then each field's length and value."""
    fields = [(f"{kind}{n}", ">i4" if kind == "length" else types[n]) for n in range(len(types)) for kind in _FIELD]
    return np.dtype([("fields", ">i2"), *fields])


def _statement(target: str, columns: Sequence[str]) -> str:
    return f"COPY {target} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"


@contextmanager
def _copy(conn: sa.Connection, statement: str) -> Iterator[Any]:
    """psycopg's own COPY, because the DBAPI has none. Its errors become SQLAlchemy's, without the refused row."""
    try:
        with conn.connection.cursor().copy(statement) as copy:
            yield copy
    except psycopg.Error as exc:
        raise _hidden(exc, statement) from exc


def _hidden(exc: psycopg.Error, statement: str) -> BaseException:
    """A driver's error as SQLAlchemy's, without the refused row."""
    hide_rows(exc, exc)
    return sa.exc.DBAPIError.instance(statement, None, exc, psycopg.Error, hide_parameters=True)
