"""The projection of the live window to its end, and what the guard finds weeks ahead."""

from datetime import timedelta
from fractions import Fraction

import pytest
import sqlalchemy as sa

from engage.campaigns import daily_volume, explained_days
from engage.campaigns.run_options import RunOptions
from engage.live import projection
from engage.reports import live_window as words
from engage.segments import segment_of
from engage.settings import validate
from engage.statuses import DaySource, GuardCheck
from engage.steps.extract import extract
from engage.storage.schema import live_activity
from engage.window import LENGTH
from tests.integration import days
from tests.integration.conftest import UNGUARDED
from tests.integration.live import DAY, Running

RHYTHM = UNGUARDED | {"guard_rhythm": "tell"}


@pytest.fixture
def running(server, world, in_window):
    """The window after the last complete one, at a quarter of it."""
    found = Running(in_window(world.window.next()), server)
    found.world.now = found.at(14)
    return found


def buys(running, cents, times=1):
    found = running.world.customer()
    for _ in range(times):
        running.world.purchase(found, cents, at=running.at(5))
    return found


def findings(found):
    return {(one.check, one.of): one for one in found.guard.findings}


def test_each_customers_numbers_are_multiplied_before_the_rules(running):
    buys(running, 2_500)  # four times as much is 100.00, which is not less than the threshold
    buys(running, 2_499)
    often = buys(running, 2_500)
    running.world.sessions(often, 11, at=running.at(1))  # 44 in 8 weeks are 5.5 a week
    found = running.compute()
    assert found.buckets == {"BOOST": 3, "REWARD": 0, "NONE": 0}
    assert found.projection.buckets == {"BOOST": 1, "REWARD": 1, "NONE": 1}
    assert (found.total_spend_cents, found.projection.total_spend_cents) == (7_499, 29_996)
    assert found.projection.events == {"sessions": 44, "purchases": 12}
    assert found.projection.recipients == {"BOOST": 1, "REWARD": 1}


def test_the_rules_decide_each_projected_customer_as_in_python(running):
    running.world.now = running.at(23.7)
    running.soil(7)
    found = running.compute()
    factor = LENGTH / (running.now - running.window.start)
    rows = [row._asdict() for row in _rows(running, sa.select(live_activity))]
    counted = dict.fromkeys(("BOOST", "REWARD", "NONE"), 0)
    for row in rows:
        numbers = ("sessions", "purchases", "total_spend_cents", "viewed", "liked", "added_to_basket")
        row |= {name: round(row[name] * factor) for name in numbers}
        counted[segment_of(found.settings.rules, row, running.window.end)] += 1
    assert found.projection.buckets == counted != found.buckets


def test_sums_keep_the_windows_before_and_recent_times_keep_their_distance(running, world):
    ada = world.customer(registered_at=world.window.start - DAY)
    world.purchase(ada, 1_000)
    world.sessions(ada, 7)
    world.computed()
    running.world.purchase(ada, 300, at=running.at(10))
    running.compute()
    with running.world.engine.connect() as conn:
        table = live_activity.to_metadata(sa.MetaData(), name=f"live_activity_{running.window.key}")
        row = conn.execute(projection.rows(table, running.window, running.now)).one()
    assert (row.purchases, row.purchases_to_date) == (4, 5)
    assert (row.total_spend_cents, row.spend_3_windows_cents) == (1_200, 2_200)
    assert (row.sessions, row.sessions_3_windows, row.avg_weekly_sessions) == (0, 7, 0.0)
    assert row.last_purchase_at == running.window.end - 4 * DAY
    assert row.first_purchase_at == world.window.start + 3 * DAY
    assert (row.previous_total_spend_cents, row.windows_active) == (1_000, 2)


def test_a_share_of_the_customers_is_found_among_the_projected_numbers(running):
    for cents in range(100, 1_100, 100):
        buys(running, cents)
    found = running.compute(low_spend_threshold="lowest 30%")
    assert found.settings.resolved["low_spend_threshold"].number == Fraction(4)
    assert found.buckets["BOOST"] == found.projection.buckets["BOOST"] == 3


def test_expected_messages_are_those_who_may_be_texted_now(running):
    for values in ({}, {"opted_out_at": running.now}, {"phone": None}, {}):
        running.world.purchase(running.world.customer(**values), 1, at=running.at(1))
    found = running.compute(price_per_segment="0.5", message_boost="Hello, reply STOP to opt out.")
    assert (found.projection.buckets["BOOST"], found.projection.messages) == (4, 2)
    assert (found.sms_segments, found.cost) == (2, 1)


@pytest.mark.parametrize(("after", "projected"), [(6.99, False), (7, True)])
def test_there_is_none_before_the_8th_day(running, after, projected):
    running.world.now = running.at(after)
    buys(running, 1)
    found = running.compute()
    assert (found.projection is not None) == projected
    why = "There is a projection from 16 Nov 2026 on, once 7 days of the window are over."
    assert words.why_no_projection(found) == ("" if projected else why)
    assert found.cost is None


