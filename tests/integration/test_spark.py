"""The same results from Postgres, from Sail and from Spark itself; and what a server, a file or a client may do wrong.

``make test-deep`` runs them with Sail, which needs no Java. ``make test-spark`` adds Spark, a master and two workers.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import dirt
from benchmarks.spark_servers import busy, served
from engage.archive.erasure import erase
from engage.archive.place import place_of
from engage.archive.write import archive
from engage.customers.erasure import forget
from engage.errors import ArchiveError, NoValidEvents, SparkError
from engage.spark import Attempt, Definition, Spark
from engage.spark.session import session
from engage.steps.aggregate import aggregate
from tests.integration import lake
from tests.integration.conftest import KEY
from tests.integration.test_event_sums import DAYS, FAVOURITE, LEFT, computed, counted
from tests.waiting import logged, until

pytestmark = pytest.mark.deep
SPARK = pytest.mark.skipif(
    not os.environ.get("ENGAGE_TEST_SPARK"), reason="make test-spark runs it: Spark itself, which needs Java"
)
CUSTOMERS = 100_000


@pytest.fixture(scope="module", params=["sail", pytest.param("spark", marks=SPARK)])
def port(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with served(request.param, folder) as port:
        yield port


class Lake:
    """A folder of files, and Spark over it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.number = 1

    def definition(self, **extra):
        return Definition.of(
            "engage_spark", host="127.0.0.1", port=self.port, extra=extra, archive=self.folder.as_uri()
        )

    def spark(self, **extra):
        return Spark(self.definition(**extra), self.attempt)

    def attempt(self, purpose):
        return Attempt(KEY, f"{self.folder} {purpose}", self.number)

    def files(self, log):
        return sorted((self.folder / log).glob("*/*.parquet"))


@pytest.fixture
def files(port, tmp_path):
    """The archive's folder. Each test has attempts of its own, as ids of sessions follow from its name."""
    (tmp_path / "archive").mkdir()
    return Lake(tmp_path / "archive", port)


def written(world, files):
    """Write the archive, and return Spark over it."""
    archive(world.engine, place_of(files.folder.as_uri()), as_of=world.now)
    files.number += 1  # as if the task were cleared: its sessions are not opened twice
    return files.spark()


# --- the same results


def test_the_results_are_those_of_postgres_with_every_class_of_dirt(world, files):
    dirt.fill(world.engine, world.window, CUSTOMERS)
    expected = computed(world, **FAVOURITE)
    found = computed(world, written(world, files), **FAVOURITE)
    assert found == expected
    [(_, rejected, *_)] = found[1]
    assert all(rejected.values())
    assert world.value(LEFT) == 0
    assert world.value("SELECT count(*) FROM customer_activity WHERE favourite_item IS NOT NULL") > 100


def test_a_window_that_has_left_postgres_has_the_same_results(world, files):
    dirt.fill(world.engine, world.window, 2000)
    expected = computed(world)
    days = world.rows(DAYS)
    spark = written(world, files)
    for log in ("app_session", "purchase", "app_event", "refund"):
        world.execute(dirt.truncated(log, world.window))
    files.number += 1
    assert computed(world, spark) == expected
    assert world.rows(DAYS) == days


def test_a_foreign_lake_is_read_as_it_is(world, files):
    dirt.fill(world.engine, world.window, 2000)
    for log in ("app_event", "refund"):
        world.execute(dirt.truncated(log, world.window))
    expected = computed(world)
    lake.write(world.engine, world.window, files.folder)
    beyond = [{"customer_id": 3, "started_at": world.window.end}, {"customer_id": 3, "started_at": None}]
    lake.put(files.folder, lake.SESSION, world.window, beyond, "beyond.parquet")
    for log in ("app_session", "purchase"):
        world.execute(dirt.truncated(log, world.window))
    assert computed(world, files.spark(columns=lake.COLUMNS)) == expected


def test_a_window_of_few_events_has_the_same_results(world, files):
    """All other logs are empty, and so are most pieces of this one."""
    world.sessions(world.customer(), 3)
    expected = computed(world)
    assert computed(world, written(world, files)) == expected


# --- what may be wrong with the files


def test_a_late_event_is_found_and_then_counted(world, files):
    ada = world.customer()
    world.sessions(ada, 3)
    spark = written(world, files)
    counted(world, spark)
    world.sessions(ada)
    with pytest.raises(
        SparkError, match=r"^The counts differ: .* the archive has 3 rows of app_session, and Postgres has 4"
    ):
        aggregate(world.engine, world.window, lambda: spark)
    spark = written(world, files)
    assert aggregate(world.engine, world.window, lambda: spark).customers == 1
    assert world.value("SELECT sessions FROM customer_activity") == 4


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), r"is truncated: it has \d+ bytes"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"X"), r"is changed: its SHA-256 is"),
        (Path.unlink, r"is missing"),
    ],
)
def test_a_file_that_is_not_as_its_manifest_says_stops_the_run(world, files, spoil, sentence):
    world.sessions(world.customer(), 3)
    spark = written(world, files)
    counted(world, spark)
    spoil(files.files("app_session")[0])
    with pytest.raises(SparkError, match=sentence):
        aggregate(world.engine, world.window, lambda: spark)


