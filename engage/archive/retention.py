"""Whether the archive has all of a window, so that Postgres may drop it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta

import sqlalchemy as sa

from engage.archive import record
from engage.archive.columns import LOGS
from engage.archive.manifest import folder, read_manifest
from engage.archive.place import Place
from engage.archive.verify import faults
from engage.archive.write import counted
from engage.errors import ArchiveError
from engage.storage import partitions
from engage.window import Window

KEEP_RESTORED = timedelta(days=7)
"""How long a restored window stays, before it may be dropped again."""


@contextmanager
def unchanged(engine: sa.Engine, place: Place, window: Window, *, as_of: datetime) -> Iterator[str | None]:
    """Keep other processes off the archive, and yield why a window must stay in Postgres: a sentence.

    It is None if the archive has all of the window. Each file is read. An event that arrives after that, long after its
    window, is deleted as any late event of a dropped window is.
    """
    with ExitStack() as block:
        yield _hindrance(block, engine, place, window, as_of)


def _hindrance(block: ExitStack, engine: sa.Engine, place: Place, window: Window, as_of: datetime) -> str | None:
    try:
        block.enter_context(record.turn(engine))
        place.require()
        reasons = (_of_log(engine, place, table, window, as_of) for table in LOGS.values())
        return next((reason for reason in reasons if reason), None)
    except ArchiveError as exc:
        return str(exc)


def _of_log(engine: sa.Engine, place: Place, table: sa.Table, window: Window, as_of: datetime) -> str | None:
    with engine.connect() as conn:
        known = record.find(conn, table, window)
        if partitions.find(conn, table, window) is None or (known and known.dropped_at):
            return None  # what has come since then is late
    if known and known.restored_at and as_of < known.restored_at + KEEP_RESTORED:
        return f"It was restored from the archive less than {KEEP_RESTORED.days} days ago."
    manifest = read_manifest(place, table.name, window)
    held, rows = [file.rows for file in manifest.files], counted(engine, table, window)
    if held != rows:
        return (
            f"{folder(table.name, window)} in the archive has {sum(held):,} rows, and Postgres has {sum(rows):,}. "
            "`engage archive` writes what is missing."
        )
    return next(faults(place, manifest), None)
