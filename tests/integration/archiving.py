"""An archive in a folder, with the events of a test's window, and a look at both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
        partitions.ensure_windows(self.world.engine, [self.world.window])
        start, end = self.world.window.start, self.world.window.end
        last, inside = end - timedelta(microseconds=1), start + timedelta(days=3)
        ids = [*range(1, customers + 1), None]
        hours = [start + timedelta(hours=n, microseconds=7) for n in range(3)]
        amounts = (None, -1, MAX_AMOUNT_CENTS + 1, 0, 2**63 - 1)
        rows: dict[sa.Table, list[tuple[Any, ...]]] = {
            app_session: [(id_, at) for id_ in ids for at in hours] + [(2**62, inside), (1, None), (1, "infinity")],
            purchase: [(id_, inside, 100) for id_ in ids] + [(1, last, amount) for amount in amounts],
            app_event: [(id_, inside, "viewed", "pie") for id_ in ids]
            + [(None, start, "liked", item) for item in (None, "", "crème brûlée")],
            refund: [(id_, inside, 5) for id_ in ids],
        }
        for log, theirs in rows.items():
            names = [column.name for column in log.columns]
            self.world.execute(sa.insert(log), [dict(zip(names, row, strict=True)) for row in theirs])

    def write(self, **options: Any) -> write.ArchiveSummary:
        return write.archive(self.world.engine, self.place, as_of=self.world.now, **options)

    def maintain(self, keep_windows: int = 1) -> maintenance.MaintenanceSummary:
        return maintenance.maintain(self.world.engine, keep_windows, as_of=self.world.now, archive=self.place)

    def restore(self) -> dict[str, int]:
        return restore.restore(self.world.engine, self.place, self.world.window, as_of=self.world.now).restored

    def killed(self, action: str, url: str, step: int) -> None:
        """Archive or erase in a process that is killed at its n-th step."""
        script = Path(__file__).with_name("archive_crash.py")
        arguments = [action, url, self.folder.as_uri(), self.world.now.isoformat(), str(step)]
        environment = os.environ | {"PYTHONPATH": str(script.parents[2])}
        done = subprocess.run([sys.executable, str(script), *arguments], env=environment, check=False)
        assert done.returncode == -signal.SIGKILL

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
