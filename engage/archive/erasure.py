"""Forgotten customers: their piece of each archived window is written anew without them.

``customers.erasure`` notes each one in the table ``archive_erasure``, in the transaction that deletes the customer, as
the service and the pages do not reach the archive.
"""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from pyarrow import compute

from engage.archive import piece_file, publish, record, stored
from engage.archive.columns import LOGS
from engage.archive.manifest import NAME, File, Manifest, find_manifest, folder, read_manifest
from engage.archive.place import Place
from engage.archive.record import Archived, Turn
from engage.errors import ArchiveError
from engage.storage import partitions
from engage.storage.schema import archive_erasure

log = logging.getLogger(__name__)

_WAY_OUT = "Put the file back from a backup, and run `engage archive` again."
Pieces = dict[int, list[int]]
"""Customers by the hash piece that holds their events."""


def waiting(conn: sa.Connection) -> list[tuple[int, Any]]:
    """The customers whom the archive may still hold, each with the time of the request."""
    query = sa.select(archive_erasure.c.customer_id, archive_erasure.c.requested_at)
    return [(customer_id, at) for customer_id, at in conn.execute(query.order_by(archive_erasure.c.requested_at))]


def erase(engine: sa.Engine, place: Place) -> int:
    """Erase the forgotten customers at once; returns their number.

    Raises:
        ArchiveError: the place cannot be used, or a file of it is damaged.
    """
    place.require()
    with record.turn(engine) as turn:
        return work_off(engine, place, turn)


def work_off(engine: sa.Engine, place: Place, turn: Turn) -> int:
    """As ``erase``, for a process that has the turn. If it is killed, the next run does the rest.

    A customer who is forgotten from now on waits for the next run: all files so far are of the time before.
    """
    with engine.connect() as conn:
        requests = waiting(conn)
        if not requests:
            return 0
        pieces: Pieces = defaultdict(list)
        for customer_id in sorted({customer_id for customer_id, _ in requests}):
            pieces[partitions.piece_number(conn, customer_id)].append(customer_id)
        windows = record.every(conn)
    rewritten = sum(_erase_in(place, turn, archived, pieces) for archived in windows)
    log.info("%s forgotten customers: %s files of the archive written anew", len(requests), rewritten)
    with engine.begin() as conn:
        for customer_id, at in requests:
            theirs = sa.and_(archive_erasure.c.customer_id == customer_id, archive_erasure.c.requested_at == at)
            conn.execute(sa.delete(archive_erasure).where(theirs))
    return len({customer_id for customer_id, _ in requests})


def _erase_in(place: Place, turn: Turn, archived: Archived, pieces: Pieces) -> int:
    """Write the files of a log's window anew that hold one of the customers; returns their number."""
    read = read_manifest if archived.dropped_at else find_manifest
    manifest = read(place, archived.log, archived.window)
    stored.clean(place, archived.log, archived.window, [NAME, *manifest.names] if manifest else [])
    if manifest is None:  # a writer was killed, and Postgres still has the events
        return 0
    attempt = secrets.token_hex(4)
    found = (
        _without(place, manifest, manifest.files[piece], customers, attempt) for piece, customers in pieces.items()
    )
    changed = [file for file in found if file]
    if changed:
        publish.publish(place, turn, manifest, changed, attempt)
    return len(changed)


def _without(place: Place, manifest: Manifest, file: File, customers: Collection[int], attempt: str) -> File | None:
    """Write a piece's file without some customers, under a hidden name; None if it holds none of them.

    Raises:
        ArchiveError: the file is missing or damaged, so that its other rows cannot be kept.
    """
    if not file.rows:
        return None
    path = place.of(folder(manifest.table, manifest.window), file.name)
    try:
        with place.reached(), place.filesystem.open_input_file(path) as stream:
            found = pq.ParquetFile(stream)
            groups = [n for n in range(found.num_row_groups) if _may_hold(found.metadata.row_group(n), customers)]
            if not any(_holds(found.read_row_group(n, ["customer_id"]), customers) for n in groups):
                return None
            _require_whole(place, path, file)
            kept = _kept(found, customers)
            return piece_file.write(place, LOGS[manifest.table], manifest.window, file.piece, kept, attempt=attempt)
    except (FileNotFoundError, pa.ArrowException) as exc:
        raise ArchiveError(
            f"{path} is missing or damaged, so forgotten customers cannot be removed from it ({exc}). {_WAY_OUT}"
        ) from None


def _may_hold(group: Any, customers: Collection[int]) -> bool:
    """Whether a row group may hold one of the customers, by its least and greatest customer."""
    bounds = group.column(0).statistics
    if bounds is None or not bounds.has_min_max:
        return bounds is None or bounds.null_count < group.num_rows
    return any(bounds.min <= customer_id <= bounds.max for customer_id in customers)


def _holds(rows: Any, customers: Collection[int]) -> bool:
    return bool(compute.any(_theirs(rows, customers)).as_py())


def _kept(found: Any, customers: Collection[int]) -> Iterator[Any]:
    for n in range(found.num_row_groups):
        rows = found.read_row_group(n)
        if len(kept := rows.filter(compute.invert(_theirs(rows, customers)))):
            yield kept


def _theirs(rows: Any, customers: Collection[int]) -> Any:
    return compute.is_in(rows["customer_id"], value_set=pa.array(customers, pa.int64()))


def _require_whole(place: Place, path: str, file: File) -> None:
    """Make sure that the file is the one of the manifest, whose other rows may be kept."""
    if stored.sha256_of(place, path) != (file.bytes, file.sha256):
        raise ArchiveError(
            f"{path} is not as its manifest says, so forgotten customers cannot be removed from it. {_WAY_OUT}"
        )
