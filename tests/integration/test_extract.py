from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.errors import NoCustomers, NoValidEvents, WindowError
from engage.steps.extract import extract

NOTHING = {
    "missing_timestamp": 0,
    "future_dated": 0,
    "missing_customer": 0,
    "invalid_amount": 0,
    "unknown_customer": 0,
    "registered_later": 0,
    "refund_missing_timestamp": 0,
    "refund_future_dated": 0,
    "refund_missing_customer": 0,
    "refund_invalid_amount": 0,
    "refund_unknown_customer": 0,
}


@pytest.fixture
def template():
    return "installed"


def test_it_counts_valid_events_by_kind(world):
    ada = world.customer()
    world.sessions(ada, 3)
    world.purchase(ada, 500)
    summary = world.extract()
    assert summary.events == {"sessions": 3, "purchases": 1}
    assert summary.rejected == NOTHING


def test_every_bad_row_is_counted_under_its_reason_and_stays_in_the_log(world):
    ada = world.customer()
    world.sessions(ada)
    world.sessions(ada, 2, at=None)
    world.purchase(ada, 100, at=None)
    world.sessions(ada, 4, at=world.now + timedelta(days=1))
    world.purchase(ada, 100, at=world.now + timedelta(days=400))
    world.sessions(None, 5)
    world.purchase(None, 100)
    world.purchase(ada, -1)
    world.purchase(ada, None)
    summary = world.extract()
    assert summary.events == {"sessions": 1, "purchases": 0}
    assert "RejectReason" not in str(summary.rejected)  # as the task's log shows it
    assert summary.rejected == NOTHING | {
        "missing_timestamp": 3,
        "future_dated": 5,
        "missing_customer": 6,
        "invalid_amount": 2,
    }
    assert world.value("SELECT count(*) FROM app_session") == 12
    assert world.value("SELECT count(*) FROM purchase") == 5


def test_a_row_with_several_faults_is_counted_once(world):
    world.sessions(world.customer())
    world.purchase(None, -5, at=None)
    world.purchase(None, -5)
    assert world.extract().rejected == NOTHING | {"missing_timestamp": 1, "missing_customer": 1}


def test_the_window_includes_its_start_and_excludes_its_end(world):
    ada = world.customer()
    world.sessions(ada, at=world.window.start)
    world.sessions(ada, at=world.window.end - timedelta(microseconds=1))
    world.sessions(ada, at=world.window.end)
    world.sessions(ada, at=world.window.start - timedelta(microseconds=1))
    assert world.extract().events["sessions"] == 2


def test_a_free_purchase_is_valid(world):
    world.purchase(world.customer(), 0)
    assert world.extract().events["purchases"] == 1


def test_it_takes_a_snapshot_of_the_settings(world):
    world.sessions(world.customer())
    world.extract(low_spend_threshold="120")
    with world.engine.connect() as conn:
        found = campaign.find(conn, world.window)
    assert found.settings.low_spend_threshold == 120
    assert world.value("SELECT settings ->> 'low_spend_threshold' FROM campaign") == "120.0"


def test_costly_characters_and_false_placeholders_of_the_texts_are_in_the_summary_and_the_log(world, caplog):
    world.sessions(world.customer())
    assert world.extract().warnings == ""
    assert caplog.messages == []
    texts = {"message_boost": "Don’t miss " + "x" * 100, "message_reward": "Hi [first_name]"}
    done = world.extract(**texts)
    assert "BOOST: " in done.warnings
    assert "U+2019 RIGHT SINGLE QUOTATION MARK) at position 4, after “Don”" in done.warnings
    assert "REWARD: “[first_name]” at position 4 looks like a placeholder" in done.warnings
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert done.warnings == " ".join(caplog.messages)


def test_without_any_customer_it_says_so_and_opens_nothing(world):
    world.sessions(1)
    with pytest.raises(NoCustomers, match="no customers yet"):
        world.extract()
    assert world.value("SELECT count(*) FROM campaign") == 0


def test_customers_without_a_valid_event_stop_the_run_and_open_nothing(world):
    ada = world.customer()
    world.sessions(ada, 2, at=world.window.start - timedelta(days=1))
    world.purchase(ada, -1)
    with pytest.raises(NoValidEvents, match="1 invalid_amount"):
        world.extract()
    assert world.value("SELECT count(*) FROM campaign") == 0


def test_a_window_that_is_not_over_is_refused(world, defaults):
    world.sessions(world.customer())
    with pytest.raises(WindowError, match="is not complete"):
        extract(world.engine, world.window.next(), defaults, as_of=world.now, run_id="test", options=RunOptions())


def test_twice_is_the_same_as_once(world):
    world.sessions(world.customer(), 3)
    first = world.extract()
    before = world.dump("campaign")["campaign"]
    assert world.extract() == first
    assert world.value("SELECT count(*) FROM campaign") == len(before) == 1


def test_running_again_takes_the_new_settings_until_messages_go_out(world):
    world.sessions(world.customer())
    world.computed()
    world.extract(low_spend_threshold="120")
    assert world.value("SELECT settings ->> 'low_spend_threshold' FROM campaign") == "120.0"
    assert world.value("SELECT buckets FROM campaign") is None


def test_a_frozen_campaign_keeps_its_counts_and_settings(world):
    world.sessions(world.customer())
    world.computed()
    world.message()
    before = world.dump("campaign")
    world.sessions(1, 5)
    summary = world.extract(low_spend_threshold="120")
    assert summary.frozen
    assert summary.events == {"sessions": 1, "purchases": 0}
    assert world.dump("campaign") == before


def test_events_that_came_before_their_partition_are_counted(world):
    world.sessions(world.customer(), 2)
    assert world.value("SELECT count(*) FROM app_session_default") == 2
    assert world.extract().events["sessions"] == 2
    assert world.value("SELECT count(*) FROM app_session_default") == 0


def test_naive_times_are_utc(world):
    world.customer()
    world.execute(sa.text(f"INSERT INTO app_session VALUES (1, '{world.window.start:%Y-%m-%d} 00:00:00')"))
    assert world.extract().events["sessions"] == 1
