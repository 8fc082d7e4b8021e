"""The DAG on real Airflow processes, driven over Airflow's REST API."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import psutil
import pytest
import sqlalchemy as sa
from rich.console import Console

from engage.airflow_names import DAG_ID
from engage.errors import RunFailed
from engage.local.demo import run_demo
from engage.local.stack import POSTGRES
from engage.window import Window
from tests.e2e.support import Airflow, Campaigns, Run, alive, past_window, processor_seconds
from tests.smtp_double import Mail
from tests.waiting import until

CUSTOMERS = 2000
STEPS = ("extract", "aggregate", "bucket", "message")
FAILED_AT_SEED = dict.fromkeys((*STEPS, "measure", "approve"), "upstream_failed") | {"seed": "failed"}
SEEDED = dict.fromkeys((*STEPS, "seed"), "success") | {"measure": "skipped", "approve": "skipped"}
UNSEEDED = SEEDED | {"seed": "skipped"}
BUSY_SECONDS, IDLE_SECONDS, SETTLED_SECONDS = 4, 12, 8
"""The scheduler does not rest so long after a run; the rest is looked at so long; then no process has died so long."""
Edit = Callable[[str, str], None]


def test_a_fresh_install_unpaused_without_data_skips_green_and_says_why(
    airflow: Airflow, first_scheduled_run: Run
) -> None:
    last = Window.last_complete(datetime.now(UTC) - timedelta(hours=12))
    start, end = (datetime.fromisoformat(moment or "") for moment in first_scheduled_run.interval)
    assert (first_scheduled_run.run_type, start, end) == ("scheduled", last.start, last.end)
    assert first_scheduled_run.state == "success"
    assert set(first_scheduled_run.states.values()) == {"skipped"}
    assert "There are no customers yet" in airflow.log(first_scheduled_run.run_id, "extract")


BACKFILLED = [past_window(number) for number in range(4)]


@pytest.fixture(scope="module")
def first_backfill(airflow: Airflow) -> list[Run]:
    return airflow.backfill(BACKFILLED[0], BACKFILLED[-1], seed=True, customers=500, rng_seed=1, send_late=True)


def test_a_backfill_of_four_windows_at_once_makes_four_campaigns_and_texts_nobody(
    first_backfill: list[Run], campaigns: Campaigns
) -> None:
    assert [(run.run_type, run.state, run.states) for run in first_backfill] == [("backfill", "success", SEEDED)] * 4
    for window, run in zip(BACKFILLED, first_backfill, strict=True):
        assert_computed_and_not_texted(campaigns, window, run, low_spend=100)


@pytest.mark.deep
def test_a_backfill_again_with_other_thresholds_recomputes_the_campaigns_and_texts_nobody(
    airflow: Airflow, first_backfill: list[Run], campaigns: Campaigns, set_variable: Edit
) -> None:
    before = [campaigns.of(window)["buckets"] for window in BACKFILLED]
    set_variable("low_spend_threshold", "150")
    again = airflow.backfill(BACKFILLED[0], BACKFILLED[-1], reprocess="completed", send_late=True)
    assert [run.run_id for run in again] == [run.run_id for run in first_backfill]
    assert [(run.state, run.states) for run in again] == [("success", UNSEEDED)] * 4
    for window, run, buckets in zip(BACKFILLED, again, before, strict=True):
        assert_computed_and_not_texted(campaigns, window, run, low_spend=150)
        assert campaigns.of(window)["buckets"]["BOOST"] > buckets["BOOST"]


def test_a_frozen_campaign_reprocessed_by_a_backfill_keeps_its_buckets_and_its_ledger(
    airflow: Airflow, first_backfill: list[Run], campaigns: Campaigns, set_variable: Edit
) -> None:
    window = BACKFILLED[-1]
    sent = airflow.run(window_start=window.start.date().isoformat(), send_late=True)
    assert sent.state == "success"
    assert campaigns.messages(window)["accepted"] > 0
    before = campaigns.everything_of(window)
    set_variable("low_spend_threshold", "200")
    set_variable("high_activity_threshold", "1")

    [again] = airflow.backfill(window, window, reprocess="completed", seed=True, customers=500, rng_seed=2)

    assert (again.run_id, again.state) == (first_backfill[-1].run_id, "success")
    assert again.states == SEEDED
    assert "nothing was changed" in airflow.log(again.run_id, "message", again.tasks["message"]["try_number"])
    assert campaigns.everything_of(window) == before


def assert_computed_and_not_texted(campaigns: Campaigns, window: Window, run: Run, *, low_spend: int) -> None:
    found = campaigns.of(window)
    assert found is not None
    assert (found["run_id"], found["status"], found["frozen_at"]) == (run.run_id, "complete", None)
    assert found["settings"]["low_spend_threshold"] == low_spend
    fates = campaigns.messages(window)
    assert set(fates) == {"skipped/backfill", "skipped/no_phone", "skipped/opted_out"}
    assert sum(fates.values()) == found["buckets"]["BOOST"] + found["buckets"]["REWARD"]


def test_a_threshold_edited_in_airflow_shows_in_the_next_campaign(
    airflow: Airflow, campaigns: Campaigns, set_variable: Edit
) -> None:
    window = past_window(4)
    start = window.start.date().isoformat()
    spent_less = """SELECT count(*) FROM customer_activity
                    WHERE window_start = :start AND total_spend_cents < :cents"""
    airflow.run(seed=True, customers=CUSTOMERS, rng_seed=7, window_start=start)
    before = campaigns.of(window)
    set_variable("low_spend_threshold", "120")
    airflow.run(window_start=start)
    after = campaigns.of(window)

    assert before["settings"]["low_spend_threshold"] == 100
    assert before["buckets"]["BOOST"] == campaigns.value(spent_less, start=window.start, cents=100_00)
    assert after["settings"]["low_spend_threshold"] == 120
    assert after["buckets"]["BOOST"] == campaigns.value(spent_less, start=window.start, cents=120_00)
    assert after["buckets"]["BOOST"] > before["buckets"]["BOOST"]


@pytest.mark.parametrize("value", ["abc", "-1", "NaN", ""])
def test_a_wrong_variable_fails_extract_at_once_and_queues_nothing(
    airflow: Airflow, campaigns: Campaigns, set_variable: Edit, value: str
) -> None:
    window = past_window(5)
    set_variable("low_spend_threshold", value)

    run = airflow.run(seed=True, customers=100, rng_seed=1, window_start=window.start.date().isoformat())

    assert run.state == "failed"
    assert run.states == {
        "seed": "success",
        "extract": "failed",
        "aggregate": "upstream_failed",
        "measure": "upstream_failed",
        "bucket": "upstream_failed",
        "approve": "upstream_failed",
        "message": "upstream_failed",
    }
    assert run.tasks["extract"]["try_number"] == 1
    log = airflow.log(run.run_id, "extract")
    assert f"The Airflow Variable engage_low_spend_threshold is {value!r}, which is not allowed" in log
    assert "it takes a number from 0 to 1000000000" in log
    assert campaigns.of(window) is None
    assert campaigns.messages(window) == {}


def test_a_failed_demonstration_says_which_task_failed_and_why(airflow: Airflow, set_variable: Edit) -> None:
    set_variable("high_activity_threshold", "often")
    wrong = "The task extract failed: .*The Airflow Variable engage_high_activity_threshold is 'often'"
    with pytest.raises(RunFailed, match=wrong):
        run_demo(airflow, 100, Console(file=io.StringIO()))


def test_a_run_with_an_unknown_key_fails_at_the_first_task_and_says_which_there_are(airflow: Airflow) -> None:
    run = airflow.run(windowstart="2025-01-06")
    assert (run.state, run.states) == ("failed", FAILED_AT_SEED)
    assert run.tasks["seed"]["try_number"] == 1
    log = airflow.log(run.run_id, "seed")
    assert "The run was triggered with 'windowstart', which Engage does not know" in log
    assert "it knows customers, dry_run, ignore_guard, rng_seed, seed, send_late, window_start" in log


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (past_window(1).start + timedelta(days=1), "is not the start of a window"),
        (Window.containing(datetime.now(UTC)).start, "is not complete"),
        (past_window(-1).start, "lies before the first window"),
    ],
    ids=["off the grid", "not complete", "before the first"],
)
def test_a_run_of_no_complete_window_fails_at_the_first_task(airflow: Airflow, start: datetime, sentence: str) -> None:
    run = airflow.run(window_start=start.date().isoformat(), seed=True)
    assert (run.state, run.states) == ("failed", FAILED_AT_SEED)
    assert run.tasks["seed"]["try_number"] == 1
    log = airflow.log(run.run_id, "seed")
    assert f"{start:%Y-%m-%d}" in log
    assert sentence in log


def test_a_named_window_wins_over_the_interval_of_the_run(airflow: Airflow, campaigns: Campaigns) -> None:
    window = past_window(4)
    run = airflow.run(
        logical_date=datetime.now(UTC),
        seed=True,
        customers=100,
        rng_seed=1,
        window_start=window.start.date().isoformat(),
        dry_run=True,
    )
    assert run.state == "success"
    assert datetime.fromisoformat(run.interval[0] or "") > window.end
    assert campaigns.rows("SELECT window_start FROM campaign WHERE run_id = :run_id", run_id=run.run_id) == [
        (window.start,)
    ]


@pytest.mark.deep
def test_a_run_outlives_kill_9_of_the_scheduler_and_texts_everybody_once(
    airflow: Airflow, campaigns: Campaigns
) -> None:
    window = past_window(6)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'customer_activity'::regclass"
    with campaigns.engine.begin() as conn:
        conn.execute(sa.text("LOCK TABLE customer_activity"))  # so that aggregate cannot end before it is to
        run_id = airflow.start_run(
            seed=True, customers=CUSTOMERS, rng_seed=3, window_start=window.start.date().isoformat(), send_late=True
        )
        until(lambda: campaigns.value(waiting), "aggregate is at work")
        assert "Could not read served logs" not in airflow.log(run_id, "aggregate")
        scheduler = psutil.Process(airflow.stack.processes["scheduler"].pid)
        workers = scheduler.children(recursive=True)
        scheduler.kill()
        assert until(airflow.stack.keep_alive, "the scheduler is found dead and started again") == ["scheduler"]
        assert airflow.tasks(run_id)["aggregate"]["state"] == "running"
    run = airflow.wait_for(run_id)

    assert (run.state, run.states) == ("success", SEEDED)
    assert [worker for worker in workers if alive(worker)] == []
    texted = "SELECT customer_id FROM customer_bucket WHERE window_start = :start AND bucket <> 'NONE' ORDER BY 1"
    ledger = "SELECT customer_id FROM message WHERE window_start = :start ORDER BY 1"
    assert campaigns.rows(ledger, start=window.start) == campaigns.rows(texted, start=window.start)
    assert set(campaigns.messages(window)) == {"accepted", "skipped/no_phone", "skipped/opted_out"}
    handed_over = "SELECT provider_message_id FROM message WHERE window_start = :start AND status = 'accepted'"
    ids = campaigns.rows(handed_over, start=window.start)
    assert len(set(ids)) == len(ids)


@pytest.mark.deep
def test_two_runs_of_a_window_at_the_same_time_both_succeed_and_text_each_customer_once(
    airflow: Airflow, campaigns: Campaigns
) -> None:
    window = past_window(5)
    start = window.start.date().isoformat()
    airflow.run(seed=True, customers=CUSTOMERS, rng_seed=6, window_start=start, dry_run=True)
    runs = [airflow.start_run(window_start=start, send_late=True, ignore_guard=True) for _ in range(2)]
    assert [airflow.wait_for(run_id).state for run_id in runs] == ["success", "success"]
    found = campaigns.of(window)["buckets"]
    assert sum(campaigns.messages(window).values()) == found["BOOST"] + found["REWARD"]
    campaigns.remove(window)


def test_a_window_with_far_fewer_events_than_the_last_stops_until_a_run_ignores_the_guard(
    airflow: Airflow, campaigns: Campaigns, mails: list[Mail]
) -> None:
    last, window = past_window(4), past_window(5)
    airflow.run(seed=True, customers=1000, rng_seed=4, window_start=last.start.date().isoformat(), dry_run=True)
    conf = {"window_start": window.start.date().isoformat(), "send_late": True}

    stopped = airflow.run(seed=True, customers=100, rng_seed=5, **conf)
    assert (stopped.state, stopped.states["extract"], stopped.states["message"]) == (
        "failed", "failed", "upstream_failed",
    )  # fmt: skip
    assert stopped.tasks["extract"]["try_number"] == 1
    log = airflow.log(stopped.run_id, "extract")
    assert "The guard has stopped the campaign of the window" in log
    assert "engage_guard_min_volume_percent is 50" in log
    assert campaigns.messages(window) == {}
    [mail] = until(lambda: mails, "the alert arrives")
    assert mail.recipients == ["ops@example.com"]
    assert mail.subject == "Engage: the task extract of customer_engagement has failed"
    assert "engage_guard_min_volume_percent is 50" in mail.html
    assert f'href="{airflow.stack.home.url}/dags/{DAG_ID}/runs/{quote(stopped.run_id)}/tasks/extract' in mail.html

    ignoring = airflow.run(ignore_guard=True, **conf)
    assert (ignoring.state, ignoring.states) == ("success", UNSEEDED)
    assert campaigns.messages(window)["accepted"] > 0
    kept = campaigns.of(window)["guard"]
    assert {finding["check"] for finding in kept["findings"]} >= {"volume"}
    assert kept["ignored_by"] == f"{ignoring.run_id}, triggered by admin"
    assert len(mails) == 1


def test_a_mix_of_buckets_that_has_moved_far_stops_before_message_until_a_run_ignores_the_guard(
    airflow: Airflow, campaigns: Campaigns, set_variable: Edit
) -> None:
    last, window = past_window(4), past_window(5)
    for used in (last, window):
        campaigns.remove(used)
    airflow.run(seed=True, customers=500, rng_seed=9, window_start=last.start.date().isoformat(), dry_run=True)
    conf = {"window_start": window.start.date().isoformat(), "send_late": True}
    set_variable("low_spend_threshold", "300")
    set_variable("guard_max_shift_points", "0.5")

    stopped = airflow.run(seed=True, customers=500, rng_seed=10, **conf)
    assert stopped.states == dict.fromkeys(STEPS, "success") | {
        "seed": "success", "measure": "skipped", "approve": "failed", "message": "upstream_failed",
    }  # fmt: skip
    assert stopped.tasks["approve"]["try_number"] == 1
    log = airflow.log(stopped.run_id, "approve")
    assert "BOOST has " in log
    assert "engage_guard_max_shift_points is 0.5" in log
    assert campaigns.messages(window) == {}

    assert airflow.run(ignore_guard=True, **conf).states == UNSEEDED
    assert campaigns.messages(window)["accepted"] > 0


def test_other_dags_can_follow_what_a_campaign_sent(airflow: Airflow, campaigns: Campaigns) -> None:
    window = past_window(4)
    run = airflow.run(window_start=window.start.date().isoformat())
    query = {"source_dag_id": DAG_ID, "source_run_id": run.run_id, "source_task_id": "message"}
    [event] = airflow.request("GET", "assets/events", params=query)["asset_events"]
    assert event["name"] == "engage_campaign"
    told = event["extra"]
    assert (told["window_start"], told["window_end"]) == (window.start.isoformat(), window.end.isoformat())
    assert told["by_status"] == {"skipped": sum(campaigns.messages(window).values())}
    assert told["accepted_now"] == 0


def spent_in(airflow: Airflow, seconds: float) -> float:
    """The processor time that the stack spends in the next ``seconds``."""
    before = processor_seconds(airflow.stack)
    time.sleep(seconds)
    return processor_seconds(airflow.stack) - before


@pytest.mark.deep
def test_an_idle_stack_leaves_the_processor_alone_and_still_starts_a_run_at_once(airflow: Airflow) -> None:
    window = past_window(4).start.date().isoformat()
    airflow.wait_until_idle()
    time.sleep(BUSY_SECONDS)
    used = min(spent_in(airflow, IDLE_SECONDS) for _ in range(3))  # other tests may slow one down
    assert used < 0.06 * IDLE_SECONDS  # 2% when the machine does nothing else
    run = airflow.run(seed=True, customers=200, rng_seed=11, window_start=window, dry_run=True)
    found = airflow.request("GET", f"dags/{DAG_ID}/dagRuns/{run.run_id}")
    queued, started = (datetime.fromisoformat(found[name]) for name in ("queued_at", "start_date"))
    assert started - queued < timedelta(seconds=2)


@pytest.mark.deep
def test_a_killed_postgres_is_started_again_and_campaigns_go_on(airflow: Airflow, campaigns: Campaigns) -> None:
    window = past_window(4).start.date().isoformat()
    server = airflow.stack.postgres.server.running()
    assert server is not None
    server.kill()
    until(lambda: POSTGRES in airflow.stack.keep_alive(), "Postgres is found dead and started again")
    died_at = time.monotonic()
    while time.monotonic() - died_at < SETTLED_SECONDS:  # others may die of the outage, and are started again too
        if airflow.stack.keep_alive():
            died_at = time.monotonic()
        time.sleep(0.2)
    airflow.wait_until_healthy()
    campaigns.engine.dispose()
    run_id = airflow.start_run(seed=True, customers=200, rng_seed=11, window_start=window, dry_run=True)

    def ended() -> bool:
        airflow.stack.keep_alive()  # a process may find out late
        return airflow.request("GET", f"dags/{DAG_ID}/dagRuns/{run_id}")["state"] in {"success", "failed"}

    until(ended, "the run ends")
    assert airflow.wait_for(run_id).state == "success"
    assert airflow.http.get(f"{airflow.stack.home.service_url}/readyz").status_code == 200
