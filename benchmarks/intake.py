"""Measures the HTTP service's intake: large batches, half of the promised rate, single events; and a raw COPY."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks import document
from benchmarks.step import HASH_KEY, now
from benchmarks.world import EVENTS, HOME, World
from benchmarks.world import world as world_of
from engage import process_signals
from engage.local import embedded_postgres
from engage.local.home import Home
from engage.service import api_keys
from engage.storage import partitions

PROMISED = 40_000
"""Events a second."""
SECONDS = 10
PLAIN, WITH_IDS = "batches of 500", "batches of 500, each event with an id"
RUNS = {
    PLAIN: ["--batch", "500"],
    WITH_IDS: ["--batch", "500", "--ids"],
    "batches of 500, at half the rate promised": ["--batch", "500", "--rate", str(PROMISED // 2)],
    "single events": ["--batch", "1", "--connections", "32"],
}


def measure(host: str) -> dict[str, Any]:
    """Send events to a real service from another process on this machine, and check that all are stored."""
    with world_of(host, 1_000_000) as world:
        partitions.ensure_windows(world.engine, [world.window])
        with world.engine.begin() as conn:
            key = api_keys.create(conn, "benchmark", ["events"], 0, as_of=now())
        postgres = psutil.Process(int((Path(host) / "postmaster.pid").read_text().split()[0]))
        with _service(world) as (port, service):
            watched = {"service": service, "postgres": postgres}
            runs = {name: _load(world, port, key, options, watched) for name, options in RUNS.items()}
        stored = world.events
        if stored != (sent := sum(run["events"] for run in runs.values())):
            raise AssertionError(f"{sent} events were acknowledged and {stored} are stored")
        with tempfile.TemporaryDirectory(dir=world.value("SELECT current_setting('data_directory')")) as folder:
            Path(folder).chmod(0o777)  # the database server writes there as another user
            world.dump(Path(folder))
            seconds = world.raw_copy(Path(folder))
            for table in EVENTS:
                (Path(folder) / table).unlink()
        return {
            "runs": runs,
            "compared": [PLAIN, WITH_IDS],
            "promised": PROMISED,
            "rows": stored,
            "raw_copy": stored / seconds,
        }


def _load(
    world: World, port: int, key: str, options: list[str], watched: dict[str, psutil.Process]
) -> dict[str, float]:
    """Rates, latencies, and each watched process's time on the processors for an event, in seconds."""
    start = f"{world.window.start:%Y-%m-%d}"
    common = ["--port", str(port), "--key", key, "--seconds", str(SECONDS), "--start", start]
    command = [sys.executable, "-m", "benchmarks.load", *common, *options]
    before = {name: _processor_time(process) for name, process in watched.items()}
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    spent = {name: _processor_time(process) - before[name] for name, process in watched.items()}
    return found | {f"{name}_time": seconds / found["events"] for name, seconds in spent.items()}


def _processor_time(process: psutil.Process) -> float:
    """Seconds that a process and its children have used. The service keeps its connections, so no child ends."""
    times = [one.cpu_times() for one in (process, *process.children())]
    return sum(one.user + one.system for one in times)


@contextmanager
def _service(world: World) -> Iterator[tuple[int, psutil.Process]]:
    """Run ``engage serve`` on the world's database, and yield its port and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = world.url.render_as_string(hide_password=False)
    environment = os.environ | {"ENGAGE_DATABASE_URL": url, "ENGAGE_HASH_KEY": HASH_KEY.decode()}
    command = [sys.executable, "-m", "engage", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until_ready(port)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError("the service was not ready within 60 s")


def main() -> None:
    """Measure the intake by itself, and print it as the page has it."""
    with embedded_postgres.postgres(Home(HOME)) as host:
        found = measure(host)
    sys.stdout.write(document.intake(found))
    shutil.rmtree(HOME / "postgres", ignore_errors=True)


if __name__ == "__main__":
    process_signals.interrupt_on_signals()
    main()
