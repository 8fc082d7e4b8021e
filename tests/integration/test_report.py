import json

import pytest

from engage.errors import NotReady
from engage.reports.report import report


def test_it_says_what_a_campaign_did(world):
    ada, ben = world.customer(), world.customer(phone=None)
    world.purchase(ada, 100)
    world.sessions(ada, 2)
    world.sessions(None)
    world.computed(low_spend_threshold="120")
    world.message()
    found = report(world.engine, world.window).to_dict()
    assert list(found) == [
        "window", "status", "customers", "events", "rejected", "buckets", "messages", "cost", "currency", "settings",
        "resolved", "timings", "guard", "pulled", "lift",
    ]  # fmt: skip
    assert found["window"]["start"] == world.window.start.isoformat()
    assert found["window"]["end"] == world.window.end.isoformat()
    assert found["status"] == {
        "key": "sent", "label": "Sent", "tone": "success", "needs_person": False, "percent": 100
    }  # fmt: skip
    assert found["customers"] == 2
    assert found["events"] == {"sessions": 2, "purchases": 1}
    assert found["rejected"]["missing_customer"] == 1
    assert found["buckets"] == {"BOOST": 2, "REWARD": 0, "NONE": 0}
    assert found["messages"] == {
        "total": 2,
        "by_status": {"accepted": 1, "skipped": 1},
        "skipped_by_reason": {"no_phone": 1},
        "segments": 1,
        "charged_segments": 1,
        "unknown": [],
    }
    assert found["settings"]["low_spend_threshold"] == 120
    assert list(found["timings"]) == ["extract", "aggregate", "bucket", "queue", "send"]
    assert ben in world.ledger()


def test_it_is_json_at_every_stage(world):
    world.sessions(world.customer())
    world.extract()
    json.dumps(report(world.engine, world.window).to_dict())
    world.computed()
    json.dumps(report(world.engine, world.window).to_dict())


def test_by_default_it_is_about_the_latest_window(world, in_window):
    world.sessions(world.customer())
    earlier = in_window(world.window.previous())
    earlier.sessions(1)
    world.extract()
    earlier.extract()
    assert report(world.engine).window["start"] == world.window.start.isoformat()


def test_without_a_campaign_it_says_what_to_do(world):
    with pytest.raises(NotReady, match="trigger a run"):
        report(world.engine)
    with pytest.raises(NotReady, match=f"{world.window.start:%Y-%m-%d}"):
        report(world.engine, world.window)
