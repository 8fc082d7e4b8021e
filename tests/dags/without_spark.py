"""The task ``aggregate`` where the client of Spark cannot be imported: ``python -m tests.dags.without_spark DAY``.

It prints the error. Airflow's connections are in the environment.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

DAGS = Path(__file__).resolve().parents[2] / "dags"


class Missing:
    """Finds no module of the client, as if its package were not there."""

    @staticmethod
    def find_spec(name: str, *places: Any) -> ModuleSpec | None:
        if name.partition(".")[0] in {"pyspark", "grpc"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def main(day: str) -> None:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.exceptions import AirflowFailException
    from airflow.sdk.execution_time.context import set_current_context

    task = DagBag(DAGS).dags["customer_engagement"].get_task("aggregate")
    params = {"window_start": day, "send_late": False, "dry_run": False, "ignore_guard": False}
    manual = SimpleNamespace(value="manual")
    run = SimpleNamespace(
        conf={}, run_id="a_run", run_type=manual, triggering_user_name=None, logical_date=None, dag_id=task.dag_id
    )
    ti = SimpleNamespace(dag_id=task.dag_id, run_id="a_run", task_id="aggregate", try_number=1)
    with set_current_context({"dag": task.dag, "dag_run": run, "params": params, "ti": ti}):  # type: ignore[arg-type]
        try:
            task.python_callable()
        except AirflowFailException as exc:
            sys.stdout.write(f"fails: {exc}\n")


if __name__ == "__main__":
    sys.meta_path.insert(0, Missing())  # type: ignore[arg-type]
    main(*sys.argv[1:])
