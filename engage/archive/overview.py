"""What the archive holds, and where each window's events are: for ``engage archive list`` and ``verify``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engage.archive import erasure, record
from engage.archive.columns import LOGS
from engage.archive.manifest import find_manifest, read_manifest
from engage.archive.place import Place
from engage.archive.verify import faults
from engage.errors import ArchiveError
from engage.storage import partitions
from engage.window import Window


@dataclass(frozen=True)
class ArchivedWindow:
    """A log's window in the archive. ``whole``: it has a manifest. ``in_postgres``: the events are there as well."""

    log: str
    window: Window
    whole: bool
    rows: int
    bytes: int
    in_postgres: bool
    dropped_at: datetime | None
    restored_at: datetime | None


def overview(engine: sa.Engine, place: Place) -> list[ArchivedWindow]:
    """All windows in the archive, by window and log.

    Raises:
        ArchiveError: the archive cannot be reached.
    """
    place.require()
    with engine.connect() as conn:
        known = record.every(conn)
        there = {(name, window) for name, log in LOGS.items() for window in partitions.windows_of(conn, log)}
    found = [(one, find_manifest(place, one.log, one.window)) for one in known]
    return [
        ArchivedWindow(
            one.log, one.window, manifest is not None,
            manifest.rows if manifest else 0, manifest.bytes if manifest else 0,
            (one.log, one.window) in there and not one.dropped_at, one.dropped_at, one.restored_at,
        )
        for one, manifest in found
    ]  # fmt: skip


def waiting(engine: sa.Engine) -> int:
    """How many forgotten customers are yet to be erased from the archive."""
    with engine.connect() as conn:
        return len({customer_id for customer_id, _ in erasure.waiting(conn)})


def verified(engine: sa.Engine, place: Place, window: Window | None) -> Iterator[tuple[str, Window, list[str]]]:
    """Each log and window in the archive with what is wrong with its files; of one ``window``, or of all.

    Raises:
        ArchiveError: the archive cannot be reached, or has nothing of the window.
    """
    place.require()
    with engine.connect() as conn:
        known = [one for one in record.every(conn) if window in (None, one.window)]
    if window and not known:
        raise ArchiveError(f"The archive {place} has nothing of the window {window}. `engage archive list` shows all.")
    for one in known:
        try:
            found = [*faults(place, read_manifest(place, one.log, one.window))]
        except ArchiveError as exc:
            found = [str(exc)]
        yield one.log, one.window, found
