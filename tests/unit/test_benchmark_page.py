"""The page that ``make bench`` writes is what its numbers say."""

import pytest

from benchmarks import document

SIZE = {
    "customers": 100_000,
    "events": 4_800_000,
    "messages": 50_000,
    "equal": ["Polars", "DuckDB"],
    "seconds": {
        "seed": [2.0, 4.0],
        "raw copy": [1.0, 3.0],
        "floor": [1.0, 2.0, 1.0],
        "floor of partitions": [0.5, 1.0, 0.5],
        "extract": [0.5, 1.0, 0.5],
        "aggregate": [2.0, 6.0, 3.0],
        "bucket": [0.5, 1.0, 0.5],
        "queue": [1.0, 2.0, 1.0],
        "send": [5.0, 2.5, 10.0],
        "landing": [1.0, 2.0, 0.5],
        "Polars": [5.0, 7.0, 10.5],
        "DuckDB": [5.0, 14.0, 7.0],
    },
    "peak_mb": {"seed": 120.0, "extract": 90.0, "aggregate": 91.0, "bucket": 80.0, "queue": 80.0, "send": 99.0},
    "buckets": {
        "bucket by the default rules": [1.0, 2.0, 2.0],
        "bucket by many rules": [1.3, 2.0, 2.8],
        "bucket by a share": [1.1, 2.0, 2.4],
    },
    "aggregates": {"alone": {"earlier aggregate": [1.0, 2.0, 4.0], "aggregate": [1.1, 2.4, 4.0]}},
    "lifts": {"floor": [1.0, 2.0, 1.0], "measure": [1.2, 1.8, 1.4]},
}
MILLION = SIZE | {"customers": 1_000_000, "events": 48_000_000}
LOAD = {
    "events_a_second": 40_000.4,
    "requests_a_second": 80.2,
    "p50": 0.0102,
    "p99": 0.0501,
    "refused": 3,
    "service_time": 0.0000123,
    "postgres_time": 0.0000045,
}
INTAKE = {
    "runs": {"batches of 500": LOAD, "with ids": LOAD | {"events_a_second": 30_000.3}},
    "compared": ["batches of 500", "with ids"],
    "promised": 40_000,
    "rows": 1_000,
    "raw_copy": 2_000_000.4,
}
ENGINES = {
    "date": "2026-11-28",
    "customers": 1000,
    "events": 48_000,
    "archive": {"seconds": 2.0, "bytes_a_row": 5.914},
    "postgres": [2.0, 1.0, 4.0],
    "sail": {"start": 0.4, "cold": 5.0, "warm": [3.0, 5.0, 4.0]},
}
PACE = {"asked": 100, "answer_after": 0.05, "messages": 1500, "average": 99.5, "each_second": [70, 99, 101]}
MACHINE = {"cores": 2, "processor": "x", "memory_gb": 4, "system": "Linux", "postgres": "18", "python": "3.11"}


def test_ratios_are_taken_within_each_turn():
    found = document.ratios(SIZE)
    assert found["aggregate / floor"] == "3.00"
    assert found["extract + aggregate + bucket + queue / floor"] == "5.00"
    assert found["aggregate / (floor + landing)"] == "1.50"
    assert found["Polars / (aggregate + bucket)"] == "2.0"
    assert found["seed, events a second"] == "1,600,000"
    assert found["seed / raw copy, by rate"] == "62%"
    assert found["sandbox sending, messages a second"] == "10,000"
    assert found["largest peak of a step, MB"] == "120"


def test_growth_is_time_per_event():
    run = {"date": "2026-01-01", "machine": MACHINE, "sizes": [SIZE, MILLION], "pace": PACE, "intake": INTAKE}
    page = document.page(run)
    assert "time per event / that at 100,000 | 0.10 |" in page


