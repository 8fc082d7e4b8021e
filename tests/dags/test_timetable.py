from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pendulum
import pytest
import time_machine
from airflow import plugins_manager
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.serialization.helpers import find_registered_custom_timetable
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from engage_timetable import EngageTimetable

ANCHOR = pendulum.datetime(2025, 1, 6)
EIGHT_WEEKS = timedelta(days=56)
MICROSECOND = timedelta(microseconds=1)


def moment(text: str) -> pendulum.DateTime:
    found = pendulum.parse(text)
    assert isinstance(found, pendulum.DateTime)
    return found


def interval(start: str) -> DataInterval:
    """The window that starts at ``start``."""
    return DataInterval(start=moment(start), end=moment(start) + EIGHT_WEEKS)


def next_run(
    last: DataInterval | None = None,
    *,
    earliest: pendulum.DateTime | None = ANCHOR,
    latest: pendulum.DateTime | None = None,
    catchup: bool,
    timetable: EngageTimetable | None = None,
) -> DagRunInfo | None:
    return (timetable or EngageTimetable()).next_dagrun_info(
        last_automated_data_interval=last, restriction=TimeRestriction(earliest, latest, catchup)
    )


def runs(count: int, **options) -> list[DagRunInfo]:
    """The next ``count`` runs, asked for one after the other as the scheduler does."""
    found: list[DagRunInfo] = []
    while len(found) < count:
        run = next_run(found[-1].data_interval if found else None, **options)
        if run is None:
            break
        found.append(run)
    return found


def starts(found: list[DagRunInfo]) -> list[str]:
    return [run.data_interval.start.to_date_string() for run in found]


# --- the grid


def test_the_first_run_is_about_the_first_window():
    run = next_run(catchup=True)
    assert run.data_interval == (ANCHOR, pendulum.datetime(2025, 3, 3))
    assert run.run_after == pendulum.datetime(2025, 3, 3)
    assert run.logical_date == ANCHOR
    with time_machine.travel(datetime(2025, 1, 7, tzinfo=UTC), tick=False):
        scheduled = next_run(catchup=False)
    assert scheduled.data_interval == run.data_interval
    assert scheduled.run_after == pendulum.datetime(2025, 3, 3, 12)
    assert scheduled.logical_date == ANCHOR + MICROSECOND


def test_runs_follow_each_other_without_gap_or_overlap():
    found = runs(50, catchup=True)
    assert found[0].data_interval.start == ANCHOR
    assert found[-1].data_interval.end == ANCHOR + 50 * EIGHT_WEEKS
    for run, following in pairwise(found):
        assert run.data_interval.end == following.data_interval.start
    for run in found:
        assert run.data_interval.end - run.data_interval.start == EIGHT_WEEKS
        assert run.run_after == run.data_interval.end
        assert {time.timezone_name for time in (*run.data_interval, run.run_after)} == {"UTC"}


@pytest.mark.parametrize(
    ("grace", "run_after"),
    [
        (timedelta(0), "2025-03-03T00:00"),
        (timedelta(minutes=90), "2025-03-03T01:30"),
        (timedelta(days=3), "2025-03-06"),
    ],
)
def test_a_run_waits_for_its_grace_after_the_window(grace, run_after):
    with time_machine.travel(datetime(2025, 1, 7, tzinfo=UTC), tick=False):
        run = next_run(catchup=False, timetable=EngageTimetable(grace=grace))
    assert run.run_after == moment(run_after)
    assert run.data_interval == interval("2025-01-06")


def test_the_next_run_does_not_depend_on_the_grace():
    found = runs(3, catchup=True, timetable=EngageTimetable(grace=timedelta(days=80)))
    assert starts(found) == ["2025-01-06", "2025-03-03", "2025-04-28"]


@pytest.mark.parametrize(
    ("last", "start", "end"),
    [
        ("2025-10-13", "2025-12-08", "2026-02-02"),  # a year's end
        ("2027-12-06", "2028-01-31", "2028-03-27"),  # a leap day
        ("2026-12-08", "2027-01-04", "2027-03-01"),  # not of the grid: the window that its end lies in
    ],
)
def test_year_ends_and_leap_days_do_not_move_the_grid(last, start, end):
    assert next_run(interval(last), catchup=True).data_interval == (moment(start), moment(end))


