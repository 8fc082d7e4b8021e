"""Reads numbers, ids, times, zones and JSON from outside: one strict form each, on every version of Python.

Python's own parsers take more, and each version takes something else: digits of other scripts, ``1_000``, an hour 24.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, NoReturn
from zoneinfo import available_timezones

from engage.errors import InputError

MAX_CUSTOMER_ID = 2**63 - 1
"""The largest bigint of Postgres."""
MAX_NOTE = 500
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
TIME_FORM = "a time such as 2026-09-14T12:30:00Z (RFC 3339; a time without a zone is UTC), from the year 2000 on"

_ID = re.compile(r"-?[1-9][0-9]{0,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?")
_DATE = r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
_DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_COMPACT_DAY = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_TIME = re.compile(
    _DATE + r"[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))?"
)
_USUAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")
"""The part of ``_TIME`` that Python's own parser reads alike in every version, and four times as fast."""
_NO_PLACE = {"Factory", "localtime"}
"""Names that mean the machine's own zone, or none."""


def customer_id(text: str, *, least: int = -MAX_CUSTOMER_ID) -> int:
    """A customer's id.

    Raises:
        InputError: not a whole number from ``least`` to ``MAX_CUSTOMER_ID`` in plain digits.
    """
    if _ID.fullmatch(text) and least <= (found := int(text)) <= MAX_CUSTOMER_ID:
        return found
    raise InputError(f"{text[:40]!r} is not a customer's id, which is a whole number such as 4711.")


def number(text: str) -> Decimal:
    """A decimal number in plain digits.

    Raises:
        InputError: anything else, such as ``NaN``, ``1,5``, an exponent of four digits, or digits of another script.
    """
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    raise InputError(f"{text[:40]!r} is not a number in plain digits, such as 120 or 99.95.")


def json_text(text: str, most: int) -> Any:
    """What a JSON text of at most ``most`` characters holds. Its numbers are floats, however many digits they have.

    Raises:
        InputError: it is longer, no JSON, nested too deeply, or has a key twice in one object.
    """
    if len(text) > most:
        raise InputError(f"it has {len(text):,} characters, and {most:,} are allowed")
    try:
        found = json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_constant, parse_int=float)
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise InputError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise InputError("it has a half of a character, such as \\ud800 alone") from None
    except json.JSONDecodeError as exc:
        raise InputError(f"it is no JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}") from None
    return found


def _no_constant(text: str) -> NoReturn:
    raise InputError(f"{text} is no value")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise InputError(f"the key {twin[:40]!r} stands twice in one object")
    return found


def instant(text: str) -> datetime:
    """The time in UTC of RFC 3339 text; digits after the microsecond are cut off.

    Raises:
        InputError: another form, or a time that no clock shows.
        OverflowError: in UTC the time lies outside the calendar.
    """
    try:
        if _USUAL_TIME.fullmatch(text):
            return datetime.fromisoformat(text)
        if match := _TIME.fullmatch(text):
            return _assembled(*match.groups())
    except ValueError:
        pass
    raise InputError(f"{text[:40]!r} is not {TIME_FORM}.")


def _assembled(*groups: Any) -> datetime:
    """The time of the groups of ``_TIME``."""
    *parts, fraction, sign, hours, minutes = groups
    year, month, of_month, hour, minute, second = map(int, parts)
    micro = int((fraction or "")[:6].ljust(6, "0"))
    return datetime(year, month, of_month, hour, minute, second, micro, UTC) - _offset(sign, hours, minutes)


def moment(text: str) -> datetime:
    """The time of an event or a consent, as ``instant`` reads it.

    Raises:
        InputError: as of ``instant``, or a time before ``EARLIEST``.
    """
    try:
        found = instant(text)
    except OverflowError:
        found = datetime.min.replace(tzinfo=UTC)
    if found < EARLIEST:
        raise InputError(f"{text[:40]!r} is not {TIME_FORM}.")
    return found


def _offset(sign: str | None, hours: str, minutes: str) -> timedelta:
    if sign is None:
        return timedelta(0)
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError("no clock shows it")
    east = timedelta(hours=int(hours), minutes=int(minutes))
    return east if sign == "+" else -east


def day(text: str) -> datetime:
    """The start in UTC of a day that is written as YYYY-MM-DD or YYYYMMDD. Hand-typed dates may lack zeros: 2026-9-14.

    Raises:
        InputError: another form, or not a day of the calendar.
    """
    try:
        if match := _DAY.fullmatch(text) or _COMPACT_DAY.fullmatch(text):
            year, month, of_month = map(int, match.groups())
            return datetime(year, month, of_month, tzinfo=UTC)
    except ValueError:
        pass
    raise InputError(f"{text[:40]!r} is not a day such as 2026-09-14.")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_PLACE)


def time_zone(text: str) -> str:
    """The name of a time zone of the IANA database.

    Raises:
        InputError: unknown, or a name that means the machine's own zone.
    """
    if text in _zones():
        return text
    raise InputError(f"{text[:40]!r} is not an IANA time zone such as America/New_York.")


def note(text: str, what: str) -> str:
    """A line of text that is kept for the record, without blanks around it; ``what`` names it in the error.

    Raises:
        InputError: empty, too long, or with a character that cannot be shown, such as NUL or a lone surrogate.
    """
    line = text.strip()
    if 0 < len(line) <= MAX_NOTE and line.isprintable():
        return line
    raise InputError(
        f"{what} is {line[:40]!r}; it takes 1 to {MAX_NOTE} characters on one line, without control characters."
    )
