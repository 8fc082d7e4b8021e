"""Every way in which a run comes about, through Airflow's own functions on a database of its metadata."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import time_machine
from engage_run_window import window_of

from engage.airflow_names import DAG_ID
from engage.errors import EngageError
from engage.window import LENGTH, Window

ROOT = Path(__file__).resolve().parents[2]
WINDOW = Window(datetime(2025, 12, 8, tzinfo=UTC))
"""The window that these tests are about; it ends 2026-02-02, and its run is due 12 hours later."""
DUE = WINDOW.end + timedelta(hours=12)
TICK = timedelta(microseconds=1)


class Metadata:
    """Airflow's metadata database, with what its processes do to it. The tests set the clock with ``at``."""

    def __init__(self, dag_bag: Any) -> None:
        self.dag_bag = dag_bag
        self.clock = time_machine.travel(DUE, tick=False)
        self.traveller = self.clock.start()

    def at(self, moment: datetime) -> None:
        self.traveller.move_to(moment)

    def parse(self) -> None:
        """What the dag processor does every half minute."""
        from airflow.dag_processing.dagbag import sync_bag_to_db
        from airflow.utils.session import create_session

        with create_session() as session:
            sync_bag_to_db(self.dag_bag, "engage-tests", None, session=session)

    def schedule(self, times: int = 3) -> None:
        """What the scheduler does every second: it makes the runs that are due."""
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.models import DagModel
        from airflow.models.dagbag import DBDagBag
        from airflow.utils.session import create_session

        for _ in range(times):
            with create_session() as session:
                due = [
                    model
                    for model in session.query(DagModel).where(DagModel.dag_id == DAG_ID)
                    if model.next_dagrun_create_after <= datetime.now(UTC) and not model.exceeds_max_non_backfill
                ]
                scheduler = SimpleNamespace(
                    log=structlog.get_logger("scheduler"),
                    job=SimpleNamespace(id=None),
                    _get_current_dag=lambda dag_id, session: DBDagBag().get_latest_version_of_dag(
                        dag_id, session=session
                    ),
                    _set_exceeds_max_active_runs=lambda **state: None,
                )
                SchedulerJobRunner._create_dag_runs(scheduler, due, session)  # type: ignore[arg-type]

    def pass_time(self, moment: datetime) -> None:
        """Let Airflow work at ``moment``, and look at the DAG files before and after."""
        self.at(moment)
        for _ in range(2):
            self.parse()
            self.schedule()

    def make(self, run_type: str, date: datetime | None, *, run_id: str | None = None, **values: Any) -> None:
        from airflow.models.dagbag import DBDagBag
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        with create_session() as session:
            dag = DBDagBag().get_latest_version_of_dag(DAG_ID, session=session)
            assert dag is not None
            interval = date and dag.timetable.infer_manual_data_interval(run_after=date)  # type: ignore[arg-type]
            dag.create_dagrun(**{
                "run_id": run_id or f"{run_type}__{date and date.isoformat()}",
                "logical_date": date,
                "data_interval": interval,
                "run_after": datetime.now(UTC),
                "run_type": DagRunType(run_type),
                "triggered_by": DagRunTriggeredByType.REST_API,
                "state": DagRunState.SUCCESS,
                "session": session,
                **values,
            })  # fmt: skip

    def backfill(self, window: Window, reprocess: str = "none", conf: dict[str, Any] | None = None) -> None:
        from airflow.models.backfill import Backfill, ReprocessBehavior, _create_backfill
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState

        _create_backfill(
            dag_id=DAG_ID, from_date=window.start, to_date=window.start, max_active_runs=1, reverse=False,
            dag_run_conf=conf, triggering_user_name="ada", reprocess_behavior=ReprocessBehavior(reprocess),
        )  # fmt: skip
        with create_session() as session:
            session.query(Backfill).update({"completed_at": datetime.now(UTC)})
            session.query(DagRun).update({"state": DagRunState.SUCCESS})

    def runs(self) -> list[tuple[str, Window | str]]:
        """The runs in the order in which they came about: their type, and their window or why they are refused."""
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from airflow.utils.types import DagRunType

        with create_session() as session:
            runs = session.query(DagRun).order_by(DagRun.id)
            return [(DagRunType(run.run_type).value, _window_or_sentence(run)) for run in runs]


def _window_or_sentence(run: Any) -> Window | str:
    try:
        return window_of(run, (run.conf or {}).get("window_start"), datetime.now(UTC))
    except EngageError as exc:
        return str(exc)


