"""The live window: equal to a dry run at the same moment, apart from campaigns, replaced each day."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage import live
from engage.campaigns import live_window, return_models
from engage.customers import erasure
from engage.settings import Settings
from engage.storage import partitions
from engage.storage.database_clock import DatabaseClock
from engage.storage.schema import LIVE, campaign, live_activity
from tests.integration.live import DAY, Running, of_campaign
from tests.simulated_model import simulated_model

RULES = json.dumps(
    {
        "segments": [
            {"name": "BOOST", "when": ["total_spend < low_spend_threshold"]},
            {"name": "LAPSED", "when": ["days_since_last_purchase > 20", {"any": ["liked > 0", "viewed > 1"]}]},
            {"name": "LIKELY", "when": ["return_percentile > 60"]},
            {"name": "REWARD", "when": ["sessions in highest 30%"]},
            {"name": "FORMER", "when": ["previous_segment = BOOST"]},
        ],
        "otherwise": "NONE",
    }
)
SETTINGS = {
    "segments": RULES,
    "low_spend_threshold": "lowest 20%",
    "message_boost": "{{ favourite_item }}? Reply STOP to opt out.",
}


@pytest.fixture
def running(server, world, in_window):
    """The window after the last complete one, on its 31st day."""
    found = Running(in_window(world.window.next()), server)
    found.world.now = found.at(30.4)
    return found


@pytest.fixture
def soiled(running, world):
    """With dirty events, after the window before was computed."""
    running.soil(1)
    world.sessions(10_000, 3)
    world.purchase(10_001, 20_000)
    world.purchase(10_002, 50)
    world.computed()
    return running


# --- equal to a dry run


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_equals_a_dry_run_at_the_same_moment_customer_by_customer(running, world, seed):
    running.soil(seed)
    for n in range(9):
        world.sessions(10_000 + n, n + 1)
        world.purchase(10_000 + n, n * 4_000)
    world.computed()
    with world.engine.begin() as conn:
        return_models.add(conn, simulated_model(world.window.previous()), as_of=world.now)
    found = running.compute(**SETTINGS)
    assert found.scored
    rows = running.live_rows()
    assert len(rows["live_activity"]) == found.customers > 30
    with running.dry_run(**SETTINGS) as copy:
        assert of_campaign(copy) == rows
        [(customers, events, buckets, resolved)] = copy.rows(
            sa.select(campaign.c.customers, campaign.c.events, campaign.c.buckets, campaign.c.resolved).where(
                campaign.c.window_start == running.window.start
            )
        )
    assert (customers, events, buckets) == (found.customers, found.events, found.buckets)
    assert resolved == {name: one.to_json() for name, one in found.settings.resolved.items()}
    assert len([count for count in buckets.values() if count]) > 3


def test_later_events_do_not_count_and_count_in_the_next_computation(running):
    ada = running.world.customer()
    running.world.sessions(ada, 2, at=running.now)
    running.world.sessions(ada, 3, at=running.now + timedelta(seconds=1))
    running.world.purchase(ada, 500, at=running.now + DAY)
    assert running.compute().events == {"sessions": 2, "purchases": 0}
    found = running.compute(as_of=running.now + DAY)
    assert (found.events, found.total_spend_cents) == ({"sessions": 5, "purchases": 1}, 500)


def test_what_is_kept_is_what_was_computed(soiled):
    found = soiled.compute(**SETTINGS)
    assert found.projection is not None
    assert soiled.kept() == found


# --- apart from campaigns


def test_nothing_of_it_is_in_a_table_of_campaigns(soiled):
    tables = (
        "campaign",
        "customer_activity",
        "customer_bucket",
        "message",
        "daily_volume",
        "odd_customer",
        "message_count",
    )
    before = soiled.world.dump(*tables)
    soiled.compute(**SETTINGS)
    assert soiled.world.dump(*tables) == before


@pytest.fixture
def impatient(running, opened):
    """Compute it, but wait for a second at most."""
    engine = opened(running.world.engine.url, patience=1)
    return lambda: live.compute(engine, Settings(), as_of=running.now)


def test_it_waits_for_no_step_of_a_campaign(soiled, world, impatient):
    """Not even of the window before, which it reads."""
    with world.engine.begin() as conn:
        assert conn.execute(sa.text("SELECT 1 FROM campaign FOR UPDATE")).scalar_one()
        assert impatient().customers > 40


def test_two_computations_take_turns(running, impatient):
    running.world.customer()
    with running.world.engine.begin() as conn:
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(0x6C697665)))
        with pytest.raises(sa.exc.OperationalError, match="statement timeout"):
            impatient()
    assert impatient().customers == 1


# --- its time


def test_the_next_window_replaces_it_and_its_rows_go(running):
    running.world.sessions(running.world.customer())
    running.compute()
    later = running.window.end + DAY
    found = running.compute(as_of=later)
    assert (found.window, found.events) == (running.window.next(), {"sessions": 0, "purchases": 0})
    with running.world.engine.connect() as conn:
        assert [partitions.windows_of(conn, table) for table in LIVE] == [{found.window}] * 2
        assert live_window.running(conn, running.window.end - DAY) is None
        assert live_window.running(conn, later) == found
    assert running.world.value("SELECT count(*) FROM live_window") == 1


@pytest.mark.parametrize(
    ("hours", "computed"),
    [(0, False), (6, False), (18, True), (23, False), (24.5, True), (42, True)],
)  # 10 o'clock, 16, 4 on the next day, 9, 10:30 as old as a day, 4 again
def test_it_is_due_once_a_day_and_when_it_is_old(running, hours, computed):
    running.world.customer()
    running.world.now = running.at(10) + timedelta(hours=10)
    first = live.compute_if_due(running.world.engine, Settings, as_of=running.now)
    assert (first.customers, first.skipped) == (1, "")
    again = live.compute_if_due(running.world.engine, Settings, as_of=running.now + timedelta(hours=hours))
    assert (again.skipped == "") == computed
    assert computed or again.skipped == "The running window is computed in the hour after 4:00 UTC."


def test_it_is_due_at_once_in_a_new_window(running):
    running.world.customer()
    running.compute(as_of=running.window.end - timedelta(hours=2))
    done = live.compute_if_due(running.world.engine, Settings, as_of=running.window.end + timedelta(hours=1))
    assert done.window == str(running.window.next())


def test_without_customers_there_is_nothing_to_compute_and_no_setting_is_read(running):
    done = live.compute_if_due(running.world.engine, lambda: pytest.fail("read"), as_of=running.now)
    assert done.skipped == "There are no customers yet, so there is nothing to compute."
    assert running.kept() is None


# --- erasure


def test_a_forgotten_customer_is_in_no_row_of_it(soiled):
    soiled.compute(**SETTINGS)
    assert soiled.world.value("SELECT count(*) FROM live_activity WHERE customer_id = 10000") == 1
    erasure.forget(soiled.world.engine, 10_000, as_of=soiled.now)
    for table in LIVE:
        assert soiled.world.value(sa.select(sa.func.count()).where(table.c.customer_id == 10_000)) == 0
        assert soiled.world.value(sa.select(sa.func.count()).select_from(table)) > 20


def test_the_roles_of_pages_and_service_may_forget_a_customer(soiled, opened):
    soiled.compute()
    for n, role in enumerate(("engage_pages", "engage_service")):
        engine = opened(sa.make_url(str(soiled.world.engine.url)).set(username=role))
        erasure.forget(engine, 10_000 + n, as_of=soiled.now)
    theirs = live_activity.c.customer_id.in_([10_000, 10_001])
    assert soiled.world.value(sa.select(sa.func.count()).where(theirs)) == 0


# --- the command


def test_the_command_shows_it_and_computes_it(running, command, monkeypatch):
    monkeypatch.setattr(DatabaseClock, "__call__", lambda clock: running.now)
    for _ in range(3):
        running.world.purchase(running.world.customer(), 6_000, at=running.at(2))
    with pytest.raises(AssertionError, match=r"not computed yet|engage live --compute"):
        command("live")
    shown = command("live", "--compute", "--set", "low_spend_threshold=60.01")
    assert "25 days left" not in shown
    assert "26 days left" in shown
    data = json.loads(command("live", "--json"))
    assert data["buckets"] == {"BOOST": 3, "REWARD": 0, "NONE": 0}
    assert data["projection"]["buckets"] == {"BOOST": 0, "REWARD": 0, "NONE": 3}
    assert data["events"] == {"sessions": 0, "purchases": 3}
    assert data["projection"]["events"] == {"sessions": 0, "purchases": 6}
