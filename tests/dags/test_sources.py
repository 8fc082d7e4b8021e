"""Sources of events through Airflow's own hooks and object storage: Postgres, a folder, S3."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import boto3
import engage_sources
import engage_steps
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from engage.campaigns.pulled import PulledKind
from engage.errors import SourceError
from engage.sources import pull
from engage.storage.schema import customer
from tests.dags.alerts import NOW, WINDOW
from tests.dags.tasks import variables
from tests.integration.sources import DEFINITION, TABLES, Warehouse, second_postgres, sessions
from tests.object_store import object_store

BUCKET = "chain"


@pytest.fixture
def connection(monkeypatch):
    """Makes Airflow's connection ``warehouse``."""

    def make(conn_type, extra=None, **values):
        parts = {"conn_type": conn_type, "extra": extra or {}} | values
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(parts))

    return make


@pytest.fixture(scope="module")
def second_server():
    with second_postgres() as url:
        yield url


@pytest.fixture
def warehouse(second_server, connection):
    found = Warehouse(second_server)
    found.execute(TABLES)
    url = sa.make_url(second_server)
    connection("postgres", {"engage": DEFINITION}, host=url.query["host"], login="postgres", schema="postgres")
    return found


@pytest.fixture(scope="module")
def store():
    with object_store() as address:
        yield address


@pytest.fixture
def bucket(store, connection):
    """A bucket in the stand-in for S3, and the connection to it."""
    login = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "eu-central-1"}
    s3 = boto3.client("s3", endpoint_url=store, **login)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    extra = {"endpoint_url": store, "region_name": "eu-central-1"}
    extra["engage"] = {"session": {"path": f"s3://{BUCKET}/sessions/"}}
    connection("aws", extra, login="key", password="secret")

    def put(name, rows):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows), sink)
        s3.put_object(Bucket=BUCKET, Key=name, Body=sink.getvalue().to_pybytes())

    yield put
    for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        s3.delete_object(Bucket=BUCKET, Key=one["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def pulled(engine, kind="session"):
    return pull(engine, WINDOW, engage_sources.source("warehouse"), as_of=NOW).kinds[kind]


def stored(engine, table="app_session"):
    with engine.connect() as conn:
        return conn.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()


def test_a_connection_to_postgres_is_read_through_its_hook(warehouse, engine):
    warehouse.fill(WINDOW, sessions=300, purchases=70)
    assert pulled(engine, "purchase") == PulledKind(counted=70, read=70, stored=70)
    warehouse.execute("INSERT INTO opened VALUES (9001, 7, %s)", WINDOW.start)
    assert pulled(engine) == PulledKind(counted=301, read=301, stored=301)
    assert (stored(engine), stored(engine, "purchase")) == (301, 70)


def test_files_in_s3_are_read_through_object_storage(bucket, engine):
    rows = sessions(WINDOW, 300)
    bucket("sessions/a.parquet", rows[:100])
    bucket("sessions/2026/b.parquet", rows[100:])
    bucket("other/c.parquet", sessions(WINDOW, 9, first=900))
    assert pulled(engine) == PulledKind(counted=300, read=300, stored=300)
    bucket("sessions/a.parquet", [*rows[:100], *sessions(WINDOW, 5, first=500)])
    bucket("sessions/d.parquet", sessions(WINDOW, 10, first=700))
    assert pulled(engine) == PulledKind(counted=315, read=315, stored=315)
    assert stored(engine) == 315


def test_files_in_a_folder_are_read_through_object_storage(connection, engine, tmp_path):
    pq.write_table(pa.Table.from_pylist(sessions(WINDOW, 30)), tmp_path / "a.parquet")
    connection("fs", {"engage": {"session": {"path": f"file://{tmp_path}/"}}})
    assert pulled(engine) == PulledKind(counted=30, read=30, stored=30)


def test_the_task_extract_pulls_from_the_source_that_the_variable_names(
    dag, task_context, warehouse, engine, monkeypatch
):
    warehouse.fill(WINDOW, sessions=300, purchases=70)
    with engine.begin() as conn:
        conn.execute(sa.insert(customer).values(customer_id=1, registered_at=WINDOW.start))
    variables(monkeypatch, {"engage_source": "warehouse"})
    monkeypatch.setattr(engage_steps.Run, "engine", engine)
    with task_context({"window_start": f"{WINDOW.start:%Y-%m-%d}"}):
        done = dag.get_task("extract").python_callable()
    assert done["events"] == {"sessions": 300, "purchases": 70}
    assert "session: pulled 300, the source says 300: 300 stored" in done["pulled"]


# --- mistakes


def test_a_connection_that_does_not_say_so_is_no_source(connection):
    connection("postgres", {"sslmode": "require"}, host="127.0.0.1")
    with pytest.raises(SourceError, match=r"^The connection warehouse is no source of events: its extra has no entry"):
        engage_sources.source("warehouse")


def test_a_connection_that_airflow_does_not_give_is_left_to_the_retries():
    with pytest.raises(RuntimeError, match="engage_source is warehouse, and Airflow gives no connection of this name"):
        engage_sources.source("warehouse")


@pytest.mark.parametrize(
    ("conn_type", "sentence"),
    [
        ("snowflake", "has the type snowflake, for which Airflow has no hook here .* Install its provider"),
        ("fs", "has the type fs, "),
        ("aws", "has the type aws, which runs no SQL query. Give each kind of event a path"),
    ],
)
def test_a_type_that_runs_no_query_is_one_sentence(connection, engine, conn_type, sentence):
    connection(conn_type, {"engage": DEFINITION})
    with pytest.raises(SourceError, match=sentence):
        pulled(engine)


def test_a_wrong_login_is_one_sentence(warehouse, connection, engine, second_server):
    host = sa.make_url(second_server).query["host"]
    connection("postgres", {"engage": DEFINITION}, host=host, login="stranger", schema="postgres")
    with pytest.raises(SourceError, match=r"The source warehouse does not let Engage in: .*stranger"):
        pulled(engine)


@pytest.mark.parametrize("path", ["gs://chain/sessions/", "nonsense://chain/"])
def test_a_scheme_without_a_provider_is_one_sentence(connection, engine, path):
    connection("generic", {"engage": {"session": {"path": path}}})
    with pytest.raises(SourceError, match=r"which Airflow cannot open here .* Install the provider of its scheme"):
        pulled(engine)


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_does_not_exist_and_an_empty_prefix_are_one_sentence(connection, store, engine):
    with pytest.raises(SourceError, match=r"s3://chain/sessions/ of the source warehouse has no file"):
        pulled(engine)
    extra = {"endpoint_url": store, "engage": {"session": {"path": "s3://nowhere/sessions/"}}}
    connection("aws", extra, login="key", password="secret")
    with pytest.raises(SourceError, match=r"s3://nowhere/sessions/ of the source warehouse"):
        pulled(engine)


def test_no_secret_of_the_connection_is_in_a_log(bucket, engine, caplog):
    caplog.set_level(logging.DEBUG, logger="engage")
    bucket("sessions/a.parquet", sessions(WINDOW, 5, step=timedelta(days=1)))
    pulled(engine)
    assert "a.parquet of session: pulled 5, the source says 5" in caplog.text
    assert "secret" not in caplog.text
