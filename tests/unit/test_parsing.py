"""Each form of a number, an id, a time and a zone has one reader with one answer, on every version of Python."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from engage import parsing, settings
from engage.errors import InputError, SettingsError, WindowError
from engage.window import Window

NO_PLAIN_DIGITS = ["", " ", "1_000", "+1", " 1", "1 ", "1\n", "５", "٣", "1.", ".5", "0x10", "1,5", "NaN", "inf", "²"]


@pytest.mark.parametrize("text", [*NO_PLAIN_DIGITS, "1.0", "1e3", "0", "-0", "01", "9" * 19, "9" * 5000])
def test_what_is_no_id_is_refused(text):
    with pytest.raises(InputError, match="not a customer's id"):
        parsing.customer_id(text)


def test_ids():
    assert parsing.customer_id("4711") == 4711
    assert parsing.customer_id(str(parsing.MAX_CUSTOMER_ID)) == parsing.MAX_CUSTOMER_ID
    assert parsing.customer_id("-5") == -5
    with pytest.raises(InputError):
        parsing.customer_id("-5", least=1)
    with pytest.raises(InputError):
        parsing.customer_id(str(parsing.MAX_CUSTOMER_ID + 1))


@pytest.mark.parametrize("text", [*NO_PLAIN_DIGITS, "0e1000000000", "1e1000", "1e", "--1"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InputError, match="not a number"):
        parsing.number(text)


def test_numbers():
    assert parsing.number("99.95") == Decimal("99.95")
    assert parsing.number("1e2") == 100


@pytest.mark.parametrize("value", ["５", "0e1000000000", "١٢", "1_000", "+5"])
@pytest.mark.parametrize("name", ["low_spend_threshold", "high_activity_threshold", "send_within_days"])
def test_no_setting_takes_another_form(name, value):
    with pytest.raises(SettingsError, match=name):
        settings.validate({name: value})


@pytest.mark.parametrize(
    "text",
    [
        "2026-09-14T12:30:00+00:90",
        "2026-09-14T12:30:00+24:00",
        "2026-09-14T24:00:00Z",
        "2026-09-14T23:59:60Z",
        "2026-09-14T23:60:00Z",
        "2026-02-30T00:00:00Z",
        "2026-09-14",
        "20260914T123000Z",
        "2026-W38-1T12:30:00Z",
        "2026-09-14T12:30Z",
        "2026-09-14T12:30:00+0000",
        "2026-09-14T12:30:00,5Z",
        "２026-09-14T12:30:00Z",
        "2026-09-14T12:30:00Z ",
        "1999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(InputError, match="RFC 3339"):
        parsing.moment(text)


@pytest.mark.parametrize(
    "text",
    ["2026-09-14T12:30:00Z", "2026-09-14t12:30:00z", "2026-09-14 12:30:00", "2026-09-14T14:30:00+02:00",
     "2026-09-14T12:00:00.000000999-00:30"],
)  # fmt: skip
def test_moments(text):
    assert parsing.moment(text) == datetime(2026, 9, 14, 12, 30, tzinfo=UTC)


def test_the_usual_form_of_a_time_is_read_as_the_others_are():
    draw = random.Random(1)
    for digits in range(7):
        for _ in range(200):
            micro = draw.randrange(10**digits) * 10 ** (6 - digits)
            at = parsing.EARLIEST + timedelta(seconds=draw.randrange(10**10), microseconds=micro)
            text = f"{at:%Y-%m-%dT%H:%M:%S}" + f".{at:%f}"[: digits and digits + 1]
            found = parsing.moment(f"{text}Z")
            assert found == parsing.moment(f"{text}+00:00") == at
            assert found.tzinfo is UTC


@pytest.mark.parametrize("text", ["2026-W06-1", "2026-02-02T24:00:00", "2026-02-02T00:00:00+00:90", "２０２６-02-02"])
def test_no_window_is_named_in_another_form(text):
    with pytest.raises(WindowError, match="not a date"):
        Window.named(text, datetime(2026, 11, 10, tzinfo=UTC))


@pytest.mark.parametrize("name", ["localtime", "Factory", "", "America", "america/new_york", "EST6EDT ", "../etc"])
def test_what_is_no_zone_is_refused(name):
    with pytest.raises(InputError, match="time zone"):
        parsing.time_zone(name)
    assert parsing.time_zone("America/New_York") == "America/New_York"
