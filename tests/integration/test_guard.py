"""The guard: what it finds, which runs it stops, and that no step run alone bypasses it."""

import json
from datetime import timedelta

import pytest

from engage.campaigns import valid_events
from engage.campaigns.run_options import RunOptions
from engage.errors import GuardStop, NotReady
from engage.reports.report import report
from engage.settings import Settings
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract

ACCEPTED = {"accepted": 4}


@pytest.fixture
def customers(world):
    return [world.customer() for _ in range(4)]


@pytest.fixture
def last_time(world, customers, in_window):
    """The campaign of the window before: 100 sessions, 11 purchases, three quarters of the customers in BOOST."""
    before = in_window(world.window.previous())
    fill(before, customers, sessions=100, purchases=10)
    before.purchase(customers[0], 1_000_000)
    before.computed()
    return before


def fill(world, customers, *, sessions=0, purchases=0, quiet=timedelta(hours=1)):
    at = world.window.end - quiet
    for number in range(sessions):
        world.sessions(customers[number % len(customers)], at=at)
    for number in range(purchases - 1 if purchases else 0):
        world.purchase(customers[number % len(customers)], 100, at=at)
    if purchases:
        world.purchase(customers[0], 1_000_000, at=at)


def begin(world, options=RunOptions(), **settings):  # noqa: B008
    return extract(world.engine, world.window, Settings(**settings), as_of=world.now, run_id="a_run", options=options)


def bucketed(world):
    aggregate(world.engine, world.window)
    return bucket(world.engine, world.window)


def kept(world):
    return world.value(f"SELECT guard FROM campaign WHERE window_start = '{world.window.start.isoformat()}'")


def found(world):
    return [(finding["check"], finding["of"], finding["found"]) for finding in kept(world)["findings"]]


# --- volume


def test_a_window_with_less_than_half_the_events_of_the_last_one_stops_at_extract(world, customers, last_time):
    fill(world, customers, sessions=40, purchases=11)
    with pytest.raises(GuardStop) as raised:
        begin(world)
    assert str(raised.value) == (
        f"The guard has stopped the campaign of the window {world.window}, and no message was sent: there are 40 "
        "sessions, 40.0% of the 100 of the window before, and engage_guard_min_volume_percent is 50. Look at "
        f"`engage report --window-start {world.window.start:%Y-%m-%d}`, and whether the app's events arrive. "
        "If the data are right, trigger a run of this window with ignore_guard. If the limit is wrong, change the "
        "Variable and clear extract with everything downstream."
    )


@pytest.mark.parametrize(("sessions", "purchases", "of"), [(40, 11, "sessions"), (100, 4, "purchases")])
def test_either_kind_of_event_may_have_fallen(last_time, world, sessions, purchases, of):
    fill(world, range(1, 5), sessions=sessions, purchases=purchases)
    with pytest.raises(GuardStop, match=f" {of}, "):
        begin(world)
    assert [name for _, name, _ in found(world)] == [of]


def test_exactly_half_is_enough(world, customers, last_time):
    last_time.purchase(customers[1], 100)
    assert last_time.extract().events == {"sessions": 100, "purchases": 12}
    fill(world, customers, sessions=50, purchases=6)
    begin(world)
    assert found(world) == []


def test_a_kind_of_event_that_there_was_none_of_is_not_compared(world, customers, in_window):
    before = in_window(world.window.previous())
    fill(before, customers, sessions=10)
    before.extract()
    fill(world, customers, sessions=10, purchases=2)
    begin(world)
    assert found(world) == []


def test_without_a_campaign_of_the_window_before_nothing_is_compared(world, customers, in_window):
    long_before = in_window(world.window.previous().previous())
    fill(long_before, customers, sessions=100)
    long_before.computed()
    fill(world, customers, sessions=1)
    begin(world)
    bucketed(world)
    assert found(world) == []


