"""Times Spark and Sail beside Postgres: ``python -m benchmarks.spark --customers 200000 --servers sail,spark``.

Both read the archive of the same window, whose events have every class of dirt. *cold* is the first aggregate after
the server has started, *start* the time until the server listens. Every engine's rows must equal those of Postgres.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import dirt, document
from benchmarks.spark_servers import served
from benchmarks.step import HASH_KEY, now
from benchmarks.world import HOME, World
from benchmarks.world import world as world_of
from engage import process_signals
from engage.archive.place import place_of
from engage.archive.write import archive
from engage.campaigns.run_options import RunOptions
from engage.local import embedded_postgres
from engage.local.home import CHECKOUT, Home
from engage.settings import Settings
from engage.spark import Attempt, Definition, Spark
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract

REPETITIONS = 3
RESULTS = tuple(f"SELECT * FROM {table} ORDER BY customer_id" for table in ("customer_activity", "customer_bucket"))
COUNTS = "SELECT events, rejected, customers FROM campaign"


def main(
    customers: Annotated[int, typer.Option(help="Number of synthetic customers.")] = 200_000,
    servers: Annotated[str, typer.Option(help="sail, spark, or both with a comma between them.")] = "sail,spark",
) -> None:
    """Measure, compare, and print a table."""
    console = Console()
    with embedded_postgres.postgres(Home(HOME)) as host, console.status("engines"):
        found = measure(host, customers, servers.split(","))
    written = document.engines(found)
    console.print(Markdown(written) if console.is_terminal else written, soft_wrap=not console.is_terminal)
    shutil.rmtree(HOME / "postgres", ignore_errors=True)


def installed() -> list[str]:
    """The servers that this checkout has."""
    here = {"sail": find_spec("pysail") is not None, "spark": any(CHECKOUT.glob(".venv-spark/installed"))}
    return [name for name, is_here in here.items() if is_here]


def measure(host: str, customers: int, servers: list[str]) -> dict[str, Any]:
    """The seconds of each engine, and the size of the archive."""
    with world_of(host, customers) as world, tempfile.TemporaryDirectory() as name:
        return {"date": f"{now():%Y-%m-%d}"} | measured(world, Path(name), servers)


def measured(world: World, folder: Path, servers: list[str]) -> dict[str, Any]:
    """As ``measure``, of a world that is there."""
    place = folder / "archive"
    place.mkdir()
    dirt.fill(world.engine, world.window, world.customers)
    wrote, written = _seconds(lambda: archive(world.engine, place_of(place.as_uri()), as_of=now()))
    world.warm()
    found: dict[str, Any] = {
        "customers": world.customers,
        "events": world.events,
        "archive": {"seconds": wrote, "bytes_a_row": written.bytes / written.rows},
    }
    _open(world, "postgres")
    found["postgres"] = _aggregates(world, REPETITIONS)
    expected = _results(world)
    for name in servers:
        with _timed_server(name, folder) as (started, port):
            _open(world, "spark")
            cold, *warm = _aggregates(world, REPETITIONS + 1, _spark(place, port))
        if _results(world) != expected:
            raise RuntimeError(f"{name} has other rows than Postgres.")
        found[name] = {"start": started, "cold": cold, "warm": warm}
    return found


def _aggregates(world: World, times: int, spark: Spark | None = None) -> list[float]:
    sums = None if spark is None else lambda: spark
    return [_seconds(lambda: aggregate(world.engine, world.window, sums))[0] for _ in range(times)]


def _results(world: World) -> list[list[tuple[Any, ...]]]:
    bucket(world.engine, world.window)
    with world.engine.connect() as conn:
        return [[tuple(row) for row in conn.exec_driver_sql(query)] for query in (*RESULTS, COUNTS)]


def _open(world: World, engine: str) -> None:
    settings = Settings(engine=engine)
    extract(world.engine, world.window, settings, as_of=now(), run_id="benchmark", options=RunOptions())


def _spark(place: Path, port: int) -> Spark:
    definition = Definition.of("engage_spark", host="127.0.0.1", port=port, extra={}, archive=place.as_uri())
    numbers = iter(range(1, 1_000_000))
    return Spark(definition, lambda purpose: Attempt(HASH_KEY, f"{time.time_ns()} {purpose} {next(numbers)}"))


@contextmanager
def _timed_server(name: str, folder: Path) -> Iterator[tuple[float, int]]:
    begun = time.perf_counter()
    with served(name, folder) as port:
        yield time.perf_counter() - begun, port


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    done = work()
    return round(time.perf_counter() - begun, 3), done


if __name__ == "__main__":
    process_signals.interrupt_on_signals()
    typer.run(main)