@pytest.fixture(scope="module")
def tables() -> None:
    import airflow.settings
    from airflow.models.base import Base
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.pool import Pool
    from airflow.models.tasklog import LogTemplate
    from airflow.utils.db import import_all_models
    from airflow.utils.session import create_session

    import_all_models()
    Base.metadata.create_all(airflow.settings.engine)
    with create_session() as session:
        session.add(DagBundleModel(name="engage-tests"))
        session.add(LogTemplate(filename="log", elasticsearch_id="log"))
        session.add(Pool(pool=Pool.DEFAULT_POOL_NAME, slots=128, include_deferred=False))


@pytest.fixture
def airflow(tables: None, dag_bag: Any) -> Iterator[Metadata]:
    from airflow.models import DagModel
    from airflow.models.backfill import Backfill, BackfillDagRun
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    metadata = Metadata(dag_bag)
    metadata.parse()
    yield metadata
    metadata.clock.stop()
    with create_session() as session:
        for model in (BackfillDagRun, TaskInstance, DagRun, Backfill, DagModel):
            session.query(model).delete()


# --- the window's own run comes, whatever came before


def test_a_due_window_gets_its_run_once(airflow):
    airflow.pass_time(DUE - timedelta(days=1))
    airflow.pass_time(DUE - TICK)
    assert airflow.runs() == [("scheduled", WINDOW.previous())]
    airflow.pass_time(DUE)
    airflow.pass_time(DUE + timedelta(days=20))
    assert airflow.runs() == [("scheduled", WINDOW.previous()), ("scheduled", WINDOW)]
    airflow.pass_time(DUE + LENGTH)
    assert airflow.runs()[2:] == [("scheduled", WINDOW.next())]


@pytest.mark.parametrize("reprocess", ["none", "failed", "completed"])
@pytest.mark.parametrize("earlier", [True, False], ids=["after earlier runs", "on a fresh installation"])
def test_a_backfill_within_the_grace_does_not_take_the_windows_run(airflow, reprocess, earlier):
    if earlier:
        airflow.pass_time(WINDOW.end - timedelta(days=1))
    airflow.at(WINDOW.end + timedelta(hours=1))
    airflow.parse()
    airflow.backfill(WINDOW, reprocess)
    airflow.parse()
    airflow.backfill(WINDOW, reprocess)
    airflow.pass_time(DUE - TICK)
    assert ("scheduled", WINDOW) not in airflow.runs()
    airflow.pass_time(DUE)
    airflow.pass_time(DUE + timedelta(hours=1))
    runs = airflow.runs()
    assert runs[-1] == ("scheduled", WINDOW)
    assert runs.count(("scheduled", WINDOW)) == runs.count(("backfill", WINDOW)) == 1


@pytest.mark.parametrize(
    ("run_type", "ticks"),
    [("manual", 0), ("manual", 1), ("manual", 2), ("operator_triggered", 0), ("asset_materialization", 1)],
)
def test_a_run_of_any_date_does_not_take_the_windows_run(airflow, run_type, ticks):
    """Not even one with the date that the scheduled run was to have, a microsecond after the window's start."""
    airflow.pass_time(WINDOW.end + timedelta(hours=1))
    airflow.make(run_type, WINDOW.start + ticks * TICK)
    airflow.make(run_type, WINDOW.start + (ticks + 1) * TICK)
    airflow.pass_time(DUE)
    airflow.pass_time(DUE + timedelta(hours=1))
    assert airflow.runs()[-1] == ("scheduled", WINDOW)
    assert airflow.runs().count(("scheduled", WINDOW)) == 1


@pytest.mark.parametrize("reprocess", ["none", "failed", "completed"])
def test_a_backfill_of_a_window_that_had_its_run_does_not_repeat_that(airflow, reprocess):
    airflow.pass_time(DUE)
    airflow.backfill(WINDOW, reprocess)
    airflow.backfill(WINDOW, reprocess)
    airflow.pass_time(DUE + timedelta(days=1))
    assert airflow.runs() == [("scheduled", WINDOW), ("backfill", WINDOW)]


@pytest.mark.parametrize("windows_ago", [1, 3])
def test_a_backfill_of_an_old_window_leaves_the_schedule_as_it_is(airflow, windows_ago):
    airflow.at(WINDOW.end + timedelta(hours=1))
    airflow.parse()
    old = Window(WINDOW.start - windows_ago * LENGTH)
    airflow.backfill(old)
    airflow.pass_time(DUE)
    assert airflow.runs() == [("backfill", old), ("scheduled", WINDOW)]


def test_a_backfill_within_the_grace_starts_at_once_and_not_together_with_the_windows_run(airflow):
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    airflow.at(WINDOW.end + timedelta(hours=1))
    airflow.parse()
    airflow.backfill(WINDOW)
    with create_session() as session:
        assert [run.run_after for run in session.query(DagRun)] == [WINDOW.end]


