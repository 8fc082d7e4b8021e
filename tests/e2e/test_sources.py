"""A run on real Airflow processes that pulls from a source: its connection, its hook, its files, its mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.support import Airflow, Campaigns, Run, past_window
from tests.integration.sources import sessions

WINDOW = past_window(2)
NAME = "warehouse"
Connect = Callable[..., None]
Edit = Callable[[str, str], None]


@pytest.fixture
def connect(airflow: Airflow, set_variable: Edit) -> Iterator[Connect]:
    """Makes the connection that ``engage_source`` names."""

    def make(conn_type: str, extra: dict[str, Any], **values: Any) -> None:
        body = {"connection_id": NAME, "conn_type": conn_type, "extra": json.dumps(extra)} | values
        airflow.request("POST", "connections", json=body)
        set_variable("source", NAME)

    yield make
    airflow.http.delete(f"/api/v2/connections/{NAME}")


def run(airflow: Airflow, **conf: Any) -> Run:
    return airflow.run(window_start=f"{WINDOW.start:%Y-%m-%d}", dry_run=True, **conf)


def test_a_run_pulls_from_files_and_from_a_database_and_its_campaign_says_so(
    airflow: Airflow, campaigns: Campaigns, connect: Connect, tmp_path: Path
) -> None:
    campaigns.remove(WINDOW)
    before = campaigns.value("SELECT count(*) FROM purchase WHERE purchased_at < :end", end=WINDOW.end)
    pq.write_table(pa.Table.from_pylist(sessions(WINDOW, 700)), tmp_path / "a.parquet")
    made = (
        "SELECT n AS event_id, n % 50 + 1 AS customer_id, timestamptz '2025-01-01Z' + n * interval '1 hour' AS "
        "occurred_at, 2.5 AS amount FROM generate_series(1, 8000) n"
    )
    query = f"SELECT * FROM ({made}) AS made WHERE occurred_at >= :since AND occurred_at < :until"
    engine = campaigns.engine.url
    login = {"host": engine.query.get("host") or engine.host, "login": engine.username, "schema": engine.database}
    connect("postgres", {"engage": {"session": {"path": str(tmp_path)}, "purchase": {"query": query}}}, **login)

    first = run(airflow, seed=True, customers=200, rng_seed=1)

    assert first.state == "success"
    hours = 8 * 7 * 24
    kinds = {
        "session": {"counted": 700, "read": 700, "stored": 700, "outside": 0, "rejected": {}},
        "purchase": {"counted": hours, "read": hours, "stored": hours, "outside": 0, "rejected": {}},
    }
    found = campaigns.of(WINDOW)
    assert found
    assert found["pulled"] == {"source": NAME, "kinds": kinds}
    assert found["events"]["sessions"] > 700
    assert campaigns.value("SELECT count(*) FROM purchase WHERE purchased_at < :end", end=WINDOW.end) > before + hours
    assert f"purchase: pulled {hours:,}, the source says {hours:,}" in airflow.log(first.run_id, "extract")

    again = run(airflow)

    assert again.state == "success"
    assert campaigns.of(WINDOW)["events"] == found["events"]  # type: ignore[index]


def test_a_connection_that_is_no_source_fails_the_run_at_once_with_its_sentence(
    airflow: Airflow, campaigns: Campaigns, connect: Connect
) -> None:
    campaigns.remove(WINDOW)
    connect("postgres", {"sslmode": "prefer"}, host="127.0.0.1")
    failed = run(airflow, seed=True, customers=200, rng_seed=1)
    assert (failed.states["extract"], failed.tasks["extract"]["try_number"]) == ("failed", 1)
    log = airflow.log(failed.run_id, "extract")
    assert f"The connection {NAME} is no source of events: its extra has no entry engage." in log