@pytest.mark.parametrize(
    ("earliest", "first"),
    [
        ("2025-03-03", "2025-03-03"),
        ("2025-03-03T00:00:01", "2025-04-28"),
        ("2025-01-07", "2025-03-03"),
        ("2025-03-02T23:59:59", "2025-03-03"),
        ("2025-03-02T19:00:00-05:00", "2025-03-03"),
        ("2025-03-03T00:00:00-05:00", "2025-04-28"),
    ],
)
def test_a_start_date_off_the_grid_waits_for_the_next_window(earliest, first):
    assert starts(runs(1, earliest=moment(earliest), catchup=True)) == [first]


def test_a_start_date_moved_forward_skips_windows():
    run = next_run(interval("2025-01-06"), earliest=moment("2026-01-01"), catchup=True)
    assert run.data_interval == interval("2026-02-02")


def test_without_a_start_date_there_is_nothing_to_catch_up_on():
    assert next_run(earliest=None, catchup=True) is None


# --- catch-up


def test_with_catchup_every_window_gets_its_run():
    with time_machine.travel(datetime(2026, 2, 10, tzinfo=UTC), tick=False):
        found = runs(9, catchup=True)
    assert starts(found) == [
        "2025-01-06", "2025-03-03", "2025-04-28", "2025-06-23", "2025-08-18", "2025-10-13", "2025-12-08",
        "2026-02-02", "2026-03-30",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("now", "start"),
    [
        ("2026-02-10T00:00", "2025-12-08"),
        ("2026-02-02T00:00", "2025-12-08"),  # within the grace: the window is over, its run is still to come
        ("2026-02-02T11:59", "2025-12-08"),
        ("2026-02-01T23:59", "2025-10-13"),
        ("2026-03-29T23:59", "2025-12-08"),
        ("2025-03-03T00:00", "2025-01-06"),
        ("2025-01-20T00:00", "2025-01-06"),  # none is over yet: the first one
        ("2024-06-01T00:00", "2025-01-06"),
    ],
)
def test_without_catchup_the_first_run_is_about_the_last_complete_window(now, start):
    with time_machine.travel(moment(now), tick=False):
        run = next_run(catchup=False)
    assert run.data_interval == interval(start)
    assert run.run_after == moment(start) + EIGHT_WEEKS + timedelta(hours=12)


def test_without_catchup_asking_again_gives_the_same_answer():
    with time_machine.travel(datetime(2026, 2, 10, tzinfo=UTC), tick=False):
        assert next_run(catchup=False) == next_run(catchup=False)


@pytest.mark.parametrize("now", ["2026-02-10", "2026-03-29T23:59", "2026-02-02T12:01"])
def test_without_catchup_the_window_after_the_last_run_is_next(now):
    with time_machine.travel(moment(now), tick=False):
        run = next_run(interval("2025-12-08"), catchup=False)
    assert run.data_interval == interval("2026-02-02")
    assert run.run_after == pendulum.datetime(2026, 3, 30, 12)


def test_without_catchup_a_pause_of_thirty_weeks_is_skipped_and_the_grid_kept():
    paused_since = datetime(2026, 2, 10, tzinfo=UTC)
    with time_machine.travel(paused_since + timedelta(weeks=30), tick=False):  # 2026-09-08
        run = next_run(interval("2025-12-08"), catchup=False)
        following = next_run(run.data_interval, catchup=False)
    assert run.data_interval == interval("2026-05-25")
    assert following.data_interval == interval("2026-07-20")


def test_without_catchup_every_call_skips_not_only_the_first():
    last = None
    seen = []
    for now in ["2025-03-10", "2025-03-11", "2025-09-01", "2026-02-10", "2027-01-10"]:
        with time_machine.travel(moment(now), tick=False):
            run = next_run(last, catchup=False)
        seen.append(run)
        last = run.data_interval
    assert starts(seen) == ["2025-01-06", "2025-03-03", "2025-06-23", "2025-12-08", "2026-11-09"]


def test_without_catchup_a_missed_window_is_still_run_while_it_is_the_last_complete_one():
    with time_machine.travel(datetime(2026, 3, 29, tzinfo=UTC), tick=False):
        assert next_run(interval("2025-10-13"), catchup=False).data_interval == interval("2025-12-08")


def test_a_start_date_in_the_future_is_waited_for():
    with time_machine.travel(datetime(2026, 2, 10, tzinfo=UTC), tick=False):
        run = next_run(earliest=moment("2030-01-01"), catchup=False)
    assert run.data_interval.start == moment("2030-01-28")


def test_without_catchup_and_start_date_it_begins_with_the_last_complete_window():
    with time_machine.travel(datetime(2026, 2, 10, tzinfo=UTC), tick=False):
        assert next_run(earliest=None, catchup=False).data_interval == interval("2025-12-08")


# --- the end


