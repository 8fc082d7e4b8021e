"""A campaign that somebody has to approve of, on real Airflow processes and in a real browser."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect
from rich.console import Console

from engage.airflow_names import DAG_ID
from engage.errors import RunFailed
from engage.local import demo
from engage.storage import connection
from engage.window import Window
from tests.e2e.browser import let_in, picture
from tests.e2e.support import Airflow, Campaigns, past_window
from tests.smtp_double import Mail
from tests.waiting import until

CUSTOMERS = 300
APPROVED, REJECTED, UNANSWERED = (past_window(number) for number in (9, 10, 11))
PARKED_WITHIN = 2.0
"""Seconds until Airflow has taken note that the asking process has ended; it loses an answer that comes before."""
Edit = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def wanted(airflow: Airflow, campaigns: Campaigns, set_variable: Edit) -> Iterator[None]:
    """Somebody is asked. A run that a failed test leaves waiting would hold up those of the others."""
    set_variable("require_approval", "true")
    for window in (APPROVED, REJECTED, UNANSWERED):
        campaigns.remove(window)
    yield
    for run_id in airflow.runs(state="running"):
        airflow.request("PATCH", f"dags/{DAG_ID}/dagRuns/{run_id}", json={"state": "failed"})
    for window in (APPROVED, REJECTED, UNANSWERED):
        campaigns.remove(window)


def start(airflow: Airflow, window: Window, **conf: Any) -> str:
    """Trigger a run and wait until it asks."""
    starts = window.start.date().isoformat()
    run_id = airflow.start_run(seed=True, customers=CUSTOMERS, rng_seed=1, window_start=starts, send_late=True, **conf)
    until(lambda: state(airflow, run_id) == "awaiting_input", "somebody is asked")
    time.sleep(PARKED_WITHIN)
    return run_id


def state(airflow: Airflow, run_id: str) -> str | None:
    return airflow.tasks(run_id).get("approve", {}).get("state")


def answer(airflow: Airflow, run_id: str, option: str) -> None:
    path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    airflow.request("PATCH", path, json={"chosen_options": [option], "params_input": {}})


def question(airflow: Airflow, run_id: str) -> str:
    path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    return str(airflow.request("GET", path)["subject"])


def answer_in_browser(page: Page, airflow: Airflow, run_id: str, option: str) -> None:
    let_in(page, airflow)
    page.goto(f"{airflow.stack.home.url}/dags/{DAG_ID}/runs/{run_id}/tasks/approve/required_actions")
    expect(page.get_by_text("Not on the list")).to_be_visible()
    expect(page.get_by_role("link", name="The campaign's report")).to_be_visible()
    picture(page, "approval.png")
    page.get_by_role("button", name=option, exact=True).click()
    until(lambda: state(airflow, run_id) != "awaiting_input", "the answer arrives")


def steps(**fates: str) -> dict[str, str]:
    return dict.fromkeys(("seed", "extract", "aggregate", "bucket"), "success") | {"measure": "skipped"} | fates


def test_an_approved_run_texts_the_list_and_nobody_before(
    airflow: Airflow, campaigns: Campaigns, page: Page, mails: list[Mail]
) -> None:
    window = APPROVED
    run_id = start(airflow, window)
    waiting = campaigns.messages(window)
    assert waiting["queued"] > 0
    assert campaigns.of(window)["frozen_at"]
    [mail] = until(lambda: mails, "the alert arrives")
    assert mail.subject == f"Engage: {waiting['queued']:,} messages wait for an approval"

    answer_in_browser(page, airflow, run_id, "Approve")

    run = airflow.wait_for(run_id)
    assert (run.state, run.states) == ("success", steps(approve="success", message="success"))
    assert campaigns.messages(window) == {
        fate.replace("queued", "accepted"): number for fate, number in waiting.items()
    }
    assert (campaigns.of(window)["approval"], campaigns.of(window)["approval_by"]) == ("approved", "admin")


@pytest.mark.deep
def test_a_rejected_run_texts_nobody_and_is_asked_about_anew_by_the_next(
    airflow: Airflow, campaigns: Campaigns, page: Page, set_variable: Edit
) -> None:
    window = REJECTED
    run_id = start(airflow, window)
    waiting = campaigns.messages(window)

    answer_in_browser(page, airflow, run_id, "Reject")

    run = airflow.wait_for(run_id)
    assert (run.state, run.states) == ("success", steps(approve="success", message="skipped"))
    rejected = campaigns.messages(window)
    assert rejected["skipped/rejected"] == waiting["queued"]
    assert "accepted" not in rejected
    assert (campaigns.of(window)["approval"], campaigns.of(window)["approval_by"]) == ("rejected", "admin")

    assert airflow.clear(run_id, "message").states["message"] == "skipped"
    assert campaigns.messages(window) == rejected

    set_variable("low_spend_threshold", "100000")
    cleared = airflow.clear(run_id, "extract", "aggregate", "bucket", "approve", "message")
    assert (cleared.states["approve"], cleared.states["message"]) == ("failed", "upstream_failed")
    assert "This run has asked about an earlier list" in airflow.log(run_id, "approve", 2)

    again = start(airflow, window)
    anew = campaigns.messages(window)
    assert anew["queued"] > waiting["queued"]
    assert f"May {anew['queued']:,} messages" in question(airflow, again)
    answer(airflow, again, "Approve")
    assert airflow.wait_for(again).state == "success"
    assert campaigns.messages(window)["accepted"] == anew["queued"]


@pytest.mark.deep
def test_after_approve_was_marked_by_hand_the_way_out_that_message_names_works(
    airflow: Airflow, campaigns: Campaigns
) -> None:
    window = REJECTED
    run_id = start(airflow, window)
    waiting = campaigns.messages(window)["queued"]
    path = f"dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve"
    airflow.request("PATCH", path, json={"new_state": "success"})
    run = airflow.wait_for(run_id)
    assert (run.state, run.states) == ("failed", steps(approve="success", message="failed"))
    log = airflow.log(run_id, "message")
    assert "Trigger a run of this window: its task approve asks the approver." in log
    assert "An answer counts only while the task that asks still waits for it." in log

    answer(airflow, run_id, "Approve")
    assert campaigns.of(window)["approval"] == "requested"
    again = start(airflow, window)
    answer(airflow, again, "Approve")
    assert airflow.wait_for(again).state == "success"
    assert campaigns.messages(window)["accepted"] == waiting


@pytest.mark.deep
def test_an_answer_after_the_deadline_that_airflow_still_takes_does_not_count(
    airflow: Airflow, campaigns: Campaigns
) -> None:
    window = UNANSWERED
    run_id = start(airflow, window)
    deadline_passes(airflow, run_id)
    answer(airflow, run_id, "Approve")
    run = airflow.wait_for(run_id)
    assert (run.state, run.states) == ("success", steps(approve="success", message="skipped"))
    assert "accepted" not in campaigns.messages(window)
    assert (campaigns.of(window)["approval"], campaigns.of(window)["approval_by"]) == ("rejected", None)
    log = airflow.log(run_id, "approve")
    assert "The answer of admin came " in log
    assert "It does not count." in log


@pytest.mark.deep
def test_a_run_that_nobody_answers_for_is_rejected_and_somebody_is_told(
    airflow: Airflow, campaigns: Campaigns, mails: list[Mail]
) -> None:
    window = UNANSWERED
    run_id = start(airflow, window)
    time_passes(airflow, run_id)

    run = airflow.wait_for(run_id)

    assert (run.state, run.states) == ("success", steps(approve="success", message="skipped"))
    assert "accepted" not in campaigns.messages(window)
    assert (campaigns.of(window)["approval"], campaigns.of(window)["approval_by"]) == ("rejected", None)
    until(lambda: len(mails) == 2, "the second alert arrives")
    assert mails[1].subject == "Engage: a campaign was rejected, as no approval came in time"
    assert "UTC: no answer came in time." in airflow.log(run_id, "approve")


def test_a_demonstration_tells_that_it_waits(airflow: Airflow, campaigns: Campaigns) -> None:
    window = Window.last_complete(datetime.now(UTC))
    campaigns.remove(window)
    run = demo.run_demo(airflow, CUSTOMERS, Console(file=StringIO()))
    time.sleep(PARKED_WITHIN)
    try:
        assert run.waits
        assert list(run.seconds_by_task) == ["seed", "extract", "aggregate", "measure", "bucket"]
        with pytest.raises(RunFailed, match="An earlier run waits for an approver"):
            demo.run_demo(airflow, CUSTOMERS, Console(file=StringIO()))
        answer(airflow, run.run_id, "Approve")
        assert airflow.wait_for(run.run_id).state == "success"
    finally:
        campaigns.remove(window)


def deadline_passes(airflow: Airflow, run_id: str) -> None:
    """The deadline that the task keeps, and not the one at which the scheduler looks."""
    engine = connection.connect(airflow.stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    kept = sa.text("SELECT next_kwargs FROM task_instance WHERE run_id = :run AND task_id = 'approve'")
    moved = sa.text(
        "UPDATE task_instance SET next_kwargs = CAST(:kwargs AS json) WHERE run_id = :run AND task_id = 'approve'"
    )
    with engine.begin() as conn:
        kwargs = json.dumps(conn.execute(kept, {"run": run_id}).scalar_one())
        [deadline] = re.findall(r"20\d\d-\d\d-\d\dT[^\"\\]+", kwargs)
        conn.execute(moved, {"kwargs": kwargs.replace(deadline, "2025-01-06T00:00:00+00:00"), "run": run_id})
    engine.dispose()


def time_passes(airflow: Airflow, run_id: str) -> None:
    """The 48 hours, as Airflow's database has them."""
    engine = connection.connect(airflow.stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.begin() as conn:
        hours = conn.execute(
            sa.text(
                "SELECT trigger_timeout - updated_at FROM task_instance WHERE run_id = :run AND task_id = 'approve'"
            ),
            {"run": run_id},
        ).scalar_one()
        assert hours.total_seconds() == pytest.approx(48 * 3600, abs=60)
        conn.execute(
            sa.text("UPDATE task_instance SET trigger_timeout = now() WHERE run_id = :run AND task_id = 'approve'"),
            {"run": run_id},
        )
    engine.dispose()
