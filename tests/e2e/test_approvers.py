"""Who may approve a list: users on every road to the answer, on real Airflow processes and in a real browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from engage.airflow_names import DAG_ID
from engage.formats import iso
from engage.local.stack import ADMIN
from tests.e2e.browser import let_in, picture
from tests.e2e.support import APPROVER, OP, USER, Airflow, Campaigns, past_window
from tests.e2e.test_approval import PARKED_WITHIN, state
from tests.waiting import until

WINDOW = past_window(8)
TEXT = "Come back for a free dessert! Reply STOP to opt out."
Edit = Callable[[str, str], None]


@pytest.fixture
def users(airflow: Airflow) -> Iterator[dict[str, httpx.Client]]:
    """Airflow's API for each user."""
    clients = {
        user: httpx.Client(
            base_url=airflow.stack.home.url, headers={"Authorization": f"Bearer {airflow.token(user)}"}, timeout=60
        )
        for user in (USER, OP, APPROVER)
    }
    yield clients
    for one in clients.values():
        one.close()


@pytest.fixture
def asked(airflow: Airflow, campaigns: Campaigns, set_variable: Edit, users: dict[str, httpx.Client]) -> Iterator[str]:
    """A run that asks: the user triggered it, the op has changed a text, and the admin has named the approvers."""
    campaigns.remove(WINDOW)
    set_variable("require_approval", "true")
    set_variable("approvers", f"{USER}, {OP}, {APPROVER}")
    set_variable("message_boost", "Hello again! Reply STOP to opt out.")
    edit = {"key": "engage_message_boost", "value": TEXT}
    users[OP].patch("/api/v2/variables/engage_message_boost", json=edit).raise_for_status()
    conf = {
        "seed": True,
        "customers": 300,
        "rng_seed": 1,
        "send_late": True,
        "window_start": f"{WINDOW.start:%Y-%m-%d}",
    }
    body = {"logical_date": None, "conf": conf}
    run_id = users[USER].post(f"/api/v2/dags/{DAG_ID}/dagRuns", json=body).raise_for_status().json()["dag_run_id"]
    until(lambda: state(airflow, run_id) == "awaiting_input", "the run asks")
    time.sleep(PARKED_WITHIN)
    yield run_id
    if airflow.ended(run_id) is None:
        airflow.request("PATCH", f"dags/{DAG_ID}/dagRuns/{run_id}", json={"state": "failed"})
    campaigns.remove(WINDOW)


def respond(client: httpx.Client, run_id: str, option: str, **params: str) -> httpx.Response:
    """Answer as Airflow's page Required Actions does."""
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    return client.patch(path, json={"chosen_options": [option], "params_input": params})


def post_answer(client: httpx.Client, campaigns: Campaigns, run_id: str, answer: str) -> httpx.Response:
    """Answer as the page *Approval* does."""
    frozen_at = campaigns.of(WINDOW)["frozen_at"]
    body = {
        "window_start": f"{WINDOW.start:%Y-%m-%d}",
        "list": iso(frozen_at),
        "answer": answer,
        "run_id": run_id,
        "dag_id": DAG_ID,
        "task_id": "approve",
    }
    return client.post("/engage/answer", json=body, headers={"Sec-Fetch-Site": "same-origin"})


def open_page(page: Page, airflow: Airflow, user: str) -> None:
    let_in(page, airflow, user)
    page.goto(f"{airflow.stack.home.url}/engage/approval?window_start={WINDOW.start:%Y-%m-%d}")


def test_another_user_approves_and_the_triggerer_and_the_last_editor_are_refused(
    airflow: Airflow, campaigns: Campaigns, users: dict[str, httpx.Client], asked: str, page: Page
) -> None:
    may = f"{APPROVER} may approve."
    triggered = f"{USER} may not approve this list: {USER} triggered its run, and the approver must be another user."
    edited = f"{OP} may not approve this list: {OP} was the last to change engage_message_boost on "
    for user, why in ((USER, triggered), (OP, edited)):
        for refused in (respond(users[user], asked, "Approve"), post_answer(users[user], campaigns, asked, "approve")):
            assert refused.status_code == 403, refused.text
            assert refused.json()["detail"].startswith(why)
            assert may in refused.json()["detail"]
            assert f"{user} may reject it." in refused.json()["detail"]
        open_page(page, airflow, user)
        expect(page.get_by_role("button", name="Approve 1")).to_be_disabled()
        expect(page.locator("#refusal")).to_contain_text(why)
        expect(page.get_by_role("button", name="Reject…")).to_be_enabled()
    admin = respond(airflow.http, asked, "Approve")
    assert (admin.status_code, state(airflow, asked)) == (403, "awaiting_input")
    assert f"engage_approvers does not name {ADMIN}" in admin.json()["detail"]

    let_in(page, airflow, USER)
    page.goto(f"{airflow.stack.home.url}/dags/{DAG_ID}/runs/{asked}/tasks/approve/required_actions")
    expect(page.get_by_text("Only uma, olga and ana may approve")).to_be_visible()
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_text("Access Denied").last).to_be_visible()  # all that Airflow's page says about a 403
    picture(page, "approvers-airflow.png")
    assert state(airflow, asked) == "awaiting_input"

    open_page(page, airflow, APPROVER)
    expect(page.get_by_role("region", name="Who may approve")).to_contain_text(may)
    picture(page, "approvers.png")
    page.get_by_role("button", name="Approve 1").click()
    assert airflow.wait_for(asked).state == "success"
    found = campaigns.of(WINDOW)
    assert (found["approval"], found["approval_by"]) == ("approved", APPROVER)
    assert campaigns.messages(WINDOW)["accepted"] > 0


def test_an_answer_that_was_not_checked_does_not_count_and_the_next_one_does(
    airflow: Airflow, campaigns: Campaigns, users: dict[str, httpx.Client], asked: str, page: Page
) -> None:
    with campaigns.engine.begin() as conn:
        conn.execute(
            sa.text(
                "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN NEW.approval_checked := '{}'; RETURN NEW; END $$"
            )
        )
        conn.execute(sa.text("CREATE TRIGGER forget BEFORE UPDATE ON campaign FOR EACH ROW EXECUTE FUNCTION forget()"))
    try:
        assert respond(users[APPROVER], asked, "Approve").status_code == 200
        until(lambda: "The question stays open." in airflow.log(asked, "approve"), "the task refuses the answer")
        until(lambda: state(airflow, asked) == "awaiting_input", "the task asks again")
    finally:
        with campaigns.engine.begin() as conn:
            conn.execute(sa.text("DROP TRIGGER forget ON campaign; DROP FUNCTION forget()"))
    assert campaigns.of(WINDOW)["approval"] == "requested"
    time.sleep(PARKED_WITHIN)

    open_page(page, airflow, USER)
    page.get_by_role("button", name="Reject…").click()
    page.get_by_label("Reason").fill("The dessert is not free")
    page.get_by_role("button", name="Reject", exact=True).click()
    run = airflow.wait_for(asked)
    assert (run.states["approve"], run.states["message"]) == ("success", "skipped")
    found = campaigns.of(WINDOW)
    assert (found["approval"], found["approval_by"], found["approval_reason"]) == (
        "rejected",
        USER,
        "The dessert is not free",
    )
    page.goto(f"{airflow.stack.home.url}/engage/report?window_start={WINDOW.start:%Y-%m-%d}")
    expect(page.get_by_text("The reason: The dessert is not free")).to_be_visible()
