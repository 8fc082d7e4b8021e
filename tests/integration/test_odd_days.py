"""Odd days: what the guard finds, what that stops, and what a reason for a day changes."""

import json
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign, daily_volume, explained_days
from engage.campaigns.run_options import RunOptions
from engage.errors import GuardStop, InputError
from engage.reports import approval_checks
from engage.reports.report import report
from engage.settings import Settings
from engage.statuses import ExplainedSource
from engage.steps import approve
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from tests.integration.days import WEEK, as_usual, before, fill

TUESDAY = date(2026, 9, 22)
EMPTY = "on Tuesday 2026-09-22 there were 0 sessions, and about 85 are usual for a Tuesday then"
NO_PURCHASES = "on Tuesday 2026-09-22 there were 0 purchases, and about 42 are usual for a Tuesday then"
ACCEPTED = {"accepted": 4}


@pytest.fixture
def history(world):
    """Two windows before, as usual."""
    return as_usual(world)


@pytest.fixture
def empty_day(history):
    """The window has one day without events."""
    fill(history, history.window, {TUESDAY: 0})
    return history


def begin(world, rhythm="tell", options=RunOptions(), **settings):  # noqa: B008
    chosen = Settings(guard_rhythm=rhythm, guard_max_shift_points=100, **settings)
    return extract(world.engine, world.window, chosen, as_of=world.now, run_id="a_run", options=options)


def go_on(world):
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)


def record(world):
    with world.engine.connect() as conn:
        return campaign.find(conn, world.window)


def explain(world, first=TUESDAY, last=None, reason="a storm", **options):
    with world.engine.begin() as conn:
        return explained_days.explain(conn, first, last or first, reason=reason, by="ada", as_of=world.now, **options)


def unexplain(world, first=TUESDAY, last=None, **options):
    with world.engine.begin() as conn:
        return explained_days.unexplain(conn, first, last or first, **options)


def findings(world):
    return [(one.of, one.days, one.stops) for one in record(world).guard.findings]


# --- what it finds


def test_a_window_like_those_before_it_has_no_odd_day(history):
    fill(history, history.window)
    assert begin(history).guard == ""


def test_a_day_without_events_is_told_and_stops_nothing(empty_day):
    assert begin(empty_day).guard == f"{EMPTY}; {NO_PURCHASES}"
    go_on(empty_day)
    assert findings(empty_day) == [("sessions", ("2026-09-22",), False), ("purchases", ("2026-09-22",), False)]
    assert not record(empty_day).guard.stands
    assert empty_day.message().by_status == ACCEPTED
    assert report(empty_day.engine).guard == {"findings": [EMPTY, NO_PURCHASES], "ignored_by": None}
    assert report(empty_day.engine).status.key == "sent"


def test_only_valid_events_count(history):
    fill(history, history.window, {TUESDAY: 0})
    noon = history.window.start + timedelta(days=8, hours=12)
    for _ in range(100):
        history.sessions(None, at=noon)
        history.purchase(1, -1, at=noon)
    assert begin(history).guard == f"{EMPTY}; {NO_PURCHASES}"


def test_odd_days_that_follow_each_other_are_one_finding(history):
    days = {TUESDAY + timedelta(days=n): 1 for n in range(3)} | {TUESDAY + timedelta(days=3): 500}
    fill(history, history.window, days)
    begin(history)
    sessions = [one for one in record(history).guard.findings if one.of == "sessions"]
    assert [one.sentence for one in sessions] == [
        "from Tuesday 2026-09-22 to Thursday 2026-09-24 there were 3 sessions, and about 280 are usual for these days "
        "then",
        "on Friday 2026-09-25 there were 500 sessions, and about 120 are usual for a Friday then",
    ]


def test_many_odd_days_do_not_make_many_findings(history):
    days = {history.window.start.date() + timedelta(days=2 * n): 0 for n in range(14)}
    fill(history, history.window, days)
    begin(history)
    sessions = [one for one in record(history).guard.findings if one.of == "sessions"]
    assert len(sessions) == 5
    assert sessions[-1].sentence == "the sessions of 10 later days are odd too, first on Tuesday 2026-09-22"
    assert sum(len(one.days) for one in sessions) == 14


@pytest.mark.parametrize("windows", [0, 1])
def test_with_too_little_history_no_day_is_odd(world, windows):
    world.customer(registered_at=world.window.start - timedelta(days=400))
    for one in before(world.window, windows):
        fill(world, one, {one.start.date(): 0}, customers=1)  # the day before the first event is no history
    fill(world, world.window, {TUESDAY: 0}, customers=1)
    assert begin(world).guard == ""


def test_off_finds_nothing_and_counts_the_days_all_the_same(empty_day):
    assert begin(empty_day, "off").guard == ""
    assert empty_day.value("SELECT count(*) FROM daily_volume") == 3 * 56 * 2


# --- stopping


def test_with_stop_it_stops_the_run_and_what_runs_alone(empty_day):
    with pytest.raises(GuardStop) as raised:
        begin(empty_day, "stop")
    assert f"no message was sent: {EMPTY}; {NO_PURCHASES}. Look at" in str(raised.value)
    assert "explain it on the report's page" in str(raised.value)
    go_on(empty_day)
    with pytest.raises(GuardStop):
        empty_day.message()
    with pytest.raises(GuardStop):
        approve.ask(empty_day.engine, empty_day.window, options=RunOptions(), run_id="a_run", as_of=empty_day.now)
    assert empty_day.ledger() == {}
    assert report(empty_day.engine).status.key == "stopped_by_guard"


