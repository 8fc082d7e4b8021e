"""The manifest of a window of a log: which files hold it, how many rows, and how to tell that they are whole.

It is written last, so a window with a manifest is complete.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from engage.archive.columns import LOGS, schema_of
from engage.archive.place import Place
from engage.errors import ArchiveError
from engage.storage.partitions import HASH_MODULUS
from engage.window import Window

VERSION = 1
NAME = "manifest.json"


@dataclass(frozen=True)
class File:
    """The file of one hash piece: its size, its SHA-256, and the bounds of its rows. A piece without rows has no file.

    The bounds are None without rows, and those of customers also if all rows lack a customer.
    """

    piece: int
    name: str
    rows: int = 0
    bytes: int = 0
    sha256: str = ""
    first_at: datetime | None = None
    last_at: datetime | None = None
    least_customer: int | None = None
    greatest_customer: int | None = None


@dataclass(frozen=True)
class Manifest:
    """What the archive holds of a log in a window: one file for each hash piece."""

    table: str
    window: Window
    files: tuple[File, ...]

    @property
    def rows(self) -> int:
        """All rows of the window."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def names(self) -> list[str]:
        """The names of the files that there are."""
        return [file.name for file in self.files if file.rows]


def folder(table: str, window: Window) -> str:
    """The folder of a log's window, below the archive's place."""
    return f"{table}/window={window.key}"


def read_manifest(place: Place, table: str, window: Window) -> Manifest:
    """What the archive holds of a log in a window.

    Raises:
        ArchiveError: it holds nothing of it, cannot be reached, or has a manifest of another form.
    """
    if found := find_manifest(place, table, window):
        return found
    raise ArchiveError(
        f"The archive {place} has no whole copy of {table} in the window {window}: {folder(table, window)}/{NAME} is "
        "missing. `engage archive` writes it while Postgres has the events."
    )


def find_manifest(place: Place, table: str, window: Window) -> Manifest | None:
    """As ``read_manifest``, but None if the archive has no manifest of it.

    Raises:
        ArchiveError: the archive cannot be reached, or the manifest has another form.
    """
    path = place.of(folder(table, window), NAME)
    try:
        with place.reached(), place.filesystem.open_input_stream(path) as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    try:
        return _read(json.loads(text), table, window)
    except (ValueError, KeyError, TypeError) as exc:
        raise ArchiveError(
            f"The manifest {path} is not one that Engage has written ({type(exc).__name__}: {exc}). Put back the one "
            "of a backup. While Postgres has the events, you may delete it: `engage archive` then writes it anew."
        ) from None


def as_json(manifest: Manifest) -> bytes:
    """A manifest as its file holds it."""
    data = {
        "version": VERSION,
        "table": manifest.table,
        "window": {"start": manifest.window.start, "end": manifest.window.end},
        "columns": _columns(manifest.table),
        "files": [asdict(file) for file in manifest.files],
    }
    return json.dumps(data, indent=1, default=lambda moment: moment.isoformat()).encode()


def _columns(table: str) -> list[dict[str, str]]:
    return [{"name": field.name, "type": str(field.type)} for field in schema_of(LOGS[table])]


def _read(data: dict[str, Any], table: str, window: Window) -> Manifest:
    said = data["version"], data["table"], datetime.fromisoformat(data["window"]["start"])
    if said != (VERSION, table, window.start):
        raise ValueError(f"it says version {said[0]}, {said[1]}, {said[2]:%Y-%m-%d}")
    files = tuple(_file(file) for file in data["files"])
    if [file.piece for file in files] != [*range(HASH_MODULUS)]:
        raise ValueError(f"it lists {len(files)} files, and a window has {HASH_MODULUS} pieces in order")
    return Manifest(table, window, files)


def _file(data: dict[str, Any]) -> File:
    """A file of a manifest that another hand may have written."""
    times = {name: datetime.fromisoformat(data[name]) for name in ("first_at", "last_at") if data[name]}
    file = File(**(data | times))
    if not re.fullmatch(rf"{file.piece:02}(-[0-9a-f]+)?\.parquet", file.name):
        raise ValueError(f"piece {file.piece} has a file whose name is none of this folder")
    bounds = [file.least_customer, file.greatest_customer]
    numbers = [file.rows, file.bytes, *(bound for bound in bounds if bound is not None)]
    if any(type(number) is not int for number in numbers) or min(file.rows, file.bytes) < 0:
        raise ValueError(f"piece {file.piece} has a number that is none")
    if not re.fullmatch("[0-9a-f]{64}" if file.rows else "", file.sha256):
        raise ValueError(f"piece {file.piece} has no SHA-256")
    if any(moment.tzinfo is None for moment in times.values()):
        raise ValueError(f"piece {file.piece} has a time without its zone")
    return file


def with_files(manifest: Manifest, files: Sequence[File]) -> Manifest:
    """The manifest with other files for some of its pieces."""
    changed = {file.piece: file for file in files}
    return Manifest(manifest.table, manifest.window, tuple(changed.get(file.piece, file) for file in manifest.files))
