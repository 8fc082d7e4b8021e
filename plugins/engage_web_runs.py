"""Airflow's runs on Engage's pages: what is known of them, and starting one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa
from airflow.api.common.trigger_dag import trigger_dag
from airflow.exceptions import ParamValidationError
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.state import State
from airflow.utils.types import DagRunTriggeredByType
from engage_steps import window_of
from sqlalchemy.orm import Session

from engage.airflow_names import DAG_ID
from engage.errors import EngageError, RunError
from engage.pages.runs import RunFacts
from engage.window import Window


def facts(session: Session, run_ids: Collection[str | None]) -> dict[str, RunFacts]:
    """What Airflow knows of each run, by its id. A run that Airflow has forgotten, or never knew, is left out."""
    known = [run_id for run_id in run_ids if run_id]
    query = sa.select(
        DagRun.run_id, DagRun.run_type, DagRun.triggering_user_name, DagRun.start_date, DagRun.queued_at, DagRun.conf
    ).where(DagRun.dag_id == DAG_ID, DagRun.run_id.in_(known))
    return (
        {
            row.run_id: RunFacts(
                str(row.run_type), row.triggering_user_name, row.start_date or row.queued_at, row.conf or {}
            )
            for row in session.execute(query)
        }
        if known
        else {}
    )


def start_run(
    session: Session, window: Window, params: Mapping[str, object], *, user: str | None, now: datetime
) -> str:
    """Start a manual run of the window with other parameters than the usual ones; returns its id.

    Raises:
        RunError: the DAG is paused or unknown to Airflow, a run of the window is not finished, or the DAG refuses a
            parameter.
    """
    paused = session.scalar(sa.select(DagModel.is_paused).where(DagModel.dag_id == DAG_ID))
    if paused is not False:
        raise RunError(f"The DAG {DAG_ID} is paused, so no run starts. Switch it on, and try again.")
    if run_id := _unfinished(session, window, now):
        raise RunError(f"The run {run_id} of this window is not finished. Look at it, or mark it as failed first.")
    conf: dict[str, object] = {"window_start": f"{window.start:%Y-%m-%d}", **params}
    try:
        run = trigger_dag(
            DAG_ID,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user,
            conf=conf,
            run_after=now,
            session=session,
        )
    except ParamValidationError as exc:
        raise RunError(f"The DAG refuses a parameter of the run: {str(exc).splitlines()[0]}") from None
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
