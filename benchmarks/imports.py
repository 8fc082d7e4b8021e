"""Files of customers and events beside a raw COPY of their rows: ``python -m benchmarks.imports``.

Each file is made first. The import runs in a process of its own. Afterwards the rows that it added are copied into
plain tables, on the same database.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import document
from benchmarks.step import HASH_KEY, now, peak_mb
from benchmarks.world import HOME, World
from benchmarks.world import world as world_of
from engage.imports import customers as customer_import
from engage.imports import events as event_import
from engage.imports.rejected import RejectedRows
from engage.imports.report import Job, Options
from engage.local import embedded_postgres
from engage.local.home import Home
from engage.storage import connection

CUSTOMERS, EVENTS = 1_000_000, 10_000_000
_TABLES = {"customers": ("customer",), "customers again": ("customer",), "events": ("app_session", "purchase")}
_FIRST, _LAST = ("Ada", "José", "Mei", "Olga", "Kofi", "Zoë"), ("Diaz", "Müller", "Okafor", "Smith", "Ivanova")


def measure(host: str, customers: int = CUSTOMERS, events: int = EVENTS) -> dict[str, Any]:
    """Seconds, rows and peak memory of each import, and the seconds of a raw COPY of the same rows."""
    runs: dict[str, Any] = {}
    with world_of(host, customers) as world, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = {"customers": _customers(folder, customers), "events": _events(folder, world, customers, events)}
        made["customers again"] = made["customers"]
        for kind, tables in _TABLES.items():
            world.settle()
            runs[kind] = _imported(kind, made[kind], world)
            runs[kind]["raw_copy"] = _raw_copy(world, tables)
    return {"date": f"{now():%Y-%m-%d}", "runs": runs}


def _customers(folder: Path, count: int) -> Path:
    """Phones of Germany, half of them without the country's code; every tenth customer without a consent."""
    draw = random.Random(1)  # noqa: S311 - no secret

    def lines() -> Iterator[str]:
        yield "Customer ID,Full Name,Mobile,Language,Time zone,Registered,Consent date,Consent source\n"
        for number in range(1, count + 1):
            name = f"{draw.choice(_FIRST)} {draw.choice(_LAST)}"
            phone = f"{'+49170' if number % 2 else '0170 '}{number:07}"
            consent = "2026-01-05T09:00:00Z,till" if number % 10 else ","
            yield f"{number},{name},{phone},de-DE,Europe/Berlin,2025-03-{number % 28 + 1:02},{consent}\n"

    return _written(folder / "customers.csv", lines())


def _events(folder: Path, world: World, customers: int, count: int) -> Path:
    """Five sessions to one purchase, in the last complete window."""
    draw = random.Random(2)  # noqa: S311 - no secret

    def lines() -> Iterator[str]:
        yield "type,customer_id,occurred_at,amount\n"
        days = [f"{world.window.start.date().fromordinal(world.window.start.toordinal() + day)}" for day in range(56)]
        for number in range(count):
            when = f"{days[number % 56]}T{number % 24:02}:{number % 60:02}:00Z"
            customer = draw.randrange(1, customers + 1)
            kind = f"session,{customer},{when}," if number % 6 else f"purchase,{customer},{when},{number % 90}.50"
            yield f"{kind}\n"

    return _written(folder / "events.csv", lines())


def _written(path: Path, lines: Iterable[str]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines)
    return path


def _imported(kind: str, path: Path, world: World) -> dict[str, Any]:
    """Import a file in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.imports", "--import", kind.split(maxsplit=1)[0], str(path)]
    url = world.url.render_as_string(hide_password=False)
    done = subprocess.run([*command, url], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{kind} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1])) | {"file_mb": path.stat().st_size / 2**20}


def import_file(kind: str, path: str, url: str) -> None:
    """Import a file, and print what it took as JSON."""
    engine = connection.connect(url)
    with engine.connect(), Path(path).open("rb") as file, RejectedRows(Path(f"{path}.rejected.csv")) as rows:
        job = Job(Options(country="DE"), now(), rows)
        begun = time.perf_counter()
        if kind == "customers":
            report = customer_import.apply(engine, file, job, hash_key=HASH_KEY)
        else:
            report = event_import.apply(engine, file, job, currency="USD")
        seconds = time.perf_counter() - begun
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    found = {"rows": report.read, "added": report.added, "rejected": report.rejected, "seconds": seconds}
    print(json.dumps(found | {"peak_mb": peak_mb(), "worker_mb": workers}))  # noqa: T201


def _raw_copy(world: World, tables: Iterable[str]) -> float:
    """Seconds of a COPY of the rows, with its commit, from files into tables without partitions, keys or indexes."""
    with _server_folder(world) as folder:
        for table in tables:
            world.run(f"COPY (SELECT * FROM {table}) TO '{folder / table}' (FORMAT binary)")
        world.settle()
        create = ";".join(f"CREATE TABLE raw_{table} (LIKE {table})" for table in tables)
        copy = ";".join(f"COPY raw_{table} FROM '{folder / table}' (FORMAT binary)" for table in tables)
        seconds = world.seconds(f"{create};{copy}")
        world.run(f"DROP TABLE {', '.join(f'raw_{table}' for table in tables)}")
        return seconds


@contextmanager
def _server_folder(world: World) -> Iterator[Path]:
    """A folder where the database server, which is another user, may write."""
    folder = Path(world.value("SELECT current_setting('data_directory')")) / "bench_imports"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def main(
    customers: Annotated[int, typer.Option(help="Rows of the file of customers.")] = CUSTOMERS,
    events: Annotated[int, typer.Option(help="Rows of the file of events.")] = EVENTS,
) -> None:
    """Measure, and print seconds, rows a second beside raw COPY, and peak memory."""
    console = Console()
    with embedded_postgres.postgres(Home(HOME)) as host, console.status("imports"):
        found = measure(host, customers, events)
    written = document.imports(found)
    console.print(Markdown(written) if console.is_terminal else written, soft_wrap=not console.is_terminal)
    shutil.rmtree(HOME / "postgres", ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--import"]:
        import_file(*sys.argv[2:])
    else:
        typer.run(main)
