"""``engage archive``: write ended windows of the logs to the archive.

A window is complete if each piece has as many rows in Postgres as the manifest says. Other pieces are written anew, so
that a late event gets into the archive too.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import NamedTuple

import sqlalchemy as sa

from engage import worker_processes
from engage.archive import erasure, piece_file, piece_rows, publish, record, stored
from engage.archive.columns import LOGS
from engage.archive.manifest import NAME, File, Manifest, find_manifest, folder
from engage.archive.place import Place
from engage.archive.record import Turn
from engage.errors import ArchiveError
from engage.storage import connection, partitions
from engage.window import GRACE, Window

log = logging.getLogger(__name__)

PROCESSES = 2
FEW = 200_000
"""Rows for which no process is started: one process writes them in the time that the start of another takes."""
_LOST = "A process that writes to the archive has ended, perhaps for want of memory. Run `engage archive` again."


@dataclass(frozen=True)
class ArchiveSummary:
    """Windows that got their manifest, pieces that were written, with their rows and bytes, and erased customers."""

    windows: list[str]
    pieces: int
    rows: int
    bytes: int
    erased_customers: int


class _Source(NamedTuple):
    """What a process needs to write pieces."""

    url: sa.URL
    place: Place
    table: str
    window: Window
    attempt: str


def archive(engine: sa.Engine, place: Place, *, as_of: datetime, recount: bool = True) -> ArchiveSummary:
    """Write what is due, and erase forgotten customers. Idempotent; a second run writes nothing.

    Without ``recount``, of the windows that have a manifest only the last complete one is counted again.

    Raises:
        ArchiveError: the place cannot be used, another process is at work on it, or it belongs to another database.
    """
    place.require()
    windows: list[str] = []
    written: list[File] = []
    with record.turn(engine) as turn:
        for table, window in _due(engine, as_of):
            if files := _write(engine, place, turn, table, window, as_of=as_of, recount=recount):
                windows.append(f"{table.name} {window.start:%Y-%m-%d}")
                written += files
        erased = erasure.work_off(engine, place, turn)
    return ArchiveSummary(
        windows, len(written), sum(file.rows for file in written), sum(file.bytes for file in written), erased
    )


def _due(engine: sa.Engine, as_of: datetime) -> list[tuple[sa.Table, Window]]:
    """The logs' windows that have ended and that Postgres has, the oldest first."""
    with engine.connect() as conn:
        found = [(table, window) for table in LOGS.values() for window in partitions.windows_of(conn, table)]
        gone = {(one.log, one.window) for one in record.every(conn) if one.dropped_at}
    ended = [(t, w) for t, w in found if w.end + GRACE <= as_of and (t.name, w) not in gone]
    return sorted(ended, key=lambda one: (one[1], one[0].name))


def _write(
    engine: sa.Engine, place: Place, turn: Turn, table: sa.Table, window: Window, *, as_of: datetime, recount: bool
) -> Sequence[File]:
    """Write the pieces of a log's window that are missing or differ; returns their files."""
    found = find_manifest(place, table.name, window)
    if found and not recount and window != Window.containing(as_of - GRACE).previous():
        return ()
    counts = counted(engine, table, window)
    stale = [piece for piece, rows in enumerate(counts) if found is None or found.files[piece].rows != rows]
    if stale:
        _refuse_foreign(engine, place, table, window, found)
    record.register(engine, table, window, as_of)
    if found and not stale:
        return ()
    before = found or Manifest(table.name, window, tuple(map(publish.empty, range(len(counts)))))
    attempt = secrets.token_hex(4)
    stored.clean(place, table.name, window, [NAME, *(before.names if found else ())])
    source = _Source(engine.url, place, table.name, window, attempt)
    with_rows = [piece for piece in stale if counts[piece]]
    processes = PROCESSES if sum(counts[piece] for piece in with_rows) > FEW else 1
    fresh = worker_processes.done(partial(write_piece, source), with_rows, processes, lost=_LOST)
    files = [publish.empty(n) for n in stale if not counts[n]]
    replaced = publish.publish(place, turn, before, [*files, *fresh], attempt)
    log.info("archived %s of %s: %s pieces, %s rows", table.name, window, len(stale), sum(f.rows for f in replaced))
    return replaced


def counted(engine: sa.Engine, table: sa.Table, window: Window) -> list[int]:
    """How many rows each hash piece of a log's window has in Postgres."""
    with engine.begin() as conn:
        connection.tune(conn)
        return [*partitions.rows_by_piece(conn, table, window)]


def _refuse_foreign(engine: sa.Engine, place: Place, table: sa.Table, window: Window, found: Manifest | None) -> None:
    """Refuse to overwrite what another database, or another program, may have written."""
    with engine.connect() as conn:
        if record.find(conn, table, window):
            return
    where = folder(table.name, window)
    if found:
        raise ArchiveError(
            f"The archive {place} has {table.name} of {window}, with other rows than this database, which never wrote "
            "it. If it is another database's archive, name another folder in ENGAGE_ARCHIVE_URL. If this database "
            f"comes from a backup, move {where} away, and run `engage archive` again."
        )
    if files := stored.files(place, table.name, window):
        raise ArchiveError(
            f"{place.of(where)} has files that no manifest of Engage names, such as {files[0].base_name}. If they are "
            "a lake's, name a folder of Engage's own in ENGAGE_ARCHIVE_URL. Otherwise move them away, and run `engage "
            "archive` again."
        )


def write_piece(source: _Source, piece: int) -> File:
    """Write one piece under a hidden name, from one snapshot of the database.

    Raises:
        ArchiveError: the place cannot be used.
    """
    table = LOGS[source.table]
    rows = partitions.piece_of(table, source.window, piece)
    with _engine(source.url).connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        connection.tune(conn)
        counts = piece_rows.count(conn, table, rows)
        with closing(piece_rows.blocks(conn, table, rows, counts)) as blocks:
            written = piece_file.write(source.place, table, source.window, piece, blocks, attempt=source.attempt)
    if written.rows != counts["rows"]:
        raise ArchiveError(f"{rows.name} has {counts['rows']} rows, and COPY gave {written.rows}. Try again.")
    return written


@lru_cache(maxsize=1)
def _engine(url: sa.URL) -> sa.Engine:
    """The same for all pieces that this process writes. It keeps no connection open."""
    return connection.connect(url, poolclass=sa.NullPool)