def test_a_window_that_is_not_over_cannot_be_backfilled(airflow):
    from airflow.models.backfill import NoBackfillRunsToCreate

    airflow.pass_time(DUE)
    with pytest.raises(NoBackfillRunsToCreate):
        airflow.backfill(WINDOW.next())
    assert airflow.runs() == [("scheduled", WINDOW)]


def test_after_a_long_pause_only_the_last_complete_window_runs(airflow):
    airflow.pass_time(DUE)
    airflow.pass_time(DUE + 4 * LENGTH + timedelta(days=9))
    assert airflow.runs() == [("scheduled", WINDOW), ("scheduled", Window(WINDOW.start + 4 * LENGTH))]


def test_sixteen_runs_that_wait_are_needed_to_hold_up_a_scheduled_one(airflow):
    airflow.pass_time(WINDOW.end - timedelta(days=1))
    for number in range(14):
        airflow.make("manual", None, run_id=f"manual__{number}", state="running")
    airflow.pass_time(DUE)
    assert airflow.runs()[-1] == ("scheduled", WINDOW)


# --- an upgrade from the version whose scheduled runs were dated their window's start


@pytest.mark.parametrize("taken_over", [False, True], ids=["as it was", "taken over by a backfill"])
def test_an_upgrade_neither_repeats_nor_loses_a_scheduled_run(airflow, taken_over):
    interval = (WINDOW.start, WINDOW.end)
    airflow.make(
        "scheduled", WINDOW.start, run_id=f"scheduled__{DUE.isoformat()}", data_interval=interval, run_after=DUE
    )
    if taken_over:
        airflow.backfill(WINDOW, "completed")
    airflow.pass_time(DUE + timedelta(hours=1))
    airflow.pass_time(DUE + LENGTH)
    assert airflow.runs() == [("backfill" if taken_over else "scheduled", WINDOW), ("scheduled", WINDOW.next())]


def test_an_upgrade_makes_the_run_that_was_noted_with_its_old_date(airflow):
    from airflow.models import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(DagModel).where(DagModel.dag_id == DAG_ID).update({"next_dagrun": WINDOW.start})
    airflow.schedule()
    airflow.parse()
    airflow.schedule()
    assert airflow.runs() == [("scheduled", WINDOW)]


def test_an_upgrade_makes_the_run_that_a_backfill_or_a_manual_run_had_taken(airflow):
    airflow.make("manual", WINDOW.start)
    from airflow.models import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(DagModel).where(DagModel.dag_id == DAG_ID).update({"next_dagrun": WINDOW.start})
    airflow.schedule()
    assert airflow.runs() == [("manual", WINDOW.previous()), ("scheduled", WINDOW)]


# --- which window a dated run is about


@pytest.mark.parametrize(
    ("date", "window"), [(WINDOW.start + timedelta(days=3), WINDOW.previous()), (None, WINDOW)], ids=["a date", "none"]
)
def test_a_run_by_another_dag_is_about_the_window_that_was_complete_at_its_date(airflow, date, window):
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    airflow.at(WINDOW.end + timedelta(days=1))
    triggered = {"triggered_by": DagRunTriggeredByType.OPERATOR, "run_type": DagRunType.OPERATOR_TRIGGERED}
    trigger_dag(DAG_ID, logical_date=date, **triggered)
    assert airflow.runs() == [("operator_triggered", window)]


# --- which window a reused run is about


@pytest.mark.parametrize(("reprocess", "window"), [("none", WINDOW.previous()), ("completed", WINDOW)])
def test_a_backfill_that_takes_over_a_manual_run_is_about_the_window_it_was_asked_for(airflow, reprocess, window):
    airflow.at(DUE + timedelta(days=1))
    airflow.make("manual", WINDOW.start)
    airflow.backfill(WINDOW, reprocess)
    [run] = airflow.runs()
    assert run == ("backfill" if reprocess == "completed" else "manual", window)


def test_a_backfill_that_takes_over_a_run_with_another_window_start_is_refused_until_that_is_taken_away(airflow):
    airflow.at(DUE + timedelta(days=1))
    airflow.make("manual", WINDOW.start, conf={"window_start": "2025-03-03"})
    airflow.backfill(WINDOW, "completed")
    [(_, sentence)] = airflow.runs()
    assert sentence == (
        "The backfill is about the window 2025-12-08 to 2026-02-02, but the run's window_start is 2025-03-03. Backfill "
        'the window again with the configuration {"window_start": null}, or trigger a run with that window_start.'
    )
    airflow.backfill(WINDOW, "completed", {"window_start": None})
    assert airflow.runs() == [("backfill", WINDOW)]