@pytest.mark.parametrize(("percent", "stops"), [("0", False), ("1", False), ("2", True)])
def test_the_limit_of_the_volume_is_a_setting(world, customers, last_time, percent, stops):
    fill(world, customers, sessions=1, purchases=11)
    settings = {"guard_min_volume_percent": percent}
    if stops:
        with pytest.raises(GuardStop, match="engage_guard_min_volume_percent is 2"):
            begin(world, **settings)
    else:
        begin(world, **settings)


# --- freshness


def test_a_window_whose_events_ceased_long_before_its_end_stops_at_extract(world, customers):
    fill(world, customers, sessions=4, quiet=timedelta(days=4))
    newest = world.window.end - timedelta(days=4)
    with pytest.raises(GuardStop) as raised:
        begin(world)
    assert (
        f"the newest event is of {newest:%Y-%m-%d %H:%M} UTC, 4.0 days before the window's end, and "
        "engage_guard_max_quiet_days is 3" in str(raised.value)
    )
    assert found(world) == [("freshness", "events", 4.0)]


@pytest.mark.parametrize(
    ("quiet", "stops"),
    [(timedelta(days=3), False), (timedelta(days=3, microseconds=1), True), (timedelta(microseconds=1), False)],
)
def test_it_may_have_been_quiet_for_exactly_as_long_as_allowed(world, customers, quiet, stops):
    fill(world, customers, sessions=4, quiet=quiet)
    if stops:
        with pytest.raises(GuardStop):
            begin(world)
    else:
        begin(world)


def test_only_valid_events_of_the_window_tell_that_events_arrive(world, customers):
    fill(world, customers, sessions=4, quiet=timedelta(days=9))
    late = world.window.end - timedelta(hours=1)
    world.sessions(None, at=late)
    world.purchase(None, 100, at=late)
    world.purchase(customers[0], -1, at=late)
    world.purchase(customers[0], None, at=late)
    world.sessions(customers[0], at=world.window.end + timedelta(hours=1))
    with pytest.raises(GuardStop, match=r"9\.0 days"):
        begin(world)


def test_a_purchase_tells_as_well_as_a_session_that_events_arrive(world, customers):
    fill(world, customers, sessions=4, quiet=timedelta(days=9))
    world.purchase(customers[0], 100, at=world.window.end - timedelta(hours=1))
    begin(world)
    assert found(world) == []


def test_freshness_can_be_switched_off_and_then_is_not_looked_for(world, customers, monkeypatch):
    monkeypatch.delattr(valid_events, "any_since")
    fill(world, customers, sessions=4, quiet=timedelta(days=50))
    begin(world, guard_max_quiet_days=0)
    assert found(world) == []


def test_everything_that_is_wrong_is_said_at_once(world, customers, last_time):
    fill(world, customers, sessions=40, purchases=4, quiet=timedelta(days=5))
    with pytest.raises(GuardStop, match=r"40 sessions, .*; there are 4 purchases, .*; the newest event is "):
        begin(world)


# --- the buckets


def shifted(world, customers):
    """As many events as last time, but every customer has spent much: BOOST falls from 75% to none."""
    for each in customers:
        world.purchase(each, 1_000_000, at=world.window.end - timedelta(hours=1))
    fill(world, customers, sessions=100, purchases=8)


def test_buckets_that_have_moved_are_written_and_then_stop_message(world, customers, last_time):
    shifted(world, customers)
    begin(world)
    summary = bucketed(world)
    assert summary.buckets == {"BOOST": 0, "REWARD": 0, "NONE": 4}
    assert "BOOST has 0.0% of the customers, 75.0 points less than in the window before" in summary.guard
    assert world.value(f"SELECT count(*) FROM customer_bucket WHERE window_start = '{world.window.start}'") == 4
    for _ in range(2):  # clearing message alone does not bypass the guard
        with pytest.raises(GuardStop, match=r"75\.0 points less .* engage_guard_max_shift_points is 25"):
            world.message()
    assert world.ledger() == {}
    assert ("mix", "BOOST", 75.0) in found(world)


