"""The window that a DAG run is about."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from engage.errors import RunError, WindowError
from engage.window import Window, as_utc

log = logging.getLogger(__name__)


def window_of(dag_run: Any, window_start: str | None, as_of: datetime) -> Window:
    """The window that a run is about, by the run's own words. The table in docs/operations.md has every case.

    A backfill run is about the window that its logical date starts. Its data interval may be another one, as a backfill
    can take over a manual run. Any other run is about the window that ``window_start`` names, else its data interval,
    else the last window complete at its time. Of a run by TriggerDagRunOperator the logical date counts: Airflow takes
    its data interval from the time of the trigger.

    Raises:
        EngageError: the run names no complete window of the 8-week grid, or two different ones.
    """
    if dag_run.run_type == "backfill" and dag_run.logical_date is not None:
        return _backfilled(Window.named(dag_run.logical_date, as_of), window_start, as_of)
    if window_start is not None:
        return Window.named(window_start, as_of)
    if dag_run.data_interval_start is None or dag_run.run_type == "operator_triggered":
        return Window.last_complete(dag_run.logical_date or dag_run.run_after)
    window = Window.named(dag_run.data_interval_start, as_of)
    if window.end != dag_run.data_interval_end:
        raise RunError(
            f"The run's data interval ends {dag_run.data_interval_end}; its window ends {window.end}. Trigger a run "
            f'with the configuration {{"window_start": "{window.start:%Y-%m-%d}"}} and without an interval.'
        )
    return window


def _backfilled(window: Window, window_start: str | None, as_of: datetime) -> Window:
    if window_start is not None and not _starts(window, window_start, as_of):
        raise RunError(
            f"The backfill is about the window {window}, but the run's window_start is {window_start}. Backfill the "
            'window again with the configuration {"window_start": null}, or trigger a run with that window_start.'
        )
    return window


def _starts(window: Window, start: str, as_of: datetime) -> bool:
    try:
        return Window.named(start, as_of) == window
    except WindowError:
        return False


def log_window(dag_run: Any, window: Window) -> None:
    """Write to the log which window the run is about, with a hint where its date could mean another one."""
    date = dag_run.logical_date
    log.info("This %s run is about the window %s.", dag_run.run_type.value, window)
    if dag_run.run_type != "backfill" and date is not None and as_utc(date) == window.end:
        log.info(
            "Its date %s ends that window and starts the next one. For the next one, once it is complete, trigger a "
            'run with the configuration {"window_start": "%s"}.',
            date,
            f"{window.end:%Y-%m-%d}",
        )
