"""A window within its grace, on a real scheduler: its own run comes, whatever run came before.

The grid of windows is moved, here and in the stack's processes, so that a window ended an hour ago.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

import engage.local.stack as stack_module
import engage.window as window_module
from engage.airflow_names import DAG_ID
from engage.local.home import Home
from engage.storage import connection
from engage.window import ANCHOR, Window
from tests.e2e.support import Airflow, Campaigns, signals_kept
from tests.ports import free_port
from tests.waiting import until

TICK = timedelta(microseconds=1)
SEED = {"seed": True, "customers": 200, "rng_seed": 1}
MOVED = """import datetime
import engage.window
engage.window.ANCHOR = datetime.datetime.fromisoformat({anchor!r})
"""


@pytest.fixture(scope="module")
def window() -> Iterator[Window]:
    """A window that ended an hour ago; its run is due 12 hours after the end."""
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_module, "ANCHOR", ANCHOR + (end - Window.containing(end).start))
        yield Window(end).previous()


@pytest.fixture(scope="module")
def moved(window: Window, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """A stack of its own, with an empty database and the moved grid; its DAG is paused."""
    folder: Path = tmp_path_factory.mktemp("moved")
    (folder / "sitecustomize.py").write_text(MOVED.format(anchor=window_module.ANCHOR.isoformat()))
    usual = stack_module.environment

    def environment(*arguments: object) -> dict[str, str]:
        found = usual(*arguments)  # type: ignore[arg-type]
        again = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10"}
        return found | again | {"PYTHONPATH": f"{folder}:{found['PYTHONPATH']}"}

    home = Home(tmp_path_factory.mktemp("home"), free_port(), free_port())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack_module, "environment", environment)
        with signals_kept(), stack_module.stack(home) as stack:
            airflow = Airflow(stack)
            airflow.wait_until_healthy()
            airflow.add_default_variables()
            yield airflow
            airflow.http.close()


def run_after_the_grace(airflow: Airflow, window: Window) -> str:
    """Let the window's run be due, once Airflow has looked at the DAG again, and wait for it.

    Airflow works out the due time again when it meets a run with the date of the one that it is about to make.
    """
    engine = connection.connect(airflow.stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    now, values = datetime.now(UTC), {"dag": DAG_ID, "start": window.start}
    noted = sa.text("SELECT next_dagrun_data_interval_start FROM dag WHERE dag_id = :dag AND last_parsed_time > :now")
    due = sa.text(
        "UPDATE dag SET next_dagrun_create_after = now() "
        "WHERE dag_id = :dag AND next_dagrun_data_interval_start = :start"
    )

    def next_start() -> datetime | None:
        with engine.connect() as conn:
            return conn.execute(noted, {"dag": DAG_ID, "now": now}).scalar()

    def made() -> list[str]:
        with engine.begin() as conn:
            conn.execute(due, values)
        return airflow.runs(run_type="scheduled")

    assert until(next_start, "the dag processor looks at the DAG") == window.start
    [run_id] = until(made, "the window's run comes")
    engine.dispose()
    return run_id


@pytest.mark.deep
def test_neither_a_backfill_nor_a_dated_run_within_the_grace_costs_the_window_its_messages(
    moved: Airflow, window: Window
) -> None:
    airflow = moved
    airflow.set_variable("engage_guard_max_quiet_days", "0")
    airflow.request("PATCH", f"dags/{DAG_ID}", json={"is_paused": False})

    [backfilled] = airflow.backfill(window, window, **SEED)
    assert (backfilled.run_type, backfilled.state) == ("backfill", "success")
    dated = airflow.run(logical_date=window.start + TICK, dry_run=True, **SEED)
    assert f"is about the window {window.previous()}" in airflow.log(dated.run_id, "seed")
    assert dated.state == "success"

    with airflow.stack.database() as engine:
        campaigns = Campaigns(engine)
        assert set(campaigns.messages(window)) == {"skipped/backfill", "skipped/no_phone", "skipped/opted_out"}
        run_id = run_after_the_grace(airflow, window)
        run = airflow.wait_for(run_id)
        assert (run.run_type, run.state) == ("scheduled", "success")
        assert f"is about the window {window}" in airflow.log(run_id, "extract")
        assert [datetime.fromisoformat(moment or "") for moment in run.interval] == [window.start, window.end]
        assert campaigns.messages(window)["accepted"] > 0

        sent = campaigns.everything_of(window)
        [after] = airflow.backfill(window, window, reprocess="completed", **SEED)
        assert (after.run_id, after.state) == (backfilled.run_id, "success")
        assert campaigns.everything_of(window) == sent