@pytest.mark.parametrize(("points", "stops"), [("100", False), ("75", False), ("74.99", True), ("0", True)])
def test_the_limit_of_the_shift_is_a_setting_and_a_hundred_is_never(world, customers, last_time, points, stops):
    shifted(world, customers)
    begin(world, guard_max_shift_points=points)
    bucketed(world)
    assert bool(found(world)) is stops


def test_a_shift_of_exactly_the_limit_is_allowed_however_the_shares_are_written(world, in_window):
    before = in_window(world.window.previous())
    for month, boost in ((before, 1), (world, 4)):  # of 12: 1/12 and 1/3, which no float is exactly
        for number in range(12):
            customer = month.customer() if month is before else 10_000 + number
            month.purchase(customer, 100 if number < boost else 1_000_000, at=month.window.end - timedelta(hours=1))
    before.computed()
    begin(world)
    assert bucketed(world).buckets == {"BOOST": 4, "REWARD": 0, "NONE": 8}
    assert found(world) == []


def test_buckets_computed_again_are_judged_anew(world, customers, last_time):
    shifted(world, customers)
    begin(world)
    for _ in range(2):
        assert bucketed(world).guard.count("points") == 4  # of BOOST and of NONE, with the Variable's name each
        assert [(check, of) for check, of, _ in found(world)] == [("mix", "BOOST"), ("mix", "NONE")]
    begin(world)
    assert found(world) == []


VIP = {"name": "VIP", "when": ["total_spend > 5000"]}
BOOST = {"name": "BOOST", "when": ["total_spend < low_spend_threshold"]}
REWARD = {"name": "REWARD", "when": ["avg_weekly_sessions > high_activity_threshold"]}


def rules(*segments, otherwise="NONE"):
    return json.dumps({"segments": segments, "otherwise": otherwise})


@pytest.mark.parametrize(
    ("segments", "moved"),
    [
        (None, ["BOOST", "NONE"]),
        (rules(BOOST, REWARD), ["BOOST", "NONE"]),  # the usual ones, written out
        (rules(BOOST, REWARD, otherwise="OTHERS"), ["BOOST"]),
        (rules(BOOST, REWARD, VIP), ["BOOST"]),
        (rules(BOOST, VIP, REWARD), ["BOOST"]),
        (rules(VIP, BOOST, REWARD), []),
        (rules({"name": "BOOST", "when": ["total_spend < 100"]}, REWARD), []),
        (rules({"name": "LOW", "when": BOOST["when"]}, REWARD), []),
    ],
)
def test_only_segments_that_both_campaigns_write_alike_are_compared(world, customers, last_time, segments, moved):
    shifted(world, customers)
    begin(world, **({"segments": segments} if segments else {}))
    bucketed(world)
    assert [of for _, of, _ in found(world)] == moved


def test_a_segment_that_is_gone_or_new_stops_no_campaign(world, customers, in_window):
    before = in_window(world.window.previous())
    fill(before, customers, sessions=100, purchases=10)
    before.computed(segments=rules({"name": "OLD", "when": ["sessions > 0"]}))
    fill(world, customers, sessions=100, purchases=10)
    begin(world, segments=rules({"name": "NEW", "when": ["sessions > 0"]}))
    assert bucketed(world).buckets == {"NEW": 4, "NONE": 0}
    assert found(world) == []
    world.message()


def test_a_threshold_with_another_number_is_compared_and_named(world, customers, last_time):
    fill(world, customers, sessions=100, purchases=10)
    begin(world, low_spend_threshold=100_000)
    summary = bucketed(world)
    assert "BOOST has 100.0% of the customers, 25.0 points more" not in summary.guard  # 25 is the limit
    begin(world, low_spend_threshold=100_000, guard_max_shift_points=10)
    assert (
        "BOOST has 100.0% of the customers, 25.0 points more than in the window before, and "
        "engage_guard_max_shift_points is 10 (engage_low_spend_threshold is 100000 and was 100)"
    ) in bucketed(world).guard


