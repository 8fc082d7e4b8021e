from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage.errors import WindowError
from engage.window import ANCHOR, LENGTH, Window, as_utc

# Written out, so that the grid is pinned to a calendar and not to the arithmetic under test.
STARTS = [
    "2025-01-06", "2025-03-03", "2025-04-28", "2025-06-23", "2025-08-18", "2025-10-13", "2025-12-08",
    "2026-02-02", "2026-03-30", "2026-05-25", "2026-07-20", "2026-09-14", "2026-11-09", "2027-01-04",
]  # fmt: skip
MICROSECOND = timedelta(microseconds=1)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def naive_day(text: str) -> datetime:
    return day(text).replace(tzinfo=None)


between = {"min_value": naive_day("1900-01-01"), "max_value": naive_day("2199-12-31")}
naive = st.datetimes(**between)
zoned = st.datetimes(
    **between,
    timezones=st.one_of(
        st.timezones(),
        st.builds(timezone, st.timedeltas(min_value=timedelta(hours=-23), max_value=timedelta(hours=23))),
    ),
)
moments = st.one_of(naive, zoned)


def test_the_anchor_is_a_monday_at_midnight_utc():
    assert datetime(2025, 1, 6, 0, 0, tzinfo=UTC) == ANCHOR
    assert ANCHOR.strftime("%A") == "Monday"


def test_windows_follow_each_other_every_eight_weeks_from_the_anchor():
    windows = [Window(ANCHOR)]
    while len(windows) < len(STARTS):
        windows.append(windows[-1].next())
    assert [window.start for window in windows] == [day(start) for start in STARTS]
    assert [window.end for window in windows[:-1]] == [day(start) for start in STARTS[1:]]


@given(moments)
def test_every_moment_lies_in_the_window_that_contains_it(moment):
    window = Window.containing(moment)
    assert window.start <= as_utc(moment) < window.end
    assert window.end - window.start == timedelta(weeks=8)
    assert window.start.utcoffset() == timedelta(0)


@given(moments)
def test_no_moment_lies_between_two_windows_or_in_two(moment):
    window = Window.containing(moment)
    assert window.next().start == window.end
    assert window.previous().end == window.start
    assert Window.containing(window.start) == window
    assert Window.containing(window.end - MICROSECOND) == window
    assert Window.containing(window.end) == window.next()
    assert Window.containing(window.start - MICROSECOND) == window.previous()


@given(moments)
def test_every_window_is_a_whole_number_of_windows_from_the_anchor(moment):
    days_from_anchor = (Window.containing(moment).start - datetime(2025, 1, 6, tzinfo=UTC)).total_seconds() / 86_400
    assert days_from_anchor % 56 == 0


@given(naive)
def test_a_naive_time_is_utc(moment):
    assert as_utc(moment) == moment.replace(tzinfo=UTC)
    assert Window.containing(moment) == Window.containing(moment.replace(tzinfo=UTC))


def test_a_naive_time_is_utc_on_a_machine_in_another_zone_too(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert as_utc(naive_day("2025-03-03")) == day("2025-03-03")
        assert Window.named("2025-03-03", LATER).start == day("2025-03-03")
    finally:
        monkeypatch.undo()
        time.tzset()


@given(zoned)
def test_one_moment_lies_in_one_window_whatever_the_zone_it_is_told_in(moment):
    assert as_utc(moment) - moment == timedelta(0)  # == is never true in the hour that daylight saving repeats
    assert Window.containing(moment) == Window.containing(moment.astimezone(UTC))


@pytest.mark.parametrize(
    ("local", "start"),
    [
        (datetime(2025, 3, 2, 18, 59, tzinfo=ZoneInfo("America/New_York")), "2025-01-06"),
        (datetime(2025, 3, 2, 19, 0, tzinfo=ZoneInfo("America/New_York")), "2025-03-03"),
        (datetime(2025, 3, 3, 8, 59, tzinfo=ZoneInfo("Asia/Tokyo")), "2025-01-06"),
        (datetime(2025, 3, 3, 9, 0, tzinfo=ZoneInfo("Asia/Tokyo")), "2025-03-03"),
        (datetime(2025, 4, 28, 0, 59, tzinfo=ZoneInfo("Europe/London")), "2025-03-03"),  # summer time
        (datetime(2025, 4, 28, 1, 0, tzinfo=ZoneInfo("Europe/London")), "2025-04-28"),
    ],
)
def test_a_local_time_is_compared_with_the_grid_in_utc(local, start):
    assert Window.containing(local).start == day(start)


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        ("2025-12-31", "2025-12-08", "2026-02-02"),
        ("2026-01-01", "2025-12-08", "2026-02-02"),
        ("2026-12-31", "2026-11-09", "2027-01-04"),
        ("2027-01-03", "2026-11-09", "2027-01-04"),
        ("2027-01-04", "2027-01-04", "2027-03-01"),
        ("2028-02-29", "2028-01-31", "2028-03-27"),
        ("2032-02-29", "2032-01-26", "2032-03-22"),
        ("2000-02-29", "2000-01-10", "2000-03-06"),
    ],
)
def test_year_ends_and_leap_days_do_not_move_the_grid(moment, start, end):
    window = Window.containing(day(moment))
    assert (window.start, window.end) == (day(start), day(end))


