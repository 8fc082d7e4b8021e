"""Numbers, shares, money, dates and durations read as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from engage import formats
from engage.currency import currency
from engage.errors import InputError

AT = datetime(2026, 11, 26, 14, 8, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12345, "12,345"), (-3, "−3"), (5.0, "5"), (5.625, "5.625"), (Decimal("150.50"), "150.5"), (None, "–"),
     (1000000, "1,000,000"), (100, "100"), (Decimal("5.0"), "5")],
)  # fmt: skip
def test_a_number_has_thousands_separators_and_a_real_minus(value, text):
    assert formats.number(value) == text


def test_a_number_with_decimals_rounds_half_up():
    assert (formats.number(0.25, 1), formats.number(-0.25, 1), formats.number(-0.04, 1)) == ("0.3", "−0.3", "0.0")


@pytest.mark.parametrize(("value", "text"), [(2881, "+2,881"), (-2881, "−2,881"), (0, "–"), (None, "–")])
def test_a_change_has_a_sign(value, text):
    assert formats.signed(value) == text


def test_a_change_that_rounds_to_nothing_is_none():
    assert formats.signed(0.04, "%", 1) == "–"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(1, 3, "33.3%"), (0, 3, "0.0%"), (3, 3, "100.0%"), (1, 100_000, "<0.1%"), (99_999, 100_000, ">99.9%"),
     (0, 0, "–"), (1, None, "–"), (None, 3, "–")],
)  # fmt: skip
def test_only_nothing_is_no_share_and_only_all_is_the_whole(part, whole, text):
    assert formats.share(part, whole) == text


def test_shares_differ_in_points_and_counts_in_percent():
    assert formats.points(9.5, 10.9) == "+1.4 points"
    assert formats.points(None, 10.9) == "–"
    assert formats.change(16, 4) == "−75.0%"
    assert formats.change(0, 4) == "–"


def test_money_has_its_currency():
    assert formats.money(1234.5, "USD") == "$1,234.50"
    assert formats.money("-3", "EUR") == "−€3.00"
    assert formats.money(Decimal(12), "CHF") == "CHF\N{NO-BREAK SPACE}12.00"
    assert formats.money(None, "USD") == "–"
    assert formats.cents(3897, "USD") == "$38.97"


def test_a_price_keeps_its_decimals_and_a_threshold_drops_empty_cents():
    assert (formats.price(0.0079, "USD"), formats.price(1, "USD")) == ("$0.0079", "$1.00")
    assert (formats.threshold(100, "USD"), formats.threshold(150.5, "USD")) == ("$100", "$150.50")


def test_a_count_has_the_right_noun():
    counts = [formats.counted(count, "message") for count in (0, 1, 5004)]
    assert counts == ["0 messages", "1 message", "5,004 messages"]
    assert formats.counted(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize("value", [AT, "2026-11-26T14:08:02+00:00", "2026-11-26T15:08:02+01:00", "2026-11-26T14:08:02"])
def test_a_time_may_be_text_and_is_shown_in_utc(value):
    assert formats.moment(value) == "26 Nov 2026, 14:08 UTC"
    assert formats.second(value) == "26 Nov 2026, 14:08:02 UTC"
    assert formats.clock(value) == "14:08:02 UTC"
    assert formats.day(value) == "26 Nov 2026"
    assert formats.iso(value) == "2026-11-26T14:08:02+00:00"
    assert formats.iso_day(value) == "2026-11-26"


def test_two_dates_name_a_year_once_unless_there_are_two():
    assert formats.days(date(2026, 9, 14), date(2026, 11, 9)) == "14 Sep – 9 Nov 2026"
    assert formats.days("2025-12-08", "2026-02-02") == "8 Dec 2025 – 2 Feb 2026"


def test_a_date_for_a_machine_has_no_time():
    assert formats.iso(date(2026, 9, 14)) == "2026-09-14"


@pytest.mark.parametrize(
    ("value", "text"),
    [(timedelta(days=38, hours=3), "38 days"), (timedelta(hours=46, minutes=12), "46 h 12 min"), (3600, "1 h"),
     (timedelta(days=2), "2 days"), (240, "4 min"), (23.4, "23 s"), (0.139, "0.14 s"), (0, "0 s"), (-90, "−1 min"),
     (None, "–")],
)  # fmt: skip
def test_a_duration_has_the_units_that_matter(value, text):
    assert formats.duration(value) == text


@pytest.mark.parametrize("code", ["usd", "US", "US1", "€€€"])
def test_a_currency_is_an_iso_code(monkeypatch, code):
    monkeypatch.setenv("ENGAGE_CURRENCY", code)
    with pytest.raises(InputError, match="takes an ISO 4217 code such as USD"):
        currency()


def test_without_a_currency_it_is_dollars(monkeypatch):
    monkeypatch.setenv("ENGAGE_CURRENCY", "")
    assert currency() == "USD"