# --- which runs it stops


def test_a_stop_at_extract_stops_message_too_whatever_is_cleared(world, customers):
    fill(world, customers, sessions=4, quiet=timedelta(days=9))
    with pytest.raises(GuardStop):
        begin(world)
    bucketed(world)
    with pytest.raises(GuardStop, match=r"9\.0 days"):
        world.message()
    assert world.ledger() == {}


def test_a_stopped_run_leaves_nothing_of_an_earlier_one_to_be_sent(world, customers):
    fill(world, customers, sessions=4)
    begin(world)
    bucketed(world)
    world.execute(valid_events.app_session.delete())
    world.sessions(customers[0])
    with pytest.raises(GuardStop):
        begin(world)
    with pytest.raises(NotReady, match="run its bucket step first"):
        world.message()
    assert world.ledger() == {}


@pytest.mark.parametrize("options", [RunOptions(backfill=True), RunOptions(dry_run=True)], ids=["backfill", "dry run"])
def test_a_run_that_sends_nothing_is_not_stopped_and_reports_the_findings(world, customers, options):
    fill(world, customers, sessions=4, quiet=timedelta(days=9))
    assert "9.0 days" in begin(world, options).guard
    bucketed(world)
    assert world.message(backfill=options.backfill, dry_run=options.dry_run).accepted_now == 0
    assert found(world) == [("freshness", "events", 9.0)]
    with pytest.raises(GuardStop):
        world.message()


def test_a_run_that_comes_too_late_to_text_is_not_stopped_unless_it_sends_late(world, customers):
    fill(world, customers, sessions=4, quiet=timedelta(days=9))
    world.now = world.window.end + timedelta(days=8)
    begin(world)
    bucketed(world)
    assert set(world.message().by_status) == {"skipped"}
    with pytest.raises(GuardStop):
        begin(world, RunOptions(send_late=True))
    bucketed(world)
    with pytest.raises(GuardStop):
        world.message(send_late=True)


# --- ignoring it


def test_a_run_may_ignore_it_and_that_is_kept_with_the_campaign(world, customers, last_time):
    fill(world, customers, sessions=40, purchases=0)
    begin(world, RunOptions(ignore_guard=True, by="ada"))
    bucketed(world)
    assert world.message().by_status == ACCEPTED
    assert kept(world)["ignored_by"] == "a_run, triggered by ada"
    assert ("volume", "sessions", 40.0) in found(world)
    assert report(world.engine, world.window).guard == {
        "findings": [finding["sentence"] for finding in kept(world)["findings"]],
        "ignored_by": "a_run, triggered by ada",
    }


def test_ignoring_it_is_for_one_run(world, customers):
    fill(world, customers, sessions=4, quiet=timedelta(days=9))
    begin(world, RunOptions(ignore_guard=True))
    with pytest.raises(GuardStop):
        begin(world)
    bucketed(world)
    with pytest.raises(GuardStop):
        world.message()


def test_a_frozen_campaign_keeps_what_was_found_and_is_not_stopped(world, customers):
    fill(world, customers, sessions=4)
    begin(world)
    bucketed(world)
    world.message()
    before = world.dump("campaign")
    world.execute(valid_events.app_session.delete())
    world.sessions(customers[0])
    assert begin(world, RunOptions(ignore_guard=True)).frozen
    assert bucketed(world).frozen
    assert world.message().frozen
    assert world.dump("campaign") == before


def test_a_campaign_of_before_there_was_a_guard_is_not_stopped(world, customers):
    fill(world, customers, sessions=4)
    begin(world)
    bucketed(world)
    world.execute(valid_events.sa.text("UPDATE campaign SET guard = NULL"))
    assert report(world.engine, world.window).guard == {"findings": [], "ignored_by": None}
    assert world.message().by_status == ACCEPTED
