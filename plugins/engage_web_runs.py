"""Starts a run of a window from Engage's pages, where a campaign does not go on by itself."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from airflow.api.common.trigger_dag import trigger_dag
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.state import State
from airflow.utils.types import DagRunTriggeredByType
from engage_steps import window_of
from sqlalchemy.orm import Session

from engage.airflow_names import DAG_ID
from engage.errors import EngageError, RunError
from engage.window import Window


def start_run(session: Session, window: Window, *, send_late: bool, user: str | None, now: datetime) -> str:
    """Start a manual run of the window; returns its id.

    Raises:
        RunError: the DAG is paused or unknown to Airflow, or a run of the window is not finished.
    """
    paused = session.scalar(sa.select(DagModel.is_paused).where(DagModel.dag_id == DAG_ID))
    if paused is not False:
        raise RunError(f"The DAG {DAG_ID} is paused, so no run starts. Switch it on, and try again.")
    if run_id := _unfinished(session, window, now):
        raise RunError(f"The run {run_id} of this window is not finished. Look at it, or mark it as failed first.")
    conf: dict[str, object] = {"window_start": f"{window.start:%Y-%m-%d}"} | ({"send_late": True} if send_late else {})
    run = trigger_dag(
        DAG_ID, triggered_by=DagRunTriggeredByType.UI, triggering_user_name=user, conf=conf, run_after=now,
        session=session,
    )  # fmt: skip
    assert run is not None
    return str(run.run_id)


def _unfinished(session: Session, window: Window, now: datetime) -> str | None:
    """The id of a run of the window that is queued or running."""
    active = sa.select(DagRun).where(DagRun.dag_id == DAG_ID, DagRun.state.in_(State.unfinished_dr_states))
    for run in session.scalars(active):
        try:
            about = window_of(run, (run.conf or {}).get("window_start"), now)
        except EngageError:  # the run will say so itself
            continue
        if about == window:
            return str(run.run_id)
    return None
