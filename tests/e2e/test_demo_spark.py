"""The demonstration with Spark beside the one with Postgres: the same results, row by row, and the same report."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import Any

import pytest

from engage.local import embedded_postgres
from engage.local.home import Home
from tests.e2e.support import Campaigns, CommandLine
from tests.server_folder import server_folder

pytestmark = pytest.mark.deep
CUSTOMERS = 1000
RESULTS = ("customer_activity", "customer_bucket")


def demonstrated(engine: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any], dict[str, list[Any]]]:
    """What ``engage demo`` printed, the campaign's record, and the rows of its results."""
    with server_folder() as home, ExitStack() as after:
        command = CommandLine(home)
        after.callback(command.kill_everything)
        done = command.run("demo", "--customers", str(CUSTOMERS), "--engine", engine)
        assert done.returncode == 0, done.stdout + done.stderr
        assert command.processes() == []
        with embedded_postgres.engine(Home(home)) as database:
            campaigns = Campaigns(database)
            [(record,)] = campaigns.rows("SELECT to_jsonb(campaign) FROM campaign")
            return done, record, {name: campaigns.rows(f"SELECT * FROM {name} ORDER BY 1, 2") for name in RESULTS}


def counts(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The report up to its times: the window, the segments, the messages and the events."""
    report = done.stdout[done.stdout.index("\nCampaign ") :]
    return report[: report.index("Seconds by step")].splitlines()


def test_a_demonstration_with_spark_ends_in_the_same_rows_and_counts_as_one_with_postgres() -> None:
    spark, by_spark, rows = demonstrated("spark")
    postgres, by_postgres, expected = demonstrated("postgres")
    assert (by_spark["settings"]["engine"], by_postgres["settings"]["engine"]) == ("spark", "postgres")
    assert "events in" in spark.stdout  # of the archive
    assert rows == expected
    assert [len(found) for found in rows.values()] == [CUSTOMERS, CUSTOMERS]
    for name in ("events", "rejected", "customers", "buckets"):
        assert by_spark[name] == by_postgres[name], name
    assert counts(spark) == counts(postgres)
    assert any(line.startswith("Events: ") for line in counts(spark))
