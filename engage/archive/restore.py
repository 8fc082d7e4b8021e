"""``engage archive restore``: bring a window's events back from the archive into Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import sqlalchemy as sa

from engage.archive import erasure, record
from engage.archive.columns import LOGS, has_text
from engage.archive.manifest import Manifest, folder, read_manifest
from engage.archive.piece_rows import EPOCH
from engage.archive.place import Place
from engage.archive.verify import faults
from engage.archive.write import counted
from engage.errors import ArchiveError
from engage.storage import partitions
from engage.storage.binary_copy import copy_packed, copy_rows, packed
from engage.storage.schema import LOG_TIMES, archive_erasure
from engage.window import Window


@dataclass(frozen=True)
class RestoreSummary:
    """Rows that were brought back, by log. A log that Postgres had already has none."""

    window: str
    restored: dict[str, int]


def restore(engine: sa.Engine, place: Place, window: Window, *, as_of: datetime) -> RestoreSummary:
    """Bring back the events of all logs. Idempotent: what Postgres has already stays as it is.

    Customers who were forgotten since are erased from the archive first, and do not come back.

    Raises:
        ArchiveError: the archive does not have the whole window, or Postgres has other events of it.
    """
    place.require()
    restored = {}
    with record.turn(engine) as turn:
        partitions.ensure(engine, as_of)
        erasure.work_off(engine, place, turn)
        manifests = [read_manifest(place, name, window) for name in LOGS]
        wanted = [manifest for manifest in manifests if not _is_there(engine, manifest)]
        for manifest in wanted:
            for fault in faults(place, manifest):
                raise ArchiveError(f"{window} was not restored: {fault}")
        for manifest in wanted:
            restored[manifest.table] = _restore(engine, place, manifest, as_of)
    return RestoreSummary(f"{window.start:%Y-%m-%d}", restored)


def _is_there(engine: sa.Engine, manifest: Manifest) -> bool:
    """Whether Postgres has the log's window already.

    Raises:
        ArchiveError: it has other events of it.
    """
    table = LOGS[manifest.table]
    with engine.connect() as conn:
        if partitions.find(conn, table, manifest.window) is None:
            return False
        known = record.find(conn, table, manifest.window)
    rows = counted(engine, table, manifest.window)
    if rows == [file.rows for file in manifest.files] and not (known and known.dropped_at):
        return True
    if any(rows):
        raise ArchiveError(
            f"Postgres has {sum(rows):,} events of {table.name} in {manifest.window}, and the archive has "
            f"{manifest.rows:,}, so nothing was changed: a restore would mix them. If Postgres has the right ones, run "
            "`engage archive`. Otherwise delete them first."
        )
    return False


@partitions.retry_lock
def _restore(engine: sa.Engine, place: Place, manifest: Manifest, as_of: datetime) -> int:
    """Build a log's partition aside and attach it, in one transaction."""
    table, window = LOGS[manifest.table], manifest.window
    with engine.begin() as conn:
        fresh = partitions.build_log(conn, table, window)
        for rows in _rows(place, manifest):
            _copy(conn, fresh, rows)
        partitions.lock_seeding(conn)
        partitions.lock_erasing(conn)  # a customer who is forgotten until then is not in the fresh table
        forgotten = sa.select(archive_erasure.c.customer_id)
        conn.execute(sa.delete(fresh).where(fresh.c.customer_id.in_(forgotten)))
        partitions.attach_log(conn, table, window)
        record.mark(conn, table, window, dropped_at=None, restored_at=as_of)
    return manifest.rows


def _rows(place: Place, manifest: Manifest) -> Iterator[Any]:
    """The rows of all files, a row group at a time."""
    for name in manifest.names:
        path = place.of(folder(manifest.table, manifest.window), name)
        with place.reached(), place.filesystem.open_input_file(path) as stream:
            parquet = pq.ParquetFile(stream)
            for n in range(parquet.num_row_groups):
                yield parquet.read_row_group(n)


def _copy(conn: sa.Connection, fresh: sa.Table, rows: Any) -> None:
    """Add rows to the fresh table. Rows without any null have one width, and are added as they are."""
    if has_text(fresh):
        _copy_objects(conn, fresh, rows)
        return
    whole = rows.drop_null()
    if len(whole):
        columns = [_numbers(fresh.c[name], whole[name]) for name in whole.column_names]
        copy_packed(conn, fresh.name, fresh, packed(*columns))
    if len(whole) < len(rows):
        some_null = np.logical_or.reduce([column.is_null().to_numpy() for column in rows.columns])
        _copy_objects(conn, fresh, rows.filter(some_null))


def _numbers(column: sa.Column[Any], values: Any) -> Any:
    numbers = values.cast("int64").to_numpy()
    return numbers - EPOCH if column.name in {time.name for time in LOG_TIMES.values()} else numbers


def _copy_objects(conn: sa.Connection, fresh: sa.Table, rows: Any) -> None:
    columns = (column.to_pylist() for column in rows.columns)
    copy_rows(conn, fresh, rows.column_names, zip(*columns, strict=True))
