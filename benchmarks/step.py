"""Times one piece of work in a process of its own, with its peak memory: ``python -m benchmarks.step``."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.earlier_aggregate import earlier_aggregate
from benchmarks.many_rules import many_rules
from benchmarks.peers import PEERS
from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.pages import campaign_report, segments_page
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from engage.sending import queue, sender
from engage.settings import Change, Settings, validate
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.steps.measure import measure
from engage.steps.seed import seed
from engage.storage import connection
from engage.window import Window

RNG_SEED = 1
SHARE = "lowest 20%"
"""A threshold that each campaign resolves anew."""
LIBRARIES = {
    "pandas": ["pandas"],
    "Polars": ["polars", "pyarrow", "adbc_driver_manager.dbapi", "adbc_driver_postgresql.dbapi"],
    "DuckDB": ["duckdb"],
}
"""Imported before the clock starts."""
HASH_KEY = b"for benchmarks only, not a real secret key"


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def work(name: str, url: str, window: Window, customers: int) -> Callable[[], Any]:
    """The piece of work with this name, ready to be timed."""
    if name in PEERS:
        return lambda: PEERS[name](url, window)
    engine = connection.connect(url)
    with engine.connect():
        pass  # a task has its connection before its step begins
    steps: dict[str, Callable[[], Any]] = {
        "seed": lambda: seed(engine, window, customers, RNG_SEED, hash_key=HASH_KEY),
        "extract": lambda: extract(engine, window, Settings(), as_of=now(), run_id="benchmark", options=RunOptions()),
        "extract with a holdout": lambda: extract(
            engine, window, Settings(holdout_percent=10), as_of=now(), run_id="benchmark", options=RunOptions()
        ),
        "aggregate": lambda: aggregate(engine, window),
        "measure": lambda: measure(engine, window.next(), as_of=now()),
        "earlier aggregate": lambda: earlier_aggregate(engine, window),
        "bucket": lambda: bucket(engine, window),
        "bucket by the default rules": lambda: _bucket_by(engine, window, Settings()),
        "bucket by many rules": lambda: _bucket_by(engine, window, many_rules()),
        "bucket by a share": lambda: _bucket_by(engine, window, validate({"low_spend_threshold": SHARE})),
        "queue": lambda: queue.build(engine, window, options=RunOptions(send_late=True), as_of=now()),
        "send": lambda: sender.send(engine, window, sender.SendingContext(now)),
        "report page": lambda: campaign_report.campaign_report(engine, Viewer(), window),
        "segments": lambda: segments_page.counts(
            engine, Editor(readable=Settings.model_fields), window, [Change("low_spend_threshold", "120", None)]
        ),
    }
    return steps[name]


def _bucket_by(engine: sa.Engine, window: Window, settings: Settings) -> None:
    """Put the campaign's customers in segments by other settings than those that it began with."""
    with engine.begin() as conn:
        campaign.update(conn, window, settings=settings.snapshot())
    bucket(engine, window)


def timed(name: str, url: sa.URL, window: Window, customers: int) -> dict[str, Any]:
    """Run ``work`` in a process of its own. Returns ``seconds`` and ``peak_mb``."""
    command = [sys.executable, "-m", "benchmarks.step", name, url.render_as_string(False), str(window.start.date())]
    done = subprocess.run([*command, str(customers)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Time one piece of work, and print the result as JSON."""
    name, url, start, customers = sys.argv[1:]
    for library in LIBRARIES.get(name, []):
        import_module(library)
    task = work(name, url, Window.named(start, now()), int(customers))
    begun = time.perf_counter()
    task()
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb()}))  # noqa: T201


def peak_mb() -> float:
    """The peak memory of this process. On Linux ``ru_maxrss`` would include the parent process's peak."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


if __name__ == "__main__":
    main()
