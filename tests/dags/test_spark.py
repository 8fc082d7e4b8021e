"""Spark as a task finds it: the connection, the attempt, and that nothing of it is loaded before."""

from __future__ import annotations

import json
from types import SimpleNamespace

import engage_spark
import engage_steps
import pytest
import sqlalchemy as sa
from airflow.sdk.exceptions import AirflowFailException

from engage.errors import SparkError
from engage.steps import aggregate as step
from engage.storage.schema import customer
from tests.dags.alerts import WINDOW
from tests.dags.tasks import variables

TI = SimpleNamespace(dag_id="customer_engagement", run_id="a_run", task_id="aggregate", try_number=3)


@pytest.fixture
def connection(monkeypatch):
    """Makes Airflow's connection ``engage_spark``."""

    def make(**values):
        parts = {"conn_type": "spark_connect", "host": "spark.example.com", "extra": {"archive": "s3a://chain/events"}}
        monkeypatch.setenv("AIRFLOW_CONN_ENGAGE_SPARK", json.dumps(parts | values))

    return make


@pytest.fixture
def spark(task_context):
    """The engine of a task's run."""

    def find():
        with task_context({"window_start": f"{WINDOW.start:%Y-%m-%d}"}, ti=TI):
            return engage_spark.spark(lambda: b"a key of the installation")

    return find


def test_the_connection_gives_the_server_the_archive_and_the_attempt(connection, spark):
    connection(port=443, login="ops", password="secret")
    found = spark()
    definition, attempt = found._definition, found._attempt("sums")
    assert (definition.server, definition.user, definition.token) == ("spark.example.com:443", "ops", "secret")
    assert definition.archive == "s3a://chain/events"
    assert (attempt.number, [one.number for one in attempt.former()]) == (3, [2, 1])
    assert "customer_engagement a_run aggregate sums" in attempt.name


def test_the_archive_is_that_of_the_environment_unless_the_connection_names_one(connection, spark, monkeypatch):
    monkeypatch.setenv("ENGAGE_ARCHIVE_URL", "s3://chain/archive?region=eu-west-1")
    connection(extra={})
    assert spark()._definition.archive == "s3://chain/archive"


def test_a_connection_that_airflow_does_not_give_is_left_to_the_retries(spark):
    with pytest.raises(RuntimeError, match="engage_engine is spark, and Airflow gives no connection engage_spark"):
        spark()


def test_a_wrong_connection_is_one_sentence(connection, spark):
    connection(extra={"archive": "s3://chain/events", "columns": "client"})
    with pytest.raises(SparkError, match="The extra of the connection engage_spark has the columns"):
        spark()


def test_the_task_extract_asks_spark_if_postgres_has_no_event(dag, task_context, connection, engine, monkeypatch):
    connection(extra={"archive": "s3://chain/events", "columns": "client"})
    monkeypatch.setenv("ENGAGE_HASH_KEY", "k" * 32)
    with engine.begin() as conn:
        conn.execute(sa.insert(customer).values(customer_id=1, registered_at=WINDOW.start))
    variables(monkeypatch, {"engage_engine": "spark"})
    monkeypatch.setattr(engage_steps.Run, "engine", engine)
    with (
        task_context({"window_start": f"{WINDOW.start:%Y-%m-%d}"}, ti=TI),
        pytest.raises(AirflowFailException, match="The extra of the connection engage_spark has the columns"),
    ):
        dag.get_task("extract").python_callable()


def test_the_task_aggregate_hands_on_the_engine_without_opening_it(dag, task_context, engine, monkeypatch):
    given = []
    monkeypatch.setattr(step, "aggregate", lambda *args: given.extend(args) or step.AggregateSummary(0, {}))
    monkeypatch.setattr(engage_steps.Run, "engine", engine)
    with task_context({"window_start": f"{WINDOW.start:%Y-%m-%d}"}, ti=TI):
        dag.get_task("aggregate").python_callable()
    assert given[:2] == [engine, WINDOW]
    assert given[2].__name__ == "sums"