def test_the_page_shows_every_measurement_and_airflows_share():
    runs = [{"wall": 4.0, "steps": 1.0}, {"wall": 5.0, "steps": 1.0}, {"wall": 6.0, "steps": 1.5}]
    run = {"date": "2026-01-01", "machine": MACHINE, "sizes": [SIZE], "airflow": runs, "pace": PACE, "intake": INTAKE}
    page = document.page(run)
    for name in SIZE["seconds"]:
        assert f"| {name} |" in page
    assert "5.00 s (each: 4.00, 5.00, 6.00)" in page
    assert "**4.00 s Airflow's**, 80%" in page
    assert "| batches of 500 | 40,000 | 80 | 10.2 | 50.1 | 3 | 12.3 | 4.5 |" in page
    assert "1,000 rows takes in **2,000,000 a second**" in page
    assert "the rate is **0.75 ×** of that without, and 0.75 × the" in page


def test_many_rules_and_a_share_are_compared_with_the_default_ones_within_each_turn():
    run = {"date": "2026-01-01", "machine": MACHINE, "sizes": [SIZE], "pace": PACE, "intake": INTAKE}
    assert "| 100,000 | 2.00 | 2.00 | 2.00 | 1.30 | 1.10 |" in document.page(run)


def test_a_page_is_held_against_its_limit():
    pages = {
        "date": "2026-01-02",
        "campaigns": 13,
        "customers": 1_000_000,
        "milliseconds": {"report, sent": [160.0, 140.0, 150.0], "segments": [1200.0], "engage campaigns": [30.0]},
        "limits": {"report, sent": 300, "segments": 1000},
    }
    run = {"date": "2026-01-01", "machine": MACHINE, "sizes": [SIZE], "pace": PACE, "intake": INTAKE, "pages": pages}
    page = document.page(run)
    assert "13 campaigns of 1,000,000 customers, on 2026-01-02" in page
    assert "| report, sent | 150 (140–160) | 300 | 0.50 |" in page
    assert "| segments | 1,200 (1,200–1,200) | 1,000 | 1.20 |" in page
    assert "| engage campaigns | 30 (30–30) |  |  |" in page


def test_the_aggregate_is_compared_with_the_earlier_one_within_each_turn():
    run = {"date": "2026-01-01", "machine": MACHINE, "sizes": [SIZE], "pace": PACE, "intake": INTAKE}
    assert "| 100,000 | alone | 2.00 | 2.40 | 1.10 |" in document.page(run)


@pytest.mark.parametrize("history", [{"floor": [1.0], **{step: [1.0] for step in document.PATH}}])
def test_history_is_compared_with_the_campaign_alone(history):
    beside = history | {"aggregate": [2.0]}
    found = document.ratios(SIZE | {"history": {"alone": history, "beside history": beside}})
    assert found["extract to queue beside ten windows of history / alone"] == "1.25"


def test_measuring_is_compared_with_the_floor_within_each_turn():
    run = {"date": "2026-01-01", "machine": MACHINE, "sizes": [SIZE], "pace": PACE, "intake": INTAKE}
    assert "| 100,000 | 1.00 | 1.40 | 1.20 |" in document.page(run)


def test_an_import_stands_beside_a_raw_copy_of_its_rows():
    took = {"rows": 1_000, "file_mb": 2.4, "seconds": 4.0, "raw_copy": 0.5, "peak_mb": 190.4, "worker_mb": 150.0}
    files = {"date": "2026-01-02", "runs": {"customers": took}}
    run = {"date": "2026-01-01", "machine": MACHINE, "sizes": [SIZE], "pace": PACE, "intake": INTAKE, "imports": files}
    assert "| customers | 1,000 | 2 | 4.0 | 250 | 2,000 | 190 | 150 |" in document.page(run)


def test_other_engines_stand_beside_postgres_with_their_cold_start():
    page = document.engines(ENGINES)
    assert "| Postgres | | | 2.0 (1.0–4.0) | 1.00 |" in page
    assert "| Sail | 0.4 | 5.0 | 4.0 (3.0–5.0) | 2.00 |" in page
    assert "Spark, a master" not in page
    assert "**5.91 bytes a row**, and was written in 2.0 s by two processes: 24,000 events a second." in page
