"""The events of files in a folder or an object store, over an fsspec filesystem: Parquet or JSON Lines."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from engage.errors import SourceError
from engage.sources.definition import FORMATS, Files
from engage.sources.event_rows import FIELDS, Columns
from engage.sources.part import CHUNK, Filesystem, Part
from engage.window import as_utc

_BROKEN = re.compile(r"thrift|corrupt|decompress|magic bytes|end of (stream|file)|dictionary", re.I)
"""What pyarrow says of a file that is damaged. Its exception is the same as of a lost connection."""


@dataclass(frozen=True)
class _File:
    """A file. ``where`` names it in sentences."""

    kind: str
    files: Files
    filesystem: Any
    path: str
    name: str
    version: str
    where: str
    fixed: ClassVar[bool] = True

    @contextmanager
    def _open(self) -> Iterator[Any]:
        with self._explained(), self.filesystem.open(self.path, "rb") as file:
            yield file

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raises a SourceError for a file that cannot be read, however often."""
        try:
            yield
        except PermissionError as exc:
            raise SourceError(f"{self.where} may not be read: {exc}. Let the connection's account read it.") from None
        except (pa.ArrowException, EOFError, zlib.error, OSError) as exc:
            if isinstance(exc, OSError) and not (isinstance(exc, gzip.BadGzipFile) or _BROKEN.search(str(exc))):
                raise
            raise SourceError(f"{self.where} is no whole file of the format {self.files.format}: {exc}.") from None


class ParquetFile(_File):
    """A file in Apache's Parquet, read a row group at a time."""

    def count(self) -> int:
        with self._open() as file:
            return int(pq.ParquetFile(file).metadata.num_rows)

    def span(self) -> tuple[datetime, datetime] | None:
        with self._open() as file:
            found = pq.ParquetFile(file)
            name = Columns.found(self.kind, self.files.columns, found.schema_arrow.names, self.where).names[2]
            place = {each.lower(): n for n, each in enumerate(found.schema_arrow.names)}[name.lower()]
            groups = [found.metadata.row_group(n).column(place) for n in range(found.metadata.num_row_groups)]
            bounds = [_bounds(group.statistics) for group in groups]
        known = [one for one in bounds if one]
        if not known or len(known) < len(bounds):
            return None
        return min(first for first, _ in known), max(last for _, last in known)

    def chunks(self) -> Iterator[tuple[Columns, Sequence[Sequence[Any]]]]:
        with self._open() as file:
            parquet = pq.ParquetFile(file)
            given = parquet.schema_arrow.names
            of_all = Columns.found(self.kind, self.files.columns, given, self.where)
            names = [given[place] for place in of_all.places]
            columns = Columns(self.kind, of_all.fields, of_all.names, tuple(range(len(names))))
            for number, batch in enumerate(parquet.iter_batches(CHUNK, columns=names)):
                rows = [*zip(*(_values(batch.column(name)) for name in names), strict=True)]
                if not number:
                    columns.require_types(rows, self.where)
                yield columns, rows


class JsonLinesFile(_File):
    """A file with a JSON object in each line."""

    def count(self) -> int:
        with self._lines() as lines:
            return sum(1 for line in lines if line.strip())

    def span(self) -> None:
        return None

    def chunks(self) -> Iterator[tuple[Columns, Sequence[Sequence[Any]]]]:
        fields = tuple(one for one in FIELDS[self.kind] if one != "amount_minor")
        names = [self.files.columns.get(one, one) for one in fields]
        minor = self.files.columns.get("amount_minor", "amount_minor") if "amount" in fields else None
        columns = Columns(self.kind, fields, tuple(names), tuple(range(len(names))))
        with self._lines() as lines:
            rows: list[Sequence[Any]] = []
            for line in lines:
                if line.strip():
                    rows.append(_row(line, names, minor))
                if len(rows) == CHUNK:
                    yield columns, rows
                    rows = []
            if rows:
                yield columns, rows

    @contextmanager
    def _lines(self) -> Iterator[Any]:
        with self._open() as file:
            if self.path.endswith(".gz"):
                with gzip.open(file) as unpacked:
                    yield unpacked
            else:
                yield file


_READERS: dict[str, type[ParquetFile | JsonLinesFile]] = {"parquet": ParquetFile, "json_lines": JsonLinesFile}


def files(kind: str, definition: Files, source: str, filesystem: Filesystem) -> Iterator[Part]:
    """The files below the definition's path, in the order of their names.

    Names that begin with ``_`` or ``.`` are left out, as a writer's unfinished files have them.

    Raises:
        SourceError: there is none, or the folder may not be read.
    """
    system, root = filesystem(definition.path)
    found = _listed(kind, definition, source, system, root)
    reader, endings = _READERS[definition.format], FORMATS[definition.format]
    names = [path for path in sorted(found) if path.endswith(endings) and not _hidden(_below(path, root))]
    if not names:
        raise SourceError(
            f"{definition.path} of the source {source} has no file whose name ends in {' or '.join(endings)}. Correct "
            f"the path or the format of {kind} in the connection {source}, or leave {kind} out until there is one."
        )
    for path in names:
        name = _below(path, root)
        where = f"The file {name} in {definition.path} of the source {source}"
        version = f"{definition.fingerprint} {_version(found[path])}"
        yield reader(kind, definition, system, path, name, version, where)


def _listed(kind: str, definition: Files, source: str, system: Any, root: str) -> Mapping[str, dict[str, Any]]:
    system.invalidate_cache()
    try:
        found: Mapping[str, dict[str, Any]] = system.find(root, detail=True)
    except (PermissionError, FileNotFoundError) as exc:
        raise SourceError(
            f"{definition.path} of the source {source} cannot be read: {exc}. Correct the path of {kind}, or the "
            f"login, in the connection {source}."
        ) from None
    return found


def _below(path: str, root: str) -> str:
    return path.removeprefix(root.rstrip("/")).lstrip("/") or path.rpartition("/")[2]


def _hidden(name: str) -> bool:
    return any(part.startswith(("_", ".")) for part in name.split("/"))


def _version(info: Mapping[str, Any]) -> str:
    """A file's size with its tag, or else with the time of its last change."""
    marks = (info.get(key) for key in ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated"))
    return f"{info.get('size')} {next((mark for mark in marks if mark), '')}"


def _bounds(statistics: Any) -> tuple[datetime, datetime] | None:
    """The first and the last time of a row group, if its statistics have them in microseconds."""
    try:
        first, last = (statistics.min, statistics.max) if statistics else (None, None)
    except ValueError:  # nanoseconds, which pyarrow gives only to pandas
        return None
    return (as_utc(first), as_utc(last)) if isinstance(first, datetime) and isinstance(last, datetime) else None


def _values(column: Any) -> list[Any]:
    """The values of a column. A time has nanoseconds in some files, and microseconds in Python."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return list(column.to_pylist())


def _row(line: bytes, names: Sequence[str], minor: str | None) -> Sequence[Any]:
    try:
        found = json.loads(line, parse_float=Decimal)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return (None,) * len(names)
    row = [found.get(name) for name in names]
    if minor and row[3] is None and isinstance(cents := found.get(minor), int):
        row[3] = Decimal(cents) / 100
    return row
