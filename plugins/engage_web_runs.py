"""Airflow's runs on Engage's pages: what is known of them, and starting one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from airflow.api.common.trigger_dag import trigger_dag
from airflow.exceptions import ParamValidationError
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.state import State
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from engage_run_window import window_of
from sqlalchemy.orm import Session

from engage.airflow_names import DAG_ID, DRAFTS_DAG_ID, TEST_DAG_ID
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
        RunError: Airflow starts no manual run of the DAG, a run of the window is not finished, or the DAG refuses a
            parameter.
    """
    # the lock lets the second click of two look for a run only once the first one has started it
    dag = session.execute(_known_dag(DAG_ID).with_for_update()).one_or_none()
    if obstacle := _obstacle(dag):
        raise RunError(f"The DAG {DAG_ID} {obstacle}, and try again.")
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


def start_test(session: Session, test_send_id: UUID, *, user: str, now: datetime) -> None:
    """Start the run that sends a test message.

    Raises:
        RunError: Airflow starts no manual run of the DAG.
    """
    _start(session, TEST_DAG_ID, "send the text again", {"test_send_id": str(test_send_id)}, user=user, now=now)


def start_drafts(session: Session, proposal_id: UUID, *, user: str, now: datetime) -> None:
    """Start the run that asks a model for texts.

    Raises:
        RunError: Airflow starts no manual run of the DAG.
    """
    _start(session, DRAFTS_DAG_ID, "ask again", {"proposal_id": str(proposal_id)}, user=user, now=now)


def _start(session: Session, dag_id: str, then: str, conf: dict[str, str], *, user: str, now: datetime) -> None:
    """Start a run of a DAG for one press of a button. ``then``: what the user does once the DAG may run."""
    dag = session.execute(_known_dag(dag_id)).one_or_none()
    if obstacle := _obstacle(dag):
        raise RunError(f"The DAG {dag_id} {obstacle}, and {then}.")
    trigger_dag(
        dag_id,
        triggered_by=DagRunTriggeredByType.UI,
        triggering_user_name=user,
        conf=conf,
        run_after=now,
        session=session,
    )


def _known_dag(dag_id: str) -> sa.Select[tuple[bool, bool | None, list[str] | None]]:
    """The query for what decides whether a run of a DAG may start."""
    return sa.select(DagModel.is_paused, DagModel.has_import_errors, DagModel.allowed_run_types).where(
        DagModel.dag_id == dag_id, ~DagModel.is_stale
    )


def _obstacle(dag: sa.Row[tuple[bool, bool | None, list[str] | None]] | None) -> str | None:
    """Why no manual run of the DAG can start, as Airflow's own route sees it, and what to do; None if it can."""
    if dag is None:
        return "is not known to Airflow, so no run starts. Check that its file is in the DAGs folder"
    if dag.has_import_errors:
        return "cannot be read, so no run starts. Look at Dag Import Errors on Airflow's home page, correct the file"
    if dag.allowed_run_types is not None and DagRunType.MANUAL not in dag.allowed_run_types:
        return "allows no manual runs. Add 'manual' to its allowed_run_types"
    if dag.is_paused:
        return "is paused, so no run starts. Switch it on"
    return None


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
