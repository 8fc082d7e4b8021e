"""Measures what Airflow adds to the steps: warm runs of the DAG on the local stack, from trigger to success."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.step import HASH_KEY, RNG_SEED, now
from engage.campaigns import campaign
from engage.errors import RunFailed
from engage.local.airflow_api import AirflowApi
from engage.local.home import Home
from engage.local.stack import stack as local_stack
from engage.steps.seed import seed
from engage.window import Window

CUSTOMERS = 10_000


def measure(home: Home, repetitions: int) -> list[dict[str, Any]]:
    """For each run: ``wall``, the seconds from trigger to success, and ``steps``, the seconds inside Engage's steps."""
    windows = [Window.last_complete(now())]
    while len(windows) < repetitions + 1:
        windows.append(windows[-1].previous())
    with local_stack(home) as stack:
        with stack.database() as engine:
            for window in windows:
                seed(engine, window, CUSTOMERS, RNG_SEED, hash_key=HASH_KEY)
        airflow = AirflowApi(stack)
        airflow.wait_until_healthy()
        airflow.add_default_variables()
        runs = [_run(airflow, window) for window in windows]
    return runs[1:]  # the first run only warms up


def _run(airflow: AirflowApi, window: Window) -> dict[str, Any]:
    airflow.wait_until_idle()
    begun = time.perf_counter()
    run_id = airflow.trigger({"window_start": window.start.date().isoformat(), "send_late": True})
    while (state := airflow.run_state(run_id)) in {"queued", "running"}:
        airflow.stack.keep_alive()
        time.sleep(0.05)
    wall = time.perf_counter() - begun
    if state != "success":
        raise RunFailed(f"The run ended as {state}.")
    with airflow.stack.database() as engine, engine.connect() as conn:
        found = campaign.find(conn, window)
    assert found is not None
    return {"wall": wall, "steps": sum(found.timings.values()), "timings": found.timings}