@pytest.mark.parametrize(
    ("latest", "expected"),
    [
        ("2025-04-28", ["2025-01-06", "2025-03-03", "2025-04-28"]),
        ("2025-04-27", ["2025-01-06", "2025-03-03"]),
        ("2025-04-29", ["2025-01-06", "2025-03-03", "2025-04-28"]),
        ("2025-01-06", ["2025-01-06"]),
        ("2025-01-05", []),
    ],
)
def test_no_window_starts_after_the_end_date(latest, expected):
    assert starts(runs(10, latest=moment(latest), catchup=True)) == expected


def test_an_end_date_in_the_past_ends_the_schedule_without_catchup_too():
    with time_machine.travel(datetime(2026, 2, 10, tzinfo=UTC), tick=False):
        assert next_run(latest=moment("2025-06-01"), catchup=False) is None


# --- manual runs and backfills


@pytest.mark.parametrize(
    ("date", "start"),
    [
        ("2026-02-10T08:30:00", "2025-12-08"),
        ("2026-02-02T00:00:00", "2025-12-08"),
        ("2026-02-01T23:59:59", "2025-10-13"),
        ("2025-03-03T00:00:00", "2025-01-06"),
        ("2026-02-01T19:00:00-05:00", "2025-12-08"),
    ],
)
def test_a_manual_run_is_about_the_last_window_complete_at_its_date(date, start):
    found = EngageTimetable().infer_manual_data_interval(run_after=moment(date))
    assert found == interval(start)
    assert [time.timezone_name for time in found] == ["UTC", "UTC"]


@pytest.mark.parametrize("date", ["2025-03-02T23:59:59", "2025-01-06", "2025-01-05", "2020-02-29"])
def test_a_manual_run_before_the_first_window_is_over_is_refused_in_a_sentence(date):
    with pytest.raises(
        ValueError, match=r"^No window is complete at .* the first one runs from 2025-01-06 to 2025-03-03"
    ):
        EngageTimetable().infer_manual_data_interval(run_after=moment(date))


@pytest.mark.parametrize(
    ("earliest", "latest", "expected"),
    [
        ("2025-03-03", "2025-08-17", ["2025-03-03", "2025-04-28", "2025-06-23"]),
        ("2025-03-04", "2025-08-18", ["2025-04-28", "2025-06-23", "2025-08-18"]),
        ("2024-12-31", "2025-01-31", ["2025-01-06"]),
        ("2025-03-04", "2025-04-27", []),
    ],
)
def test_a_backfill_has_a_run_for_every_window_that_starts_in_its_range(serialized_dag, earliest, latest, expected):
    found = list(serialized_dag.iter_dagrun_infos_between(moment(earliest), moment(latest)))
    assert starts(found) == expected
    assert [run.data_interval for run in found] == [interval(start) for start in expected]


def test_the_scheduler_gets_its_runs_from_the_dag(serialized_dag):
    """Through Airflow's own restriction: the DAG's start date, and no catching up."""
    with time_machine.travel(datetime(2026, 9, 8, tzinfo=UTC), tick=False):
        run = serialized_dag.next_dagrun_info(last_automated_run_info=None)
        following = serialized_dag.next_dagrun_info(last_automated_run_info=run)
    assert run.data_interval == interval("2026-05-25")
    assert following.data_interval == interval("2026-07-20")


# --- what Airflow keeps and shows of it


@pytest.mark.parametrize("grace", [timedelta(0), timedelta(hours=12), timedelta(minutes=90), timedelta(days=3)])
def test_the_timetable_survives_airflows_encoding(grace):
    encoded = json.loads(json.dumps(encode_timetable(EngageTimetable(grace=grace))))
    decoded = decode_timetable(encoded)
    assert type(decoded) is EngageTimetable
    assert decoded.grace == grace
    assert decoded.description == EngageTimetable(grace=grace).description


def test_the_plugin_registers_the_timetable():
    assert plugins_manager.get_timetables_plugins()["engage_timetable.EngageTimetable"] is EngageTimetable
    assert find_registered_custom_timetable("engage_timetable.EngageTimetable") is EngageTimetable


@pytest.mark.parametrize(
    ("grace", "hours"), [(timedelta(hours=12), "12"), (timedelta(minutes=90), "1.5"), (timedelta(days=3), "72")]
)
def test_the_user_interface_says_when_it_runs(grace, hours):
    timetable = EngageTimetable(grace=grace)
    assert timetable.summary == "every 8 weeks"
    assert timetable.description == f"Every 8 weeks, {hours} hours after the window ends"
