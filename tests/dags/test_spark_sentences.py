"""What may be wrong with Spark, as the operator reads it: the errors of the task ``aggregate``, word by word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from datetime import timedelta
from types import SimpleNamespace

import engage_steps
import pytest
import sqlalchemy as sa
from airflow.sdk.exceptions import AirflowFailException

from engage.archive.place import place_of
from engage.archive.write import archive
from engage.campaigns import event_sums
from engage.campaigns.run_options import RunOptions
from engage.local.sail import sail
from engage.settings import validate
from engage.spark.session import ANSWERS_WITHIN
from engage.steps.extract import extract
from tests import spark_double
from tests.dags.alerts import WINDOW
from tests.dags.conftest import ROOT
from tests.integration.conftest import UNGUARDED, World
from tests.ports import free_port

NOW = WINDOW.end + timedelta(days=1)
DAY = f"{WINDOW.start:%Y-%m-%d}"
ANSWER = "The task is retried. Check that Spark Connect runs there, and the host, port and use_ssl of the connection."


@pytest.fixture
def world(engine, monkeypatch):
    """A campaign whose events Spark is to sum up: three sessions of a customer."""
    monkeypatch.setenv("ENGAGE_HASH_KEY", "k" * 32)
    monkeypatch.setattr(engage_steps.Run, "engine", engine)
    found = World(engine, WINDOW, now=NOW)
    found.sessions(found.customer(), 3)
    chosen = validate(UNGUARDED | {"engine": "spark"})
    extract(engine, WINDOW, chosen, as_of=NOW, run_id="a_run", options=RunOptions())
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The archive's folder."""
    monkeypatch.setenv("ENGAGE_ARCHIVE_URL", tmp_path.as_uri())
    return tmp_path


@pytest.fixture
def archived(world, folder):
    """The campaign, whose events are in the archive."""
    archive(world.engine, place_of(folder.as_uri()), as_of=NOW)
    return world


@pytest.fixture
def connected(monkeypatch):
    """Names the server in Airflow's connection."""

    def at(port=15002, host="127.0.0.1"):
        parts = {"conn_type": "spark_connect", "host": host, "port": port}
        monkeypatch.setenv("AIRFLOW_CONN_ENGAGE_SPARK", json.dumps(parts))
        return f"{host}:{port}"

    return at


@pytest.fixture
def error(dag, task_context):
    """The error of the task, and how long it took to come. ``kind``: whether a retry is of no use."""

    def of(kind):
        ti = SimpleNamespace(dag_id=dag.dag_id, run_id="a_run", task_id="aggregate", try_number=1)
        began = time.monotonic()
        with task_context({"window_start": DAY}, ti=ti), pytest.raises(kind) as raised:
            dag.get_task("aggregate").python_callable()
        return str(raised.value), time.monotonic() - began

    return of


# --- before a server is asked


def test_the_client_is_not_installed(archived, connected, url):
    connected()
    parts = sa.make_url(url)
    place = {"host": parts.query["host"], "login": parts.username, "schema": parts.database}
    database = {"conn_type": "postgres"} | place
    variables = {"AIRFLOW_CONN_ENGAGE_DB": json.dumps(database), "PYTHONPATH": "plugins"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.dags.without_spark", DAY],
        cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "fails: engage_engine is spark, and the client of Spark is not installed here (No module named 'grpc'). "
        "Install it where the tasks run: pip install -r requirements-spark.txt -c constraints.txt"
    )


def test_there_is_no_connection(archived, error):
    assert error(RuntimeError)[0] == (
        "engage_engine is spark, and Airflow gives no connection engage_spark. Add it under Admin, Connections, with "
        "the type spark_connect, or set engage_engine to postgres."
    )


def test_there_is_no_archive(world, connected, error):
    connected()
    assert error(AirflowFailException)[0] == (
        "Spark has no archive to read: neither the connection engage_spark has archive in its extra, nor is "
        "ENGAGE_ARCHIVE_URL set. Set one to the URL of the archive or the lake, such as s3://chain/events."
    )


def test_the_archive_has_not_been_written(world, folder, connected, error):
    connected()
    assert error(AirflowFailException)[0] == (
        f"The archive {folder} has no whole copy of app_session in the window {WINDOW}: "
        f"app_session/window={WINDOW.key}/manifest.json is missing. `engage archive` writes it while Postgres has the "
        "events."
    )


def test_a_file_is_truncated(archived, folder, connected, error):
    connected()
    file = next((folder / "app_session").glob("*/*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    assert error(AirflowFailException)[0] == (
        f"The archive's file {file} is truncated: it has {len(whole) - 9:,} bytes, not {len(whole):,}. Put it back "
        "from a backup. `engage archive verify` lists all such files."
    )


def test_a_local_archive_is_of_no_use_to_a_remote_server(archived, folder, connected, error):
    connected(host="spark.example.com")
    assert error(AirflowFailException)[0] == (
        f"The archive {folder.as_uri()} is a folder of this machine, and the server of Spark is spark.example.com, "
        "another one. Put the archive in an object store; or, if spark.example.com has the very folder at the same "
        'path, say so with "shared_folder": true in the extra of the connection engage_spark.'
    )


# --- what a server says, or does not say


@pytest.mark.deep
def test_a_server_is_too_old(archived, connected, error):
    with spark_double.of_version("3.5.1") as port:
        named = connected(port)
        sentence, seconds = error(AirflowFailException)
    assert sentence == (
        f"The server of Spark at {named} has the version 3.5.1, and Engage needs 4.0 or later. Upgrade the server, or "
        "set engage_engine to postgres."
    )
    assert seconds < ANSWERS_WITHIN


@pytest.mark.deep
@pytest.mark.parametrize(
    ("listening", "why"),
    [
        (lambda: nullcontext(free_port()), "nothing took the connection within 30 s"),
        (spark_double.mute, "nothing took the connection within 30 s"),
        (spark_double.without_words, "it took the connection, and said nothing within 30 s"),
    ],
    ids=["a closed port", "no word of the protocol", "no answer to a question"],
)
def test_a_server_gives_no_answer(archived, connected, error, listening, why):
    with listening() as port:
        named = connected(port)
        sentence, seconds = error(ConnectionError)
    assert sentence == f"The server of Spark at {named} gives no answer: {why}. {ANSWER}"
    assert seconds < ANSWERS_WITHIN + 10


@pytest.mark.deep
def test_the_counts_differ(archived, tmp_path_factory, connected, error):
    archived.sessions(1)
    with sail(tmp_path_factory.mktemp("sail") / "log") as port:
        connected(port)
        assert error(AirflowFailException)[0] == (
            f"The counts differ: for the window {WINDOW} the archive has 3 rows of app_session, and Postgres has 4. "
            "Events came, or a customer was forgotten, after it was written. Run `engage archive` again, then clear "
            "aggregate."
        )


@pytest.mark.deep
def test_a_query_has_an_unknown_expression(archived, tmp_path_factory, connected, error, monkeypatch):
    """As after a change of a definition that the dialect does not know."""
    known = event_sums.by_customer

    def with_decimals(window, logs):
        return known(window, logs).add_columns(sa.cast(sa.literal(5), sa.Numeric))

    monkeypatch.setattr(event_sums, "by_customer", with_decimals)
    with sail(tmp_path_factory.mktemp("sail") / "log") as port:
        connected(port)
        assert error(AirflowFailException)[0] == (
            "Spark is asked for the type numeric, which is not known to mean the same there as in Postgres. Set "
            "engage_engine to postgres, and report it: engage/spark/dialect.py lists what is known."
        )
