"""Values of a row as text, and their readers: ids, times, amounts. Each takes one form, and refuses the others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

from engage import parsing
from engage.errors import InputError
from engage.window import as_utc

BLANKS = {"", "NULL", "\\N"}
"""Texts of a missing value: NULL is what tools for SQL export, and \\N what COPY of Postgres does."""
TIME_FORM = "a day such as 2026-09-14, or a time such as 2026-09-14T12:30:00Z (without a zone it is UTC), from 2000 on"

_EXPONENT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+")
_SHORT_ZONE = re.compile(r"(?<=[0-9])[+-][0-9]{2}$")


class DecimalMark(StrEnum):
    """The character before the cents of an amount."""

    POINT = "point"
    COMMA = "comma"


def as_text(value: Any) -> str:
    """A value of JSON or Parquet as CSV would have it."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 2**53
        return str(int(value)) if whole else repr(value)
    if isinstance(value, datetime):
        value = as_utc(value).isoformat()
    if isinstance(value, Decimal):
        value = f"{value:f}"
    return str(value) if isinstance(value, str | int | date) else json.dumps(value, ensure_ascii=False, default=str)


def refuse_exponent(text: str) -> None:
    """Refuse the short form in which a spreadsheet shows a long number, because it has lost digits.

    Raises:
        InputError: the text is such a number.
    """
    if _EXPONENT.fullmatch(text):
        raise InputError(
            "It is in a spreadsheet's short form, such as 1.20E+10, which has lost digits. Format the column as text, "
            "and export it again."
        )


def customer_id(text: str) -> int:
    """A customer's id.

    Raises:
        InputError: not a whole number from 1 on in plain digits.
    """
    try:
        return parsing.customer_id(text, least=1)
    except InputError:
        refuse_exponent(text)
        raise InputError("It takes a whole number from 1 on in plain digits, such as 4711.") from None


@lru_cache(10_000)
def moment(text: str) -> datetime:
    """A time, or the start of a day. The days of a file repeat, so the last ones are kept.

    Raises:
        InputError: another form, or before the year 2000.
    """
    try:
        if len(text) > 10:
            short = _SHORT_ZONE.search(text, 11)
            return parsing.moment(f"{text}:00" if short else text)
        found = parsing.day(text)
    except InputError:
        found = None
    if found is None or found < parsing.EARLIEST:
        raise InputError(f"It takes {TIME_FORM}.")
    return found


def decimal_mark(texts: Iterable[str]) -> DecimalMark | None:
    """The decimal mark of a column, from some of its amounts; None if they have none.

    Raises:
        InputError: some amounts have a comma and others a point, or all could be read in both ways, such as 1,234.
    """
    found: dict[DecimalMark, str] = {}
    unclear = ""
    for text in texts:
        if mark := _shows(text):
            found.setdefault(mark, text)
        elif _UNCLEAR.fullmatch(text):
            unclear = unclear or text
    if len(found) == 2:
        raise InputError(
            f"has {found[DecimalMark.POINT]} and also {found[DecimalMark.COMMA]}, so it is not clear which mark stands "
            "before the cents. Name it with --decimal point or --decimal comma. Rows with the other one are rejected."
        )
    if unclear and not found:
        raise InputError(
            f"has {unclear}, which may be a thousand or one with three decimals. Say with --decimal point or --decimal "
            "comma which mark stands before the cents."
        )
    return next(iter(found), None)


_WHOLE = r"[0-9]{1,11}"
_FORMS = {
    DecimalMark.POINT: re.compile(rf"(?:({_WHOLE})|([1-9][0-9]{{0,2}}(?:,[0-9]{{3}}){{1,4}}))(?:\.([0-9]{{1,2}})0*)?"),
    DecimalMark.COMMA: re.compile(rf"(?:({_WHOLE})|([1-9][0-9]{{0,2}}(?:\.[0-9]{{3}}){{1,4}}))(?:,([0-9]{{1,2}})0*)?"),
}
_UNCLEAR = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
_MARKS = {".": DecimalMark.POINT, ",": DecimalMark.COMMA}
_OTHER = {DecimalMark.POINT: DecimalMark.COMMA, DecimalMark.COMMA: DecimalMark.POINT}


def _shows(text: str) -> DecimalMark | None:
    """The decimal mark that an amount shows: the last of two marks, the other of a repeated one, or not 3 digits."""
    marks = [character for character in text if character in _MARKS]
    if not marks or not text.replace(".", "").replace(",", "").isdigit():
        return None
    last = _MARKS[marks[-1]]
    if len(set(marks)) == 2:
        return last
    if len(marks) > 1:
        return _OTHER[last]
    return None if _UNCLEAR.fullmatch(text) else last


def cents(text: str, mark: DecimalMark | None, most: int) -> int:
    """An amount in cents, at most ``most``. Without a mark it has no cents.

    Raises:
        InputError: another form, or too large.
    """
    match = _FORMS[mark or DecimalMark.POINT].fullmatch(text)
    if match is None or (mark is None and not match[1]) or (mark is None and match[3]):
        refuse_exponent(text)
        raise InputError(_amount_form(text, mark))
    whole = match[1] or re.sub("[.,]", "", match[2])
    found = int(whole) * 100 + int((match[3] or "0").ljust(2, "0"))
    if found > most:
        raise InputError(f"The largest amount is {most // 100}.00.")
    return found


def _amount_form(text: str, mark: DecimalMark | None) -> str:
    if mark is None and _shows(text):
        return "The first rows of the column have no decimals, so it is not clear what its marks mean. Use --decimal."
    if text.startswith("-"):
        return "An amount is not negative."
    example = "12,50" if mark is DecimalMark.COMMA else "12.50"
    return f"It takes an amount such as {example}, without a currency."
