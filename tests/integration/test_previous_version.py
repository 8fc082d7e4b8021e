"""A database that the previous version made, with a campaign that was sent."""

from pathlib import Path

import pytest

from engage.reports import customer_history
from engage.reports.funnel import funnel
from engage.reports.report import report
from engage.storage import migrations
from engage.window import Window
from tests.integration.conftest import World

PREVIOUS = "0007"
SENT_CAMPAIGN = Path(__file__).with_name("revision_0007.sql")


@pytest.fixture
def upgraded(empty, now):
    """A database of the previous version with a sent campaign, upgraded to this version."""
    migrations.upgrade(empty, now, PREVIOUS)
    with empty.begin() as conn:
        conn.exec_driver_sql(SENT_CAMPAIGN.read_text())
    migrations.upgrade(empty, now)
    return empty


def test_a_sent_campaign_of_the_previous_version_can_still_be_reported(upgraded):
    found = report(upgraded).to_dict()
    assert "the approver" in found["window"].pop("approval")
    assert {name: found["settings"].pop(name) for name in ("low_spend_threshold", "message_reward")} == {
        "low_spend_threshold": 120.5,
        "message_reward": "Thank you! Reply STOP to opt out.",
    }
    assert found.pop("settings")["require_approval"] is True
    assert found == {
        "window": {
            "start": "2026-09-14T00:00:00+00:00",
            "end": "2026-11-09T00:00:00+00:00",
            "status": "complete",
            "run_id": "scheduled__2026-09-14",
            "frozen_at": "2026-11-10T09:01:00+00:00",
            "halted": None,
        },
        "status": {"key": "sent", "label": "Sent", "tone": "success", "needs_person": False, "percent": 100},
        "customers": 5,
        "events": {"sessions": 51, "purchases": 5},
        "rejected": {
            "missing_timestamp": 0,
            "future_dated": 0,
            "missing_customer": 2,
            "invalid_amount": 0,
            "unknown_customer": 0,
            "registered_later": 0,
            "refund_missing_timestamp": 0,
            "refund_future_dated": 0,
            "refund_missing_customer": 0,
            "refund_invalid_amount": 0,
            "refund_unknown_customer": 0,
        },
        "buckets": {"BOOST": 3, "REWARD": 1, "NONE": 1},
        "messages": {
            "total": 4,
            "by_status": {"delivered": 1, "unknown": 1, "skipped": 1, "accepted": 1},
            "skipped_by_reason": {"no_phone": 1},
            "segments": 3,
            "charged_segments": 2,
            "unknown": [
                {
                    "customer_id": 2,
                    "phone": "…02",
                    "sending_at": "2026-11-10T09:03:00+00:00",
                    "error": "the connection broke",
                }
            ],
        },
        "cost": None,
        "currency": "USD",
        "resolved": {},
        "pulled": None,
        "lift": {
            "stage": "no_holdout",
            "primary_metric": "bought_again",
            "measured_at": None,
            "currency": "USD",
            "segments": [],
            "redemptions": [],
        },
        "timings": {"extract": 0.07, "aggregate": 0.042, "bucket": 0.059, "queue": 0.089, "send": 0.348},
        "guard": {"findings": ["there are 51 sessions"], "ignored_by": "scheduled__2026-09-14"},
    }


def test_a_sent_campaign_of_the_previous_version_keeps_its_funnel_and_its_customers_history(upgraded):
    with upgraded.begin() as conn:
        stages = funnel(report(upgraded)).stages()
        assert list(stages.values()) == [5, 4, 3, 2, 1]
        [history] = customer_history.campaigns(conn, 4, limit=9)
    assert (history["bucket"], history["total_spend"], history["sessions"]) == ("REWARD", "150.00", 48)
    assert history["message"] == {"status": "accepted", "reason": None}


def test_a_sent_campaign_of_the_previous_version_is_not_sent_again(upgraded, now):
    old = World(upgraded, Window.from_key("20260914"))
    before = old.dump("campaign", "message")
    assert old.message().frozen
    assert old.dump("campaign", "message") == before


def test_going_back_to_the_previous_version_keeps_a_sent_campaign(upgraded, now):
    old = World(upgraded, Window.from_key("20260914"))
    tables = ("customer", "customer_activity", "customer_bucket", "message")
    before = old.dump(*tables), report(upgraded)
    migrations.downgrade(upgraded, PREVIOUS)
    migrations.upgrade(upgraded, now)
    assert (old.dump(*tables), report(upgraded)) == before