def test_what_only_tells_is_not_named_as_the_reason_of_a_stop(empty_day, in_window):
    begin(in_window(empty_day.window.previous()))
    with pytest.raises(GuardStop, match="engage_guard_min_volume_percent is 100") as raised:
        begin(empty_day, guard_min_volume_percent=100)
    assert EMPTY not in str(raised.value)
    assert "explain it" not in str(raised.value)


def test_a_run_may_ignore_it(empty_day):
    begin(empty_day, "stop", RunOptions(ignore_guard=True))
    go_on(empty_day)
    assert empty_day.message().by_status == ACCEPTED


def test_the_approver_is_told_of_what_only_tells_and_of_what_is_ignored(empty_day):
    begin(empty_day, require_approval=True)
    go_on(empty_day)
    asked = approve.ask(empty_day.engine, empty_day.window, options=RunOptions(), run_id="a_run", as_of=empty_day.now)
    assert asked.guard == f"The guard tells, without stopping a run: {EMPTY}; {NO_PURCHASES}."
    [check, *_] = approval_checks.checks(record(empty_day), as_of=empty_day.now)
    assert (check.words, check.notes) == ("2 findings", (EMPTY, NO_PURCHASES))


# --- reasons


def test_a_finding_whose_day_is_explained_no_longer_stops(empty_day):
    with pytest.raises(GuardStop):
        begin(empty_day, "stop")
    go_on(empty_day)
    explain(empty_day)
    assert findings(empty_day) == []
    assert empty_day.message().by_status == ACCEPTED


def test_a_run_after_the_reason_is_not_stopped_and_taking_it_back_stops_again(empty_day):
    explain(empty_day)
    assert begin(empty_day, "stop").guard == ""
    go_on(empty_day)
    unexplain(empty_day)
    with pytest.raises(GuardStop, match="0 sessions"):
        empty_day.message()


def test_a_finding_stands_until_each_of_its_days_is_explained(history):
    fill(history, history.window, {TUESDAY + timedelta(days=n): 0 for n in range(3)})
    with pytest.raises(GuardStop):
        begin(history, "stop")
    explain(history, last=TUESDAY + timedelta(days=1))
    assert len(findings(history)) == 2
    explain(history, TUESDAY + timedelta(days=2))
    assert findings(history) == []


def test_a_reason_may_be_about_one_kind_of_event(empty_day):
    begin(empty_day)
    explain(empty_day, source=ExplainedSource.PURCHASES)
    assert [of for of, *_ in findings(empty_day)] == ["sessions"]
    explain(empty_day, source=ExplainedSource.SESSIONS)
    assert findings(empty_day) == []


def test_a_reason_for_a_day_holds_for_a_frozen_campaign_too_and_changes_nothing_of_it(empty_day):
    begin(empty_day)
    go_on(empty_day)
    empty_day.message()
    kept = empty_day.dump("campaign")
    explain(empty_day)
    assert findings(empty_day) == []
    assert empty_day.dump("campaign") == kept


def test_buckets_computed_again_keep_the_explained_finding(empty_day):
    begin(empty_day)
    explain(empty_day)
    go_on(empty_day)
    assert len(record(empty_day).guard.found) == 2
    unexplain(empty_day)
    assert len(findings(empty_day)) == 2


def test_later_days_are_not_compared_with_explained_ones(history):
    last = before(history.window, 1)[0]
    sale = [last.end.date() - timedelta(days=n) for n in range(1, 21)]
    history.execute(sa.text(f"DELETE FROM app_session WHERE started_at >= '{sale[-1]}' AND started_at < '{last.end}'"))
    usual = {day: WEEK[day.weekday()] for day in sale}
    only = {last.start.date() + timedelta(days=n): 0 for n in range(56)}
    fill(history, last, only | {day: 3 * count for day, count in usual.items()})
    fill(history, history.window)
    begin(history)
    assert any(one.of == "sessions" for one in record(history).guard.findings)
    explain(history, sale[-1], sale[0])
    begin(history)
    assert [one for one in record(history).guard.found if one.of == "sessions"] == []


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (TUESDAY, TUESDAY - timedelta(days=1), "comes before the first one"),
        (date(2026, 11, 11), date(2026, 11, 11), "lies in the future"),
        (date(2026, 1, 1), date(2026, 3, 1), "56 at most"),
    ],
)
def test_days_that_cannot_be_explained_are_refused(world, first, last, words):
    with pytest.raises(InputError, match=words):
        explain(world, first, last)


def test_another_reason_replaces_the_first_and_none_is_taken_back_twice(world):
    assert explain(world, last=TUESDAY + timedelta(days=1)) == 2
    explain(world, reason="a strike")
    assert [row[0] for row in world.rows("SELECT reason FROM explained_day ORDER BY day")] == ["a strike", "a storm"]
    assert (unexplain(world, last=TUESDAY + timedelta(days=9)), unexplain(world)) == (2, 0)


def test_a_finding_of_an_earlier_version_stops_as_before(empty_day):
    begin(empty_day)
    old = {"check": "volume", "of": "sessions", "found": 1.0, "limit": 50.0, "sentence": "there are 2 sessions"}
    kept = json.dumps({"findings": [old], "ignored_by": None})
    empty_day.execute(sa.text("UPDATE campaign SET guard = cast(:kept AS jsonb)"), {"kept": kept})
    assert record(empty_day).guard.stands
    assert findings(empty_day) == [("sessions", (), True)]


def test_counts_of_a_part_are_counted_in_full_where_a_day_is_odd(empty_day, monkeypatch):
    monkeypatch.setattr(daily_volume, "COUNTED", 2_000)
    assert begin(empty_day).guard == f"{EMPTY}; {NO_PURCHASES}"
    exact = empty_day.rows("SELECT day, source FROM daily_volume WHERE one_in = 1 AND source = 'sessions'")
    assert exact == [(TUESDAY, "sessions")]
