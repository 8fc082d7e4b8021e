"""Starting a run from Engage's pages: what is refused, and two starts at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from engage.errors import RunError
from engage.window import ANCHOR, Window
from tests.waiting import until

WINDOW = Window(ANCHOR)
NOW = datetime(2026, 2, 10, tzinfo=UTC)


def with_those_it_refers_to(table):
    """The table and all tables that its rows refer to."""
    found, new = set(), {table}
    while new:
        found |= new
        new = {key.column.table for one in new for key in one.foreign_keys} - found
    return found


@pytest.fixture
def airflow_tables(engine, monkeypatch):
    """Airflow's tables of DAGs and runs, with Engage's DAG. A run that is triggered is queued, as by Airflow."""
    import engage_web_runs
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun

    tables = with_those_it_refers_to(DagModel.__table__) | with_those_it_refers_to(DagRun.__table__)
    DagRun.metadata.create_all(engine, tables=list(tables))
    with Session(engine) as session, session.begin():
        session.add(DagBundleModel(name="dags-folder"))
        session.flush()
        session.add(DagModel(dag_id="customer_engagement", bundle_name="dags-folder", is_paused=False, is_stale=False))

    def triggered(dag_id, *, session, conf, run_after, triggered_by, triggering_user_name):
        run = DagRun(
            dag_id=dag_id,
            run_id=f"manual__{uuid4()}",
            run_type="manual",
            run_after=run_after,
            conf=conf,
            state="queued",
        )
        session.add(run)
        session.flush()
        return run

    monkeypatch.setattr(engage_web_runs, "trigger_dag", triggered)
    return engine


@pytest.fixture
def session(airflow_tables):
    with Session(airflow_tables) as found:
        yield found


def set_of_dag(session, **values):
    from airflow.models.dag import DagModel

    session.execute(sa.update(DagModel).values(**values))


def start(session):
    import engage_web_runs

    return engage_web_runs.start_run(session, WINDOW, {}, user="ada", now=NOW)


def waiting_for_a_lock(engine):
    with engine.connect() as conn:
        return conn.exec_driver_sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").scalar()


def test_a_run_of_a_window_is_started_once(session):
    run_id = start(session)
    with pytest.raises(RunError, match=f"The run {run_id} of this window is not finished"):
        start(session)


def test_a_double_click_starts_one_run(session, airflow_tables):
    def again():
        with Session(airflow_tables) as other, other.begin():
            return start(other)

    start(session)
    with ThreadPoolExecutor(1) as second:
        try:
            clicked = second.submit(again)
            until(lambda: waiting_for_a_lock(airflow_tables), "the second click waits", within=10)
        finally:
            session.commit()
        with pytest.raises(RunError, match="is not finished"):
            clicked.result()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"is_paused": True}, "is paused, so no run starts. Switch it on, and try again."),
        ({"has_import_errors": True}, "cannot be read, so no run starts. Look at Dag Import Errors on Airflow's home"),
        ({"allowed_run_types": ["scheduled"]}, "allows no manual runs. Add 'manual' to its allowed_run_types,"),
        ({"is_stale": True}, "is not known to Airflow, so no run starts. Check that its file is in the DAGs folder,"),
    ],
)
def test_what_airflows_own_page_refuses_is_refused_with_what_to_do(session, values, sentence):
    set_of_dag(session, **values)
    with pytest.raises(RunError) as refused:
        start(session)
    assert f"The DAG customer_engagement {sentence}" in str(refused.value)


def test_a_dag_that_allows_manual_runs_among_others_runs(session):
    set_of_dag(session, allowed_run_types=["scheduled", "manual"])
    assert start(session).startswith("manual__")


def test_a_dag_that_airflow_has_never_read_is_refused(session, airflow_tables):
    from airflow.models.dag import DagModel

    session.execute(sa.delete(DagModel))
    with pytest.raises(RunError, match="is not known to Airflow"):
        start(session)
