"""The files of a window's logs, checked against what is known of them, before Spark reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow.parquet as pq
import sqlalchemy as sa
from pyarrow import fs

from engage.archive.columns import LOGS
from engage.archive.manifest import folder, read_manifest
from engage.archive.place import Place, place_of
from engage.archive.verify import faults
from engage.errors import SparkError
from engage.spark.definition import Definition
from engage.storage.schema import EVENT_TIMES
from engage.window import Window

READ_UP_TO = 2**30
"""Bytes of a log's files up to which their content is checked, too; above it only their sizes. It takes seconds."""
_PATTERN = re.compile(r"[*?{}\[\]\\]")


@dataclass(frozen=True)
class LogFiles:
    """The files of one log in one window: their URLs as the server sees them, and the number of their rows.

    ``rows`` is by hash piece; a foreign lake has one number. ``columns``: the lake's names of columns that have other
    names there; None for Engage's own files.
    """

    table: sa.Table
    urls: tuple[str, ...]
    rows: tuple[int, ...]
    columns: Mapping[str, str] | None


def log_files(definition: Definition, window: Window, *, contents: bool = True) -> dict[str, LogFiles]:
    """The files of each log, by the table's name. A foreign lake need not have refunds or app events.

    Without ``contents`` only the sizes of an archive's files are checked.

    Raises:
        SparkError: there is no archive, or a file is not as its manifest says.
        ArchiveError: a manifest is missing or broken.
    """
    place = place_of(definition.archive_here)
    found = {}
    for name, table in LOGS.items():
        files = tuple(_files(definition, place, table, window, contents=contents))
        urls = tuple(f"{definition.archive}/{folder(name, window)}/{file}" for file, _ in files if file)
        rows = tuple(count for _, count in files)
        if definition.columns is None:
            found[name] = LogFiles(table, urls, rows, None)
        else:
            found[name] = LogFiles(table, urls, (sum(rows),), definition.columns.get(name, {}))
    return found


def _files(
    definition: Definition, place: Place, table: sa.Table, window: Window, *, contents: bool
) -> Iterator[tuple[str, int]]:
    """The name and the number of rows of each file. A piece of an archive without rows has no name."""
    if definition.columns is not None:
        return _of_lake(definition, place, table, window)
    return _of_archive(place, table, window, contents=contents)


def _of_archive(place: Place, table: sa.Table, window: Window, *, contents: bool) -> Iterator[tuple[str, int]]:
    """Those that the manifest lists, each of the size and, if that is cheap, with the content there."""
    manifest = read_manifest(place, table.name, window)
    if found := next(faults(place, manifest, contents=contents and manifest.bytes <= READ_UP_TO), None):
        raise SparkError(f"The archive's file {found} `engage archive verify` lists all such files.")
    return ((one.name if one.rows else "", one.rows) for one in manifest.files)


def _of_lake(definition: Definition, place: Place, table: sa.Table, window: Window) -> Iterator[tuple[str, int]]:
    """The Parquet files of a foreign lake. Their own footers say how many rows they have."""
    there = place.of(folder(table.name, window))
    with place.reached():
        infos = place.filesystem.get_file_info(fs.FileSelector(there, allow_not_found=True))
    files = sorted(one.path for one in infos if one.type == fs.FileType.File and _counts(one.base_name))
    if not files and table in EVENT_TIMES:
        raise SparkError(
            f"The lake {definition.archive} has no file of {table.name} for the window {window}: there is none whose "
            f"name ends in .parquet in {there}. Check the archive in the connection's extra, and that the window is "
            "complete there."
        )
    for path in files:
        name = path.rpartition("/")[2]
        if _PATTERN.search(name):
            raise SparkError(f"The lake's file {path} has a name which Spark takes for a pattern of names. Rename it.")
        try:
            footer = pq.read_metadata(path, filesystem=place.filesystem)
        except (OSError, ValueError) as exc:  # pyarrow's errors are of these kinds
            raise SparkError(f"The lake's file {path} is no whole Parquet file ({exc}). Write it again.") from None
        yield name, footer.num_rows


def _counts(name: str) -> bool:
    """Whether a lake's file is one of Parquet, and not one that is still written, which Spark leaves out."""
    return name.endswith(".parquet") and not name.startswith((".", "_"))
