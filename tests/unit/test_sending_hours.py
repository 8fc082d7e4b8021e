"""Hours in which customers may be texted, in four time zones and across daylight saving."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage.texts.sending_hours import SendingHours

DAY = SendingHours.parse("8:00-21:00")
NEW_YORK, LONDON, KOLKATA, AUCKLAND = map(
    ZoneInfo, ("America/New_York", "Europe/London", "Asia/Kolkata", "Pacific/Auckland")
)


def at(text: str, zone: ZoneInfo | None = None) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC).astimezone(UTC)


@pytest.mark.parametrize("zone", [NEW_YORK, LONDON, KOLKATA, AUCKLAND])
@pytest.mark.parametrize(
    ("local", "opens"),
    [
        ("2026-11-10 07:59:59", "2026-11-10 08:00"),
        ("2026-11-10 08:00:00", None),
        ("2026-11-10 20:59:59", None),
        ("2026-11-10 21:00:00", "2026-11-11 08:00"),
        ("2026-11-10 00:00:00", "2026-11-10 08:00"),
    ],
)
def test_the_hours_are_those_of_the_place(zone, local, opens):
    now = at(local, zone)
    assert DAY.open([zone], now) is (opens is None)
    assert DAY.opens_at([zone], now) == (at(opens, zone) if opens else now)


@pytest.mark.parametrize(
    ("zone", "utc"),
    [
        (NEW_YORK, "13:00"),  # UTC-5 in November
        (LONDON, "08:00"),
        (KOLKATA, "02:30"),
        (AUCKLAND, "19:00"),  # UTC+13, the day before
    ],
)
def test_they_open_at_these_times_of_utc(zone, utc):
    closed = at("2026-11-10 12:00") if zone is AUCKLAND else at("2026-11-10 02:00")
    assert not DAY.open([zone], closed)
    opens = DAY.opens_at([zone], closed)
    assert f"{opens:%H:%M}" == utc


@pytest.mark.parametrize(
    ("zone", "before", "opens_utc"),
    [
        (NEW_YORK, "2026-03-07 22:00", "2026-03-08 12:00"),  # clocks go forward in the night: 8:00 is UTC-4 now
        (NEW_YORK, "2026-10-31 22:00", "2026-11-01 13:00"),  # and back
        (LONDON, "2026-03-28 22:00", "2026-03-29 07:00"),
        (LONDON, "2026-10-24 22:00", "2026-10-25 08:00"),
        (AUCKLAND, "2026-09-26 22:00", "2026-09-26 19:00"),
        (AUCKLAND, "2026-04-04 22:00", "2026-04-04 20:00"),
    ],
)
def test_a_night_in_which_clocks_change_is_an_hour_longer_or_shorter(zone, before, opens_utc):
    assert DAY.opens_at([zone], at(before, zone)) == at(opens_utc)


def test_hours_that_begin_in_the_hour_that_is_skipped_begin_right_after_it():
    hours = SendingHours.parse("2:30-21:00")
    opens = hours.opens_at([NEW_YORK], at("2026-03-08 00:00", NEW_YORK))
    assert opens.astimezone(NEW_YORK).isoformat() == "2026-03-08T03:30:00-04:00"


def test_it_has_to_be_open_wherever_the_recipient_may_be():
    zones = [NEW_YORK, ZoneInfo("Pacific/Honolulu")]
    assert not DAY.open(zones, at("2026-11-10 09:00", NEW_YORK))
    assert DAY.opens_at(zones, at("2026-11-10 09:00", NEW_YORK)) == at("2026-11-10 08:00", zones[1])
    assert DAY.closes_at(zones, at("2026-11-10 08:00", zones[1])) == at("2026-11-10 21:00", NEW_YORK)


def test_places_that_are_never_open_at_once_have_no_opening():
    zones = [LONDON, AUCKLAND]
    assert SendingHours.parse("9:00-17:00").opens_at(zones, at("2026-11-10 09:00")) is None


def test_always_is_always():
    always = SendingHours.parse("0:00-24:00")
    assert always.open([NEW_YORK], at("2026-11-10 03:00"))
    assert always.closes_at([NEW_YORK], at("2026-11-10 03:00")) is None


def test_up_to_midnight():
    hours = SendingHours.parse("8:00-24:00")
    assert hours.closes_at([LONDON], at("2026-11-10 09:00")) == at("2026-11-11 00:00")


@pytest.mark.parametrize(
    "text", ["", "8-21", "21:00-8:00", "8:00-8:00", "24:00-24:00", "8:60-21:00", "8:00-25:00", "８:00-21:00", "8:00"]
)
def test_what_is_no_span_of_one_day_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the settings say the sentence
        SendingHours.parse(text)


YEAR = datetime(2026, 1, 1), datetime(2027, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
zones = st.sampled_from([NEW_YORK, LONDON, KOLKATA, AUCKLAND, ZoneInfo("Pacific/Honolulu"), ZoneInfo("Asia/Kathmandu")])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(zones, min_size=1, max_size=3),
    st.datetimes(*YEAR, timezones=st.just(UTC)),
)
def test_an_opening_is_open_and_nothing_before_it_is(places, now):
    opens = DAY.opens_at(places, now)
    if opens is None:
        return
    assert DAY.open(places, opens)
    quarters = [now + n * timedelta(minutes=15) for n in range(int((opens - now) / timedelta(minutes=15)) + 1)]
    assert not any(DAY.open(places, moment) for moment in quarters if moment < opens)
    closes = DAY.closes_at(places, opens)
    minutes = [opens + n * timedelta(minutes=15) for n in range(60)]
    assert all(DAY.open(places, earlier) for earlier, _ in pairwise([m for m in minutes if m < closes]))
    assert not DAY.open(places, closes)
