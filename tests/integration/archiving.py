"""An archive in a folder, with the events of a test's window, and a look at both."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa

from engage import maintenance
from engage.archive import restore, verify, write
from engage.archive.manifest import Manifest, folder, read_manifest
from engage.archive.place import Place, place_of
from engage.campaigns.valid_events import MAX_AMOUNT_CENTS
from engage.storage import partitions
from engage.storage.schema import LOG_TIMES, app_event, app_session, purchase, refund
from engage.window import Window
from tests.integration.conftest import World

Rows = Counter[tuple[Any, ...]]


@dataclass
class Archiving:
    """A world whose ended windows go to ``folder``."""

    world: World
    folder: Path

    @property
    def place(self) -> Place:
        return place_of(self.folder.as_uri())

    def fill(self, customers: int = 40) -> None:
        """Events of the window with every class of dirt."""
        world = self.world
        partitions.ensure_windows(world.engine, [world.window])
        for customer_id in [*range(1, customers + 1), None]:
            for n in range(3):
                world.sessions(customer_id, at=world.window.start + timedelta(hours=n, microseconds=7))
            world.purchase(customer_id, 100)
            world.app_event(customer_id, "viewed", "pie")
            world.refund(customer_id, 5)
        for amount in (None, -1, MAX_AMOUNT_CENTS + 1, 0, 2**63 - 1):
            world.purchase(1, amount, at=world.window.end - timedelta(microseconds=1))
        for item in (None, "", "crème brûlée"):
            world.app_event(None, "liked", item, at=world.window.start)
        world.sessions(2**62)
        for at in (None, "infinity"):
            world.sessions(1, at=at)

    def write(self, **options: Any) -> write.ArchiveSummary:
        return write.archive(self.world.engine, self.place, as_of=self.world.now, **options)

    def maintain(self, keep_windows: int = 1) -> maintenance.MaintenanceSummary:
        return maintenance.maintain(self.world.engine, keep_windows, as_of=self.world.now, archive=self.place)

    def restore(self) -> dict[str, int]:
        return restore.restore(self.world.engine, self.place, self.world.window, as_of=self.world.now).restored

    def manifest(self, log: sa.Table = app_session, window: Window | None = None) -> Manifest:
        return read_manifest(self.place, log.name, window or self.world.window)

    def paths(self, log: sa.Table = app_session) -> dict[str, Path]:
        """All files of a log's window by name, hidden ones too."""
        return {path.name: path for path in (self.folder / folder(log.name, self.world.window)).iterdir()}

    def first(self, log: sa.Table = app_session) -> Path:
        """A file with rows."""
        return self.paths(log)[self.manifest(log).names[0]]

    def faults(self, *logs: sa.Table) -> list[str]:
        return [fault for log in logs or LOG_TIMES for fault in verify.faults(self.place, self.manifest(log))]

    def archived(self, log: sa.Table) -> Rows:
        """The rows of the files that the manifest names."""
        paths = self.paths(log)
        tables = (pq.ParquetFile(paths[name]).read() for name in self.manifest(log).names)
        return Counter(tuple(row.values()) for table in tables for row in table.to_pylist())

    def logged(self, log: sa.Table) -> Rows:
        """The rows of the window in Postgres."""
        time = LOG_TIMES[log]
        within = sa.and_(time >= self.world.window.start, time < self.world.window.end)
        return Counter(self.world.rows(sa.select(log).where(within)))

    def snapshot(self) -> dict[str, tuple[int, bytes]]:
        """Every file of the archive, with the time of its last change and its content."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


LOGS = (app_session, purchase, app_event, refund)
