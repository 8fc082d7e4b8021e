"""The columns of a log in its Parquet files: named and typed as in the table, each value may be missing."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from engage.storage.schema import LOG_TIMES

LOGS = {table.name: table for table in LOG_TIMES}
"""The raw logs by name."""
_TYPES = {sa.BigInteger: pa.int64(), sa.DateTime: pa.timestamp("us", tz="UTC"), sa.Text: pa.string()}


def schema_of(log: sa.Table) -> Any:
    """The schema of a log's files."""
    return pa.schema([(column.name, type_of(column)) for column in log.columns])


def type_of(column: sa.Column[Any]) -> Any:
    """The type of a column in a file."""
    return _TYPES[type(column.type)]


def has_text(log: sa.Table) -> bool:
    """Whether the rows of a log differ in length, as they hold text."""
    return any(isinstance(column.type, sa.Text) for column in log.columns)


def written_as(log: sa.Table) -> dict[str, Any]:
    """How a log's files are written: sorted numbers and times as differences, texts by a dictionary."""
    texts = [column.name for column in log.columns if isinstance(column.type, sa.Text)]
    return {
        "version": "2.6",
        "compression": "zstd",
        "use_dictionary": texts or False,
        "column_encoding": {c.name: "DELTA_BINARY_PACKED" for c in log.columns if c.name not in texts},
    }
