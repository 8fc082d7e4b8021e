"""Readers of the values of a file's customers: each takes the text of a row's column."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from engage import parsing
from engage.errors import InputError
from engage.imports import copy_format as pack
from engage.imports import values
from engage.imports.encoding import is_whole
from engage.texts import names, phone

MAX_CONSENT_SKEW = timedelta(minutes=5)
"""How far the clock may be ahead that dated a consent, as in the HTTP service."""
_MAX_SOURCE, _MAX_WORDING = 200, 2000
_KEPT = 10_000
"""The last values that are kept of a field that has the same value in many rows."""
_LOST = "A character was lost (�) when the file was made. Write the value anew."


def readers(country: str | None, as_of: datetime) -> dict[str, Callable[[str], Any]]:
    """How to read the text of each field: ids, names and phones to a value or None, and others to a value of COPY.

    A reader raises an InputError if the text is not right.
    """
    latest = as_of + MAX_CONSENT_SKEW
    read: dict[str, Callable[[str], Any]] = {
        "customer_id": values.customer_id,
        "phone": partial(_phone, country=country),
        "name": _name,
        "first_name": _name,
        "last_name": _name,
    }
    repeating: dict[str, Callable[[str], bytes]] = {
        "locale": lambda text: pack.string(_locale(text)),
        "time_zone": lambda text: pack.string(_time_zone(text)),
        "registered_at": lambda text: pack.moment(values.moment(text)),
        "consent_at": lambda text: pack.moment(_consent_time(text, latest=latest)),
        "consent_source": lambda text: pack.string(_line(text, most=_MAX_SOURCE)),
        "consent_wording": lambda text: pack.string(_lines(text, most=_MAX_WORDING)),
        "consent_evidence": lambda text: pack.string(_lines(text, most=_MAX_WORDING)),
    }
    kept = {field: lru_cache(_KEPT)(_or_missing(one, pack.NULL)) for field, one in repeating.items()}
    return {field: _or_missing(one, None) for field, one in read.items()} | kept


def _or_missing(read: Callable[[str], Any], missing: Any) -> Callable[[str], Any]:
    """A reader that also takes the texts of a missing value."""

    def found(text: str) -> Any:
        text = text.strip()
        return missing if text in values.BLANKS else read(text)

    return found


def _phone(text: str, *, country: str | None) -> str:
    values.refuse_exponent(text)
    return phone.parse_any(text, country)


def _name(text: str) -> str:
    if len(text) > names.MAX_NAME:
        raise InputError(f"A name has at most {names.MAX_NAME} characters.")
    if text.isascii() and text.isprintable():
        return text
    if not is_whole(text):
        raise InputError(_LOST)
    return names.stored_form(text)


def _locale(text: str) -> str:
    if len(text) <= names.MAX_LOCALE and re.match(names.LOCALE, text):
        return text
    raise InputError("It takes a locale such as en-US.")


def _time_zone(text: str) -> str:
    try:
        return parsing.time_zone(text)
    except InputError:
        raise InputError("It takes an IANA time zone such as America/New_York.") from None


def _consent_time(text: str, *, latest: datetime) -> datetime:
    found = values.moment(text)
    if found > latest:
        raise InputError("The consent lies in the future. It takes the time at which the customer gave it.")
    return found


def _line(text: str, *, most: int) -> str:
    if not text.isprintable():
        raise InputError("It takes one line without control characters." if is_whole(text) else _LOST)
    return _lines(text, most=most)


def _lines(text: str, *, most: int) -> str:
    if not is_whole(text):
        raise InputError(_LOST)
    if len(text) > most or not text.replace("\r", "").replace("\n", "").replace("\t", "").isprintable():
        raise InputError(f"It takes at most {most:,} characters, and no control characters.")
    return text
