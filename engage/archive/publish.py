"""How new files of a window come to count: they get their names, then the manifest, then the replaced ones go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from engage.archive import stored
from engage.archive.manifest import NAME, File, Manifest, as_json, folder, with_files
from engage.archive.place import Place
from engage.archive.record import Turn


def empty(piece: int) -> File:
    """A piece without rows, which has no file."""
    return File(piece, f"{piece:02}.parquet")


def publish(place: Place, turn: Turn, before: Manifest, files: Sequence[File], attempt: str) -> list[File]:
    """Put files in place that have hidden names yet, and write the manifest with them; returns them with their names.

    A process that is killed here leaves the manifest of before or the new one, and all files that it names.
    """
    where = folder(before.table, before.window)
    turn.require()
    named = [_placed(place, where, file, attempt, before.names) for file in files]
    manifest = with_files(before, named)
    hidden = f".{NAME}-{attempt}"
    with stored.writing(place, place.of(where, hidden)) as stream:
        stream.write(as_json(manifest))
    turn.require()
    stored.move(place, where, hidden, NAME)
    stored.clean(place, before.table, before.window, [NAME, *manifest.names])
    return named


def _placed(place: Place, where: str, file: File, attempt: str, taken: Collection[str]) -> File:
    """Give a file its name. One that replaces another has the attempt in it, as readers may still read the other."""
    if not file.rows:
        return file
    name = f"{file.piece:02}.parquet"
    name = f"{file.piece:02}-{attempt}.parquet" if name in taken else name
    stored.move(place, where, file.name, name)
    return replace(file, name=name)