def test_an_archive_that_is_written_anew_while_it_is_read_is_a_matter_of_a_retry(world, files):
    """Forgetting a customer replaces a file, and deletes the one that the query was told to read."""
    ada, bob = world.customer(), world.customer()
    for customer in (ada, bob):
        world.sessions(customer, 3)
    written(world, files)
    place = place_of(files.folder.as_uri())

    def forgotten_meanwhile(purpose):
        forget(world.engine, bob, as_of=world.now)
        erase(world.engine, place)
        return files.attempt(purpose)

    with pytest.raises(
        ConnectionError, match=r"^The files of the window .* were written anew while Spark read them\. The"
    ):
        Spark(files.definition(), forgotten_meanwhile).sums(world.window, favourites=False)
    files.number += 1
    assert files.spark().sums(world.window, favourites=False).columns["sessions"][0].tolist() == [3]


def test_no_archive_is_one_sentence(world, files):
    world.sessions(world.customer())
    counted(world, files.spark())
    with pytest.raises(ArchiveError, match=r"has no whole copy of app_session .* `engage archive` writes it"):
        aggregate(world.engine, world.window, files.spark)


def test_a_lake_without_a_valid_event_stops_the_run(world, files):
    world.customer()
    row = {"customer_id": None, "started_at": world.window.start}
    lake.put(files.folder, lake.SESSION, world.window, [row], "a.parquet")
    with pytest.raises(SparkError, match=r"The lake .* has no file of purchase for the window"):
        counted(world, files.spark(columns=lake.COLUMNS))
    lake.put(files.folder, lake.PURCHASE, world.window, [], "a.parquet")
    files.number += 1
    with pytest.raises(NoValidEvents, match="1 missing_customer"):
        counted(world, files.spark(columns=lake.COLUMNS))


def test_a_lake_with_another_type_is_one_sentence(world, files):
    world.customer()
    lake.put(files.folder, lake.SESSION, world.window, [], "a.parquet")
    lake.put(files.folder, lake.PURCHASE, world.window, [], "a.parquet")
    wrong = lake.COLUMNS | {"purchase": {"customer_id": "client", "amount_cents": "purchased_at"}}
    with pytest.raises(
        SparkError, match=r"purchase has timestamp as purchased_at, which is Engage's amount_cents; it takes"
    ):
        counted(world, files.spark(columns=wrong))


# --- what may be wrong with the server


def test_a_query_that_the_server_refuses_is_one_sentence(files):
    with (
        pytest.raises(SparkError, match=r"^The server of Spark at 127\.0\.0\.1:\d+ refuses the query: "),
        session(files.definition(), files.attempt("refused")) as spark,
    ):
        spark.table("SELECT * FROM nowhere", {})


def test_the_client_loads_in_a_process_without_a_main_file():
    """As the local stack starts Airflow: the client would take the process for its own tests, and end it."""
    code = "from engage.spark.session import _client; print(_client().session.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "SparkSession\n"), done.stderr


def test_values_reach_the_server_as_values(files):
    with session(files.definition(), files.attempt("values")) as spark:
        found = spark.table(
            "SELECT :a AS a, :b AS b, :c AS c", {"a": 10**12, "b": "x' OR '1'='1", "c": None}
        ).to_pylist()
    assert found == [{"a": 10**12, "b": "x' OR '1'='1", "c": None}]


def test_a_client_that_was_killed_leaves_nothing_and_its_task_succeeds(world, files, caplog, request):
    """Its query would run for hours, so the next attempt has to end it, unless Sail has noticed before."""
    on_spark = request.node.callspec.params["port"] == "spark"
    world.sessions(world.customer(), 3)
    expected = computed(world)
    archive(world.engine, place_of(files.folder.as_uri()), as_of=world.now)
    attempt = files.attempt("sums")
    log = files.folder / "client.log"
    words = [str(files.port), attempt.name, str(attempt.number), KEY.decode()]
    with log.open("wb") as output:
        client = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.spark_client", *words], stdout=output, stderr=subprocess.STDOUT
        )
    logged(log, "asks")
    until(busy, "the server works on the query")
    client.send_signal(signal.SIGKILL)
    client.wait()
    files.number += 1
    caplog.set_level(logging.INFO, logger="engage")
    assert computed(world, files.spark()) == expected
    assert "of attempt 1 on Spark, whose task had been killed" in caplog.text or not on_spark
    until(lambda: not busy(), "the server rests")
