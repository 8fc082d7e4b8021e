"""Numbers, shares, money, dates and durations as people read them. Templates have each function as a filter."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

NOTHING = "–"
"""Stands for a value that does not exist, which is never shown as 0."""
MINUS = "−"
"""The sign of a negative number, as wide as a digit. A hyphen looks like a dash before the number."""
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CAD": "CA$", "AUD": "A$", "NZD": "NZ$", "INR": "₹", "BRL": "R$"}
"""The symbols of common currencies, by ISO 4217 code. Other amounts show the code."""
FINEST = 6
"""Most decimals of a price."""

Number = int | float | Decimal
Moment = datetime | str
"""A time, or its ISO 8601 text. A time without a zone is UTC."""


def number(value: Number | None, decimals: int | None = None) -> str:
    """A number with thousands separators, such as 12,345 or −0.5. Without ``decimals`` it shows those that it has."""
    if value is None:
        return NOTHING
    size = _size(value)
    text = f"{size:,}" if decimals is None else f"{_rounded(size, decimals):,.{decimals}f}"
    if decimals is None and "." in text and "e" not in text.lower():
        text = text.rstrip("0").rstrip(".")
    return _negative(value, text) + text


def signed(value: Number | None, unit: str = "", decimals: int | None = None) -> str:
    """A change with its sign and unit, such as +2,881 or −0.1 points; a dash for no change."""
    if value is None:
        return NOTHING
    text = number(_size(value), decimals)
    if not any(digit in text for digit in "123456789"):
        return NOTHING
    return f"{'+' if value > 0 else MINUS}{text}{unit}"


def share(part: Number | None, whole: Number | None) -> str:
    """A part in percent of the whole, such as 9.5%, or a dash without a whole. Only nothing is 0.0%, and only all is
    100.0%."""
    if part is None or not whole:
        return NOTHING
    percent = 100 * _exact(part) / _exact(whole)
    if 0 < percent < Decimal("0.05"):
        return "<0.1%"
    if Decimal("99.95") <= percent < 100:
        return ">99.9%"
    return number(percent, 1) + "%"


def points(before: Number | None, after: Number | None) -> str:
    """The difference of two shares in percentage points, such as +1.4 points. Shares are given in percent."""
    return NOTHING if before is None or after is None else signed(_exact(after) - _exact(before), " points", 1)


def change(before: Number | None, after: Number | None) -> str:
    """The difference of two counts in percent of the first, such as −25.0%; a dash without a first."""
    if not before or after is None:
        return NOTHING
    return signed(100 * (_exact(after) - _exact(before)) / _exact(before), "%", 1)


def money(value: Number | str | None, currency: str) -> str:
    """An amount with its currency, such as $1,234.50 or CHF 12.00; also from its digits as text."""
    if value is None:
        return NOTHING
    exact = _exact(value)
    return _with_currency(exact, f"{_rounded(abs(exact), 2):,.2f}", currency)


def cents(value: int | None, currency: str) -> str:
    """An amount of whole cents with its currency."""
    return NOTHING if value is None else money(Decimal(value) / 100, currency)


def price(value: Number | None, currency: str) -> str:
    """The price of one thing with its currency and all its decimals, such as $0.0079."""
    if value is None:
        return NOTHING
    exact = _rounded(_size(value), FINEST).normalize()
    decimals = max(2, -int(exact.as_tuple().exponent))
    return _with_currency(value, f"{exact:,.{decimals}f}", currency)


def threshold(value: Number | None, currency: str) -> str:
    """An amount with its currency, and with cents only if it has any, such as $100 or $150.50."""
    return money(value, currency).removesuffix(".00")


def counted(value: int | None, one: str, many: str | None = None) -> str:
    """A count with its noun, such as 1 message, 5,004 messages or 0 customers."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def day(value: Moment | date | None) -> str:
    """A date, such as 14 Sep 2026."""
    return NOTHING if value is None else "{0.day} {0:%b} {0.year}".format(_date(value))


def days(start: Moment | date, end: Moment | date) -> str:
    """Two dates, such as 14 Sep – 9 Nov 2026. The first year is left out if it is the second, too."""
    first, last = _date(start), _date(end)
    left = day(first) if first.year != last.year else f"{first.day} {first:%b}"
    return f"{left} – {day(last)}"


def moment(value: Moment | None) -> str:
    """A time to the minute, such as 26 Nov 2026, 14:08 UTC."""
    return NOTHING if value is None else f"{day(value)}, {_utc(value):%H:%M} UTC"


def second(value: Moment | None) -> str:
    """A time to the second, such as 26 Nov 2026, 14:08:02 UTC."""
    return NOTHING if value is None else f"{day(value)}, {_utc(value):%H:%M:%S} UTC"


def clock(value: Moment | None) -> str:
    """The time of the day, such as 14:08:02 UTC."""
    return NOTHING if value is None else f"{_utc(value):%H:%M:%S} UTC"


def iso(value: Moment | date) -> str:
    """A time or a date for a machine, such as 2026-11-26T14:08:02+00:00: the attribute ``datetime`` of ``<time>``."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return _utc(value).isoformat(timespec="seconds")


def iso_day(value: Moment | date) -> str:
    """A date for a machine, such as 2026-09-14: in an address, a hidden field or a file's name."""
    return _date(value).isoformat()


def duration(value: timedelta | Number | None) -> str:
    """A length of time, such as 38 days, 46 h 12 min, 4 min, 23 s or 0.14 s; a bare number is seconds."""
    if value is None:
        return NOTHING
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    size = abs(seconds)
    sign = MINUS if seconds < 0 else ""
    if size < 10:
        return f"{sign}{size:.0f} s" if size == int(size) else f"{sign}{size:.2f} s"
    if size < 60:
        return f"{sign}{size:.0f} s"
    minutes = int(size // 60)
    if minutes < 60:
        return f"{sign}{minutes} min"
    hours = minutes // 60
    if hours < 48:
        return f"{sign}{hours} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return sign + counted(hours // 24, "day")


def _exact(value: Number | str) -> Decimal:
    return Decimal(str(value))


def _size(value: Number) -> Number:
    return -value if value < 0 else value


def _rounded(value: Number, decimals: int) -> Decimal:
    """Half a unit rounds up, as people round."""
    return _exact(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def _negative(value: Number, text: str) -> str:
    return MINUS if value < 0 and any(digit in text for digit in "123456789") else ""


def _with_currency(value: Number, text: str, currency: str) -> str:
    symbol = SYMBOLS.get(currency) or f"{currency}\N{NO-BREAK SPACE}"
    return _negative(value, text) + symbol + text


def _utc(value: Moment | date) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day, tzinfo=UTC)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _date(value: Moment | date) -> date:
    return _utc(value).date()
