"""``engage demo --engine spark``: a campaign whose events are summed up by Sail, over an archive in a local folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engage.archive.place import VARIABLE, place_of
from engage.archive.write import archive
from engage.cli.common import console, hash_key, say
from engage.clock import now
from engage.local.airflow_api import AirflowApi
from engage.local.demo import RNG_SEED, DemoRun, followed, refuse_waiting
from engage.local.home import Home, make_folder
from engage.local.sail import sail
from engage.steps.seed import seed
from engage.window import Window


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Sail for the length of a block, and the variables by which the stack's processes find it and the archive.

    Raises:
        LocalError: Sail is not installed, or does not start.
    """
    home = Home.default()
    home.make()
    make_folder(home.archive)
    with sail(home.logs / "sail.log", say=say) as port:
        connection = {"conn_type": "spark_connect", "host": "127.0.0.1", "port": port}
        yield {"AIRFLOW_CONN_ENGAGE_SPARK": json.dumps(connection), VARIABLE: _url(home.archive)}


def _url(folder: Path) -> str:
    return folder.as_uri()


def run_demo(airflow: AirflowApi, customers: int) -> DemoRun:
    """Seed the last window, archive it, and run its campaign in Airflow with Spark as its engine.

    Raises:
        RunFailed: a task failed; with its error. Or an earlier run still waits for the approver.
        ArchiveError: the folder cannot be written.
    """
    refuse_waiting(airflow)
    window = Window.last_complete(now())
    with airflow.stack.database() as engine:
        airflow.unpause()  # before there are customers, so that the scheduler's own run has nothing to do
        seed(engine, window, customers, RNG_SEED, hash_key=hash_key())
        written = archive(engine, place_of(_url(airflow.stack.home.archive)), as_of=now())
    console.print(f"Archived {written.rows:,} events in {written.bytes / 2**20:,.1f} MiB of Parquet.")
    with airflow.variables({"engage_engine": "spark"}):
        return followed(airflow, {"window_start": f"{window.start:%Y-%m-%d}", "send_late": True}, console)
