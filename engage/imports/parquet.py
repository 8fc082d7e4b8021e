"""Parquet: read batch by batch, so that memory stays flat. Columns have plain types; lists and structs are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from engage.errors import InputError
from engage.imports.lines import MAX_ROW
from engage.imports.rows import CHUNK_ROWS, Record
from engage.imports.values import as_text

MAGIC = b"PAR1"
_CHUNK_BYTES = 64 << 20
"""Most bytes of text in a chunk. A file of a few kilobytes may hold gigabytes, as it keeps a repeated value once."""


@dataclass(frozen=True)
class ParquetChunk:
    """Some rows, as a record batch of Arrow. Rows are counted from 1."""

    batch: Any
    first_row: int

    def records(self) -> Iterator[Record]:
        """The rows in order."""
        columns = [list(map(as_text, _plain(column).to_pylist())) for column in self.batch.columns]
        for row, values in enumerate(zip(*columns, strict=True), self.first_row):
            yield row, list(values)


class Parquet:
    """A Parquet file, read once.

    Raises:
        InputError: the file is broken, or has no columns.
    """

    format = "Parquet"
    encoding: str | None = None
    delimiter: str | None = None

    def __init__(self, stream: BinaryIO) -> None:
        import pyarrow as pa  # noqa: PLC0415 - takes a tenth of a second, and few commands read Parquet
        from pyarrow import parquet  # noqa: PLC0415

        self._errors = (pa.ArrowException, OSError)
        try:
            self._file = parquet.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
            schema = self._file.schema_arrow
            texts = [field.name for field in schema if _is_text(field.type)]
            self._file = parquet.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False, read_dictionary=texts)
        except self._errors as exc:
            raise _broken(exc) from None
        plain = {field.name: _is_plain(field.type) for field in schema}
        self.columns = [name for name, fits in plain.items() if fits]
        self.nested: Mapping[str, str] = {field.name: str(field.type) for field in schema if not plain[field.name]}
        if not schema.names:
            raise InputError("The Parquet file has no columns.")

    def chunks(self) -> Iterator[ParquetChunk]:
        """All rows."""
        row = 1
        try:
            for batch in self._file.iter_batches(CHUNK_ROWS, columns=self.columns, use_threads=False):
                rows = max(_CHUNK_BYTES // max(_widest(batch), 1), 1)
                for first in range(0, batch.num_rows, rows):
                    yield ParquetChunk(batch.slice(first, rows), row + first)
                row += batch.num_rows
        except self._errors as exc:
            raise _broken(exc) from None


def _broken(exc: Exception) -> InputError:
    return InputError(f"The Parquet file cannot be read: {str(exc).splitlines()[0][:200]}")


def _is_plain(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    fits = (
        types.is_string, types.is_large_string, types.is_string_view, types.is_boolean, types.is_integer,
        types.is_floating, types.is_decimal, types.is_date, types.is_timestamp, types.is_null,
    )  # fmt: skip
    return any(fit(kind) for fit in fits)


def _is_text(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _widest(batch: Any) -> int:
    """The bytes of text that a row of the batch has at most.

    Raises:
        InputError: a value is longer than a row may be.
    """
    from pyarrow import compute  # noqa: PLC0415

    widest = 0
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        values = getattr(column, "dictionary", column)
        if not _is_text(values.type):
            continue
        longest = compute.max(compute.binary_length(values)).as_py() or 0
        if longest > 4 * MAX_ROW:  # a character has four bytes at most
            raise InputError(f"The column {name[:40]!r} has a value of more than {MAX_ROW:,} characters.")
        widest += longest
    return widest


def _plain(column: Any) -> Any:
    """The column, with times to the microsecond, as Python's are."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    return column
