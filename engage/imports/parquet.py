"""Parquet: read batch by batch, so that memory stays flat. Columns have plain types; lists and structs are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from engage.errors import InputError
from engage.imports.rows import CHUNK_ROWS, Record
from engage.imports.values import as_text

MAGIC = b"PAR1"


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
                yield ParquetChunk(batch, row)
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


def _plain(column: Any) -> Any:
    """The column, with times to the microsecond, as Python's are."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    return column