def test_the_grid_goes_on_before_the_anchor():
    window = Window.containing(ANCHOR - MICROSECOND)
    assert (window.start, window.end) == (day("2024-11-11"), ANCHOR)


@pytest.mark.parametrize("off", [MICROSECOND, -MICROSECOND, timedelta(hours=1), timedelta(days=7)])
def test_a_window_off_the_grid_cannot_be_made(off):
    with pytest.raises(WindowError, match="is not the start of a window"):
        Window(day("2026-02-02") + off)


def test_the_error_for_a_start_off_the_grid_names_it_and_the_nearest_starts():
    with pytest.raises(WindowError) as raised:
        Window(day("2026-02-10"))
    assert str(raised.value) == (
        "2026-02-10 00:00:00 UTC is not the start of a window. Windows are 8 weeks long, counted from 2025-01-06; "
        "the nearest starts are 2026-02-02 and 2026-03-30."
    )


def test_a_start_may_be_given_in_any_zone():
    tokyo = datetime(2025, 3, 3, 9, 0, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert Window(tokyo) == Window(naive_day("2025-03-03")) == Window(day("2025-03-03"))
    assert Window(tokyo).start.tzinfo is UTC


def test_windows_are_ordered_by_time_and_may_be_keys():
    windows = [Window(day(start)) for start in STARTS]
    backwards = windows[::-1]
    assert sorted(backwards) == windows
    assert len({*windows, *(Window(day(start)) for start in STARTS)}) == len(STARTS)


def test_a_window_says_its_days_and_its_key():
    window = Window(day("2025-12-08"))
    assert str(window) == "2025-12-08 to 2026-02-02"
    assert window.key == "20251208"


@given(moments)
def test_a_key_reads_back_as_its_window(moment):
    window = Window.containing(moment)
    assert Window.from_key(window.key) == window


@pytest.mark.parametrize(
    "key",
    ["", "x", "2025-12-08", "2025128", "20251208 ", " 20251208", "+2025128", "２０２５１２０８", "20251209", "20251308",
     "00000000", "99991231", "20251208-1", "9" * 5000],
)  # fmt: skip
def test_a_text_that_is_no_key_is_refused(key):
    with pytest.raises(WindowError) as raised:
        Window.from_key(key)
    assert str(raised.value) == f"{key[:40]!r} is not a window's key: its start as YYYYMMDD, such as 20250106."


@pytest.mark.parametrize(
    ("as_of", "start"),
    [
        (day("2026-02-02"), "2025-12-08"),
        (day("2026-02-02") - MICROSECOND, "2025-10-13"),
        (day("2026-03-29"), "2025-12-08"),
        (day("2026-03-30"), "2026-02-02"),
        (ANCHOR + LENGTH, "2025-01-06"),
        (datetime(2026, 2, 1, 19, 0, tzinfo=ZoneInfo("America/New_York")), "2025-12-08"),
        (datetime(2026, 2, 1, 18, 59, tzinfo=ZoneInfo("America/New_York")), "2025-10-13"),
        (naive_day("2026-02-02"), "2025-12-08"),
    ],
)
def test_the_last_complete_window_has_ended_and_the_next_has_not(as_of, start):
    assert Window.last_complete(as_of).start == day(start)


@given(st.datetimes(min_value=naive_day("2025-03-03"), max_value=between["max_value"], timezones=st.just(UTC)))
def test_the_last_complete_window_ended_within_the_last_eight_weeks(as_of):
    window = Window.last_complete(as_of)
    assert window.end <= as_of < window.end + LENGTH
    window.require_complete(as_of)


@pytest.mark.parametrize("as_of", [ANCHOR + LENGTH - MICROSECOND, ANCHOR, ANCHOR - timedelta(days=400)])
def test_before_the_first_window_is_over_there_is_no_last_complete_one(as_of):
    with pytest.raises(WindowError) as raised:
        Window.last_complete(as_of)
    assert str(raised.value) == (
        f"No window is complete at {as_of:%Y-%m-%d %H:%M} UTC: the first one runs from 2025-01-06 to 2025-03-03."
    )


@pytest.mark.parametrize(
    "name",
    [
        "2026-02-02",
        "2026-02-02T00:00:00",
        "2026-02-02T00:00:00Z",
        "2026-02-02T09:00:00+09:00",
        "20260202",
        "2026-2-2",
        "2026-02-2",
        "2026-2-02",
        date(2026, 2, 2),
        naive_day("2026-02-02"),
        datetime(2026, 2, 2, tzinfo=UTC),
    ],
)
def test_a_window_may_be_named_by_the_date_or_moment_of_its_start(name):
    assert Window.named(name, LATER) == Window(day("2026-02-02"))


@pytest.mark.parametrize(
    "name",
    ["", " ", "yesterday", "2026-02-30", "02/02/2026", "2026", "null", "2026-02-02 x", "2026-2-30", "26-2-2",
     "2026-2-2T00:00:00Z", "2026-002-2", "202622", "2026-2-", "2026-0-2"],
)  # fmt: skip
def test_a_name_that_is_no_date_is_refused_with_an_example(name):
    with pytest.raises(WindowError) as raised:
        Window.named(name, LATER)
    assert str(raised.value) == f"{name!r} is not a date. Give a window's start as YYYY-MM-DD, such as 2025-01-06."


@pytest.mark.parametrize("name", ["2026-02-01", "2026-02-03", "2026-02-02T00:00:01", "2026-02-02T00:00:00-05:00"])
def test_a_name_off_the_grid_is_refused(name):
    with pytest.raises(WindowError, match=r"nearest starts are .*2026-02-02"):
        Window.named(name, LATER)


@pytest.mark.parametrize("name", ["9999-12-31", "9999-12-13", "0001-01-01T00:00:00+14:00"])
def test_a_name_at_the_end_of_all_time_is_refused_too(name):
    with pytest.raises(WindowError, match=f"^{re.escape(repr(name))} is too far off to be the start of a window"):
        Window.named(name, LATER)


def test_a_name_before_the_anchor_is_refused():
    with pytest.raises(WindowError) as raised:
        Window.named("2024-11-11", LATER)
    assert str(raised.value) == "2024-11-11 lies before the first window, which starts 2025-01-06."


def test_a_window_that_is_not_over_is_refused_by_name_with_the_one_to_take_instead():
    with pytest.raises(WindowError) as raised:
        Window.named("2026-02-02", datetime(2026, 3, 29, 23, 59, tzinfo=UTC))
    assert str(raised.value) == (
        "The window 2026-02-02 to 2026-03-30 is not complete: it ends 2026-03-30 00:00 UTC and it is now "
        "2026-03-29 23:59. The last complete window starts 2025-12-08."
    )


def test_a_window_is_complete_from_its_end_on():
    window = Window(day("2026-02-02"))
    window.require_complete(window.end)
    window.require_complete(window.end.replace(tzinfo=None))
    with pytest.raises(WindowError, match="is not complete"):
        window.require_complete(window.end - MICROSECOND)


def test_while_the_first_window_runs_a_name_is_refused_with_a_sentence_too():
    with pytest.raises(WindowError, match="No window is complete at 2025-02-01 00:00 UTC"):
        Window.named("2025-01-06", day("2025-02-01"))
