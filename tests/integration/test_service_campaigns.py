"""The HTTP service says what a campaign's texts did."""

import json

import pytest
import sqlalchemy as sa

from engage.campaigns import measured_arms
from tests.integration.service import refused
from tests.measured import CLEAR


@pytest.fixture
def sent(world):
    for spend in (100, 200_00):
        customer_id = world.customer()
        world.sessions(customer_id, 48)
        world.purchase(customer_id, spend)
    world.computed(price_per_segment="0.01")
    world.message()
    world.execute(
        sa.text("""UPDATE campaign SET settings = settings || '{"holdout_percent": 10}',
                   variants = '{"REWARD": {"weights": {"a": 0.5, "b": 0.5}, "why": "equal weights"}}'""")
    )
    return world


def test_the_lift_is_that_of_the_report(sent, api, command):
    with sent.engine.begin() as conn:
        measured_arms.keep(conn, sent.window, CLEAR)
    answer = api.request("GET", f"/v1/campaigns/{sent.window.start.date()}/lift")
    assert answer.status_code == 200
    reported = json.loads(command("report", "--window-start", str(sent.window.start.date()), "--json"))["lift"]
    found = answer.json()
    assert found.pop("measured_at")[:16] == reported.pop("measured_at")[:16]
    assert found == reported
    assert found["stage"] == "measured"
    [boost, reward] = found["segments"]
    assert boost["metrics"]["bought_again"]["difference"] == pytest.approx(0.05)
    assert [text["variant"] for text in reward["texts"]] == ["a", "b"]


def test_a_campaign_that_is_not_measured_yet_says_so(sent, api):
    answer = api.request("GET", f"/v1/campaigns/{sent.window.start.date()}/lift").json()
    assert (answer["stage"], answer["segments"], answer["measured_at"]) == ("waiting", [], None)


@pytest.mark.parametrize(
    ("start", "status", "said"),
    [
        ("2026-07-20", 404, "There is no campaign for the window 2026-07-20 to 2026-09-14."),
        ("2026-09-15", 404, "2026-09-15"),
        ("1998-12-14", 404, "lies before the first window"),
        ("2099-01-05", 404, "2099-01-05"),
        ("yesterday", 422, "window_start"),
    ],
)
def test_another_window_is_refused_with_a_sentence(sent, api, start, status, said):
    answer = api.request("GET", f"/v1/campaigns/{start}/lift")
    assert answer.status_code == status
    assert refused(answer, status)
    assert said in answer.text
