"""The archive's sizes, rates and memory: ``python -m benchmarks.archive --customers 200000``.

It seeds a window into a database of its own, archives it, reads it back, and prints a table for docs/archive.md. The
database and the archive are deleted at the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import psutil
import pyarrow.parquet as pq
import sqlalchemy as sa
import typer
from rich.console import Console

from benchmarks.step import HASH_KEY, RNG_SEED
from benchmarks.world import HOME, World, world
from engage import process_signals
from engage.archive import restore, verify, write
from engage.archive.manifest import Manifest, folder, read_manifest
from engage.archive.place import Place, place_of
from engage.local import embedded_postgres
from engage.local.home import Home
from engage.steps.seed import seed
from engage.storage import partitions
from engage.storage.schema import EVENT_TIMES
from engage.window import GRACE

console = Console()


@dataclass
class Measured:
    """What one action took. ``memory`` is the most that a process had, of those that it started; in bytes."""

    seconds: float = 0.0
    memory: int = 0


@contextmanager
def measured() -> Iterator[Measured]:
    """Measure a block. Memory is looked at twenty times a second."""
    found, over = Measured(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(found, over), daemon=True)
    watcher.start()
    begun = time.perf_counter()
    yield found
    found.seconds = time.perf_counter() - begun
    over.set()
    watcher.join()


def _watch(found: Measured, over: threading.Event) -> None:
    this = psutil.Process()
    while not over.wait(0.05):
        for process in this.children():
            if "engage.worker_processes" in (_quiet(process.cmdline) or ()):
                info = _quiet(process.memory_info)
                found.memory = max(found.memory, info.rss if info else 0)


def _quiet(ask: Callable[[], Any]) -> Any:
    """What a process answers; None if it has ended."""
    try:
        return ask()
    except psutil.Error:
        return None


def main(customers: Annotated[int, typer.Option(help="Number of synthetic customers.")] = 200_000) -> None:
    """Measure, and print a table."""
    with (
        embedded_postgres.postgres(Home(HOME)) as host,
        world(host, customers) as here,
        TemporaryDirectory(dir=HOME) as name,
    ):
        with console.status("seeding"):
            seed(here.engine, here.window, customers, RNG_SEED, hash_key=HASH_KEY)
            here.warm()
        place, as_of = place_of(Path(name).as_uri()), here.window.end + GRACE
        with console.status("archiving"), measured() as wrote:
            done = write.archive(here.engine, place, as_of=as_of)
        with measured() as again:
            write.archive(here.engine, place, as_of=as_of)
        manifests = [read_manifest(place, log.name, here.window) for log in EVENT_TIMES]
        with console.status("reading"), measured() as read:
            rows = sum(_rows(place, manifest) for manifest in manifests)
        assert rows == done.rows == here.events
        with console.status("verifying"), measured() as verified:
            assert not [fault for manifest in manifests for fault in verify.faults(place, manifest)]
        sizes = "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent IN ({})"
        size = here.value(sizes.format(_parents(here)))
        _drop(here)
        with console.status("restoring"), measured() as restored:
            restore.restore(here.engine, place, here.window, as_of=as_of)
        _print(done, int(size), wrote, again, read, verified, restored)


def _parents(here: World) -> str:
    return ", ".join(f"'{partitions.partition_name(log, here.window)}'::regclass" for log in EVENT_TIMES)


def _rows(place: Place, manifest: Manifest) -> int:
    """Read every value of a window's files."""
    where = folder(manifest.table, manifest.window)
    return sum(len(pq.read_table(place.of(where, name), partitioning=None)) for name in manifest.names)


def _drop(here: World) -> None:
    """Drop the window, as retention does."""
    for log in EVENT_TIMES:
        with here.engine.begin() as conn:
            partitions.drop_events(conn, log, here.window)
            conn.execute(sa.text("UPDATE archived_log SET dropped_at = archived_at"))


def _print(done: write.ArchiveSummary, size: int, *actions: Measured) -> None:
    names = ("write, two processes", "a second time (counts only)", "read all with pyarrow", "verify", "restore")
    console.print(
        f"{done.rows:,} events: {done.bytes / done.rows:.2f} B a row, in Postgres {size / done.rows:.1f} B a row\n"
    )
    console.print("| action | seconds | events a second | most memory of each process |\n|---|---|---|---|")
    for name, action in zip(names, actions, strict=True):
        rate = f"{done.rows / action.seconds / 1e6:.1f} M"
        memory = f"{action.memory / 1e6:.0f} MB" if action.memory else ""
        console.print(f"| {name} | {action.seconds:.1f} | {rate} | {memory} |")


if __name__ == "__main__":
    process_signals.interrupt_on_signals()
    typer.run(main)
