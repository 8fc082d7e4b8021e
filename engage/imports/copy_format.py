"""Values in Postgres's binary COPY format, so that a worker process can make the rows that another one writes.

https://www.postgresql.org/docs/18/sql-copy.html, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import repeat
from struct import Struct

from engage.storage.binary_copy import microseconds

NULL = b"\xff\xff\xff\xff"
_INT8 = Struct(">iq").pack
_LENGTH = Struct(">i").pack
_COUNT = Struct(">h").pack
_ARRAY = Struct(">iiiii").pack
_OID_BYTEA = 17


def rows(columns: Sequence[Iterable[bytes]]) -> list[bytes]:
    """Rows of packed values, from their columns. One that has no end repeats its value."""
    return list(map(b"".join, zip(repeat(_COUNT(len(columns))), *columns, strict=False)))


def row(fields: Sequence[bytes]) -> bytes:
    """A row of packed values."""
    return _COUNT(len(fields)) + b"".join(fields)


def int8(value: int) -> bytes:
    """A bigint."""
    return _INT8(8, value)


def int8s(values: Iterable[int]) -> Iterable[bytes]:
    """Bigints."""
    return map(_INT8, repeat(8), values)


def moment(value: datetime | None) -> bytes:
    """A timestamptz."""
    return NULL if value is None else _INT8(8, microseconds(value))


def string(value: str | None) -> bytes:
    """A text."""
    return NULL if value is None else binary(value.encode())


def strings(values: Iterable[str | None]) -> list[bytes]:
    """Texts."""
    return [NULL if value is None else _LENGTH(len(found := value.encode())) + found for value in values]


def binary(value: bytes | None) -> bytes:
    """A bytea."""
    return NULL if value is None else _LENGTH(len(value)) + value


def uuid(value: bytes) -> bytes:
    """A uuid of 16 bytes."""
    return binary(value)


def binaries(values: Sequence[bytes]) -> bytes:
    """An array of bytea; null if it is empty."""
    if not values:
        return NULL
    inside = _ARRAY(1, 0, _OID_BYTEA, len(values), 1) + b"".join(map(binary, values))
    return _LENGTH(len(inside)) + inside
