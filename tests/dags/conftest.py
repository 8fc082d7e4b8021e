"""Airflow as these tests see it: a home of its own, this checkout's DAGs and plugins, and no database.

The environment has to stand before Airflow is imported for the first time, so it is set while tests are collected.
"""

from __future__ import annotations

import atexit
import copy
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engage.storage.schema import campaign
from tests.integration.conftest import engine, server, template, url  # noqa: F401 - fixtures
from tests.smtp_double import Mail, smtp_double

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

_home = tempfile.mkdtemp(prefix="engage-airflow-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith(("AIRFLOW", "_AIRFLOW"))]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": _home,
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite://",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Airflow's own reading of .airflowignore warns about a library of its own."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"))


@pytest.fixture(scope="session")
def dag_bag() -> Any:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(ROOT / "dags")


@pytest.fixture(scope="session")
def dag(dag_bag: Any) -> Any:
    return dag_bag.dags["customer_engagement"]


@pytest.fixture(scope="session")
def serialized_dag(dag: Any) -> Any:
    """The DAG as the scheduler and the API know it: through the database's JSON and back."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.deserialize_dag(json.loads(json.dumps(DagSerialization.serialize_dag(dag))))


@pytest.fixture
def task_context(dag: Any) -> Any:
    """Enter the context that a task of the run finds: ``with task_context(conf={…}, run_type="manual", …):``."""
    from airflow.sdk.api.datamodels._generated import DagRun
    from airflow.sdk.definitions.param import process_params
    from airflow.sdk.execution_time.context import set_current_context

    @contextmanager
    def entered(conf: dict[str, Any] | None = None, ti: Any = None, **values: Any) -> Iterator[None]:
        blank = {name: None for name, field in DagRun.model_fields.items() if field.is_required()}
        run = {
            "dag_id": dag.dag_id,
            "run_id": "a_run",
            "run_after": "2026-02-10T00:00:00Z",
            "run_type": "manual",
            "state": "running",
            "conf": conf,
            "consumed_asset_events": [],
        }
        parsed = copy.deepcopy(dag)  # Airflow writes the conf into the parsed DAG, of which every task has its own
        task = parsed.get_task("extract")
        task.params = copy.deepcopy(task.params)
        params = process_params(parsed, task, conf, suppress_exception=False)
        dag_run = DagRun.model_validate(blank | run | values)
        context = {"dag": parsed, "dag_run": dag_run, "params": params, "ti": ti}
        with set_current_context(context):  # type: ignore[arg-type]
            yield

    return entered


@pytest.fixture
def outbox(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:  # noqa: F811
    """The database of the outbox, as the plugin finds it, with a campaign."""
    import engage_alerts

    from tests.dags.alerts import NOW, WINDOW

    blank = {"window_end": WINDOW.end, "status": "sending", "settings": {}, "events": {}, "rejected": {}}
    with engine.begin() as conn:
        conn.execute(sa.insert(campaign).values(window_start=WINDOW.start, run_id="a_run", opened_at=NOW, **blank))
    monkeypatch.setattr(engage_alerts, "_engine", lambda: engine)
    monkeypatch.setattr(engage_alerts, "_clock", lambda engine: lambda: NOW)
    return engine


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Mail]]:
    """What arrives at the mail server of Airflow's connection."""
    from airflow.providers.smtp.hooks.smtp import SmtpHook
    from airflow.sdk import Connection

    with smtp_double() as double:
        extra = '{"disable_ssl": true, "disable_tls": true, "from_email": "airflow@example.com"}'
        connection = Connection(
            conn_id="smtp_default", conn_type="smtp", host="127.0.0.1", port=double.port, extra=extra
        )
        monkeypatch.setattr(SmtpHook, "get_connection", lambda hook, conn_id: connection)
        yield double.mails


@pytest.fixture
def addressed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Sets the addresses for alerts."""
    from airflow.sdk import Variable

    from tests.dags.alerts import TO

    def to(text: str | None) -> None:
        stored = {"engage_alert_emails": text}
        monkeypatch.setattr(Variable, "get", lambda key, default=...: stored.get(key, default))

    to(TO)
    return to
