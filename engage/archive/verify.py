"""``engage archive verify``: whether the archive's files are there and whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engage.archive import stored
from engage.archive.columns import LOGS, schema_of
from engage.archive.manifest import File, Manifest, folder
from engage.archive.place import Place
from engage.storage.schema import LOG_TIMES
from engage.window import as_utc


def faults(place: Place, manifest: Manifest, *, contents: bool = True) -> Iterator[str]:
    """What is wrong with a window's files, a sentence for each that is not as its manifest says.

    The sizes come first, as they cost little. Without ``contents`` no file is read.

    Raises:
        ArchiveError: the archive cannot be reached.
    """
    where = place.of(folder(manifest.table, manifest.window))
    paths = {f"{where}/{file.name}": file for file in manifest.files if file.rows}
    with place.reached():
        infos = place.filesystem.get_file_info([*paths])
    sound = []
    for info, (path, file) in zip(infos, paths.items(), strict=True):
        if fault := _size_fault(path, file, info):
            yield fault
        else:
            sound.append(path)
    for path in sound if contents else ():
        if fault := _content_fault(place, path, manifest.table, paths[path]):
            yield fault


def _size_fault(path: str, file: File, info: Any) -> str | None:
    if info.size is None:
        return f"{path} is missing. The manifest says that it has {file.rows:,} rows. Put it back from a backup."
    if info.size == file.bytes:
        return None
    what = "truncated" if info.size < file.bytes else "changed"
    return f"{path} is {what}: it has {info.size:,} bytes, not {file.bytes:,}. Put it back from a backup."


def _content_fault(place: Place, path: str, table: str, file: File) -> str | None:
    try:
        _, found = stored.sha256_of(place, path)
        if found != file.sha256:
            return (
                f"{path} is changed: its SHA-256 is {found[:12]}…, not {file.sha256[:12]}…. Put it back from a backup."
            )
        with place.reached(), place.filesystem.open_input_file(path) as stream:
            parquet = pq.ParquetFile(stream)
            return _form_fault(path, table, file, parquet)
    except FileNotFoundError:
        return f"{path} has gone missing while it was read. If no other process archives, put it back from a backup."
    except pa.ArrowException as exc:
        return f"{path} is no whole Parquet file: {exc}"


def _form_fault(path: str, table: str, file: File, parquet: Any) -> str | None:
    """What is wrong with a file that has its checksum: then the manifest itself is not right."""
    said = f"{path} is not what its manifest says"
    if not parquet.schema_arrow.equals(schema_of(LOGS[table])):
        return f"{said}: its columns are {', '.join(parquet.schema_arrow.names)[:200]}."
    if parquet.metadata.num_rows != file.rows:
        return f"{said}: it has {parquet.metadata.num_rows:,} rows, not {file.rows:,}."
    time = LOG_TIMES[LOGS[table]].name
    bounds = *_bounds(parquet, "customer_id"), *_bounds(parquet, time)
    wanted = file.least_customer, file.greatest_customer, file.first_at, file.last_at
    if bounds != wanted:
        return f"{said}: its least and greatest customer and times are {bounds}, not {wanted}."
    return None


def _bounds(parquet: Any, name: str) -> tuple[Any, Any]:
    """The least and the greatest value of a column, from the statistics of the row groups."""
    place = parquet.schema_arrow.names.index(name)
    groups = (parquet.metadata.row_group(n).column(place).statistics for n in range(parquet.num_row_groups))
    known = [group for group in groups if group is not None and group.has_min_max]
    if not known:
        return None, None
    return _value(min(group.min for group in known)), _value(max(group.max for group in known))


def _value(value: Any) -> Any:
    return as_utc(value) if isinstance(value, datetime) else value