def test_without_an_event_there_is_none(running):
    running.world.customer()
    found = running.compute()
    assert found.projection is None
    assert words.why_no_projection(found) == "There is no event in this window yet, so there is nothing to project."
    pulled = running.compute(source="warehouse")
    assert "the campaign pulls them from warehouse after" in words.why_no_projection(pulled)


# --- the guard


@pytest.fixture
def earlier(running, world):
    """The window before had 40 sessions, and its four customers were in NONE."""
    for _ in range(4):
        world.sessions(ada := world.customer(registered_at=world.window.start), 10)
        world.purchase(ada, 20_000)
    world.computed()
    return running


@pytest.mark.parametrize(("sessions", "told"), [(4, True), (5, False)])  # 16 or 20 in 8 weeks; half of 40 are 20
def test_the_guard_tells_of_too_few_events_by_the_pace_so_far(earlier, sessions, told):
    earlier.world.sessions(1, sessions, at=earlier.at(2))
    found = earlier.compute(guard_min_volume_percent="50")
    one = findings(found).get((GuardCheck.VOLUME, "sessions"))
    assert bool(one) == told
    if one:
        assert one.sentence.startswith("at this pace there will be 16 sessions, 40.0% of the 40 of the window before")
        assert not one.stops
        assert words.LiveFinding(f"A{one.sentence[1:]}.", projected=True) in words.findings(found)


def test_the_guard_tells_of_a_shifted_segment_by_the_projection(earlier):
    earlier.world.purchase(1, 20_000, at=earlier.at(2))
    found = earlier.compute(guard_max_shift_points="20")
    [boost, none] = [one for one in found.guard.findings if one.check is GuardCheck.MIX]
    assert (boost.of, boost.found, none.found, boost.stops) == ("BOOST", 75.0, 75.0, False)
    assert found.guard.stopping == ()


@pytest.mark.parametrize(("quiet", "told"), [(2.9, False), (3.1, True)])
def test_the_guard_tells_if_no_event_has_arrived_for_days(running, quiet, told):
    ada = running.world.customer()
    running.world.sessions(ada, at=running.now - quiet * DAY)
    running.world.sessions(ada, at=running.now + DAY)  # future-dated
    found = running.compute(guard_max_quiet_days="3")
    one = findings(found).get((GuardCheck.FRESHNESS, "events"))
    assert bool(one) == told
    assert one is None or "3.1 days ago, and engage_guard_max_quiet_days is 3" in one.sentence


@pytest.fixture
def usual(running, world):
    """Three windows of usual days before it, which a campaign has counted."""
    days.as_usual(world)
    days.fill(world, world.window)
    extract(world.engine, world.window, validate(RHYTHM), as_of=world.now, run_id="test", options=RunOptions())
    return running


def test_an_odd_day_so_far_is_told_and_can_be_explained(usual):
    odd = usual.at(9).date()
    days.fill(usual.world, usual.window, {odd: 0, usual.at(20).date(): 900})  # the 21st day is yet to come
    before = usual.world.dump("daily_volume")
    found = usual.compute(guard_rhythm="stop")
    assert {(one.of, one.days, one.stops) for one in found.guard.findings} == {
        ("sessions", (odd.isoformat(),), False),
        ("purchases", (odd.isoformat(),), False),
    }
    assert usual.world.dump("daily_volume") == before
    with usual.world.engine.begin() as conn:
        explained_days.explain(conn, odd, odd, reason="a power cut", by="ada", as_of=usual.now)
    assert usual.kept().guard.findings == ()
    assert usual.compute(guard_rhythm="off").guard.found == ()


def test_an_odd_day_of_a_part_of_the_customers_is_counted_again_of_all(usual, monkeypatch):
    monkeypatch.setattr(daily_volume, "COUNTED", 500)
    days.fill(usual.world, usual.window, {usual.at(9).date(): 22}, customers=64)
    with usual.world.engine.connect() as conn:
        events = {"sessions": 1_314, "purchases": 650}
        of_a_part = daily_volume.so_far(conn, usual.window, events, as_of=usual.now)
    assert of_a_part.events[DaySource.SESSIONS][-5] != 22
    [one, *_] = usual.compute(guard_rhythm="tell").guard.findings
    assert "there were 22 sessions" in one.sentence


def test_the_day_that_is_not_over_is_not_judged(usual):
    days.fill(usual.world, usual.window)
    early = usual.at(14) + timedelta(minutes=5)
    assert usual.compute(as_of=early, guard_rhythm="tell").guard.found == ()


def _rows(running, query):
    with running.world.engine.connect() as conn:
        return conn.execute(query).all()
