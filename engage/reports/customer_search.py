"""Finds customers by id, by words of the name, or by the last digits of the phone. What was typed is in no error.

A user types one text. It may be a phone number, so neither an address nor a log may hold it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from engage import parsing
from engage.errors import InputError, NoSuchCustomer
from engage.storage.schema import NAME_WORDS, REVERSED_PHONE, customer
from engage.texts.phone import masked

LIMIT = 25
"""Customers that a search shows."""
LEAST_DIGITS, MOST_DIGITS = 4, 6
"""How many of a phone's last digits a user may type who may not read full numbers."""
MAX_WORDS = 6
WHAT = "Type a customer's id, a name, or the last 4 to 6 digits of the phone."
_NUMBER_LIKE = re.compile(r"[0-9 ()+./–-]+")


@dataclass(frozen=True)
class Match:
    """A customer whom a search has found. The phone is masked."""

    customer_id: int
    name: str | None
    phone: str
    by: str
    """What has matched: the id, the name or the phone."""


@dataclass(frozen=True)
class Found:
    """The customers whom a search has found. ``more``: there are others."""

    matches: list[Match]
    more: bool = False


def has_full_phone(text: str) -> bool:
    """Whether a text has so many digits that it may be a whole phone number."""
    return bool(_NUMBER_LIKE.fullmatch(text.strip())) and len(_digits(text)) > MOST_DIGITS


def search(conn: sa.Connection, text: str, *, full_phone: bool) -> Found:
    """The customers that a typed text may mean, at most ``LIMIT``.

    ``full_phone``: whether the user may search by more digits of a phone than ``MOST_DIGITS``.

    Raises:
        InputError: the text is empty, or it is a full phone number, which the user may not search by.
        NoSuchCustomer: none is found. The error does not repeat the text.
    """
    text = text.strip()
    if not text or not text.isprintable():
        raise InputError(WHAT)
    if _NUMBER_LIKE.fullmatch(text):
        return _by_number(conn, text, full_phone=full_phone)
    rows = conn.execute(named(text)).all()
    if not rows:
        raise NoSuchCustomer("No customer has a name with these words.")
    ordered = sorted(rows[:LIMIT], key=lambda row: ((row.name or "").casefold(), row.customer_id))
    return Found(_rows(ordered, "name"), more=len(rows) > LIMIT)


def _by_number(conn: sa.Connection, text: str, *, full_phone: bool) -> Found:
    digits = _digits(text)
    by_phone = len(digits) >= LEAST_DIGITS and (full_phone or len(digits) <= MOST_DIGITS)
    by_id = _with_id(conn, text)
    rows = conn.execute(with_digits(digits)).all() if by_phone and digits.strip("0") else []
    known = {row.customer_id for row in by_id}
    found = _rows(by_id, "id") + [one for one in _rows(rows, "phone") if one.customer_id not in known]
    if found:
        return Found(found[:LIMIT], more=len(found) > LIMIT)
    if by_phone:
        raise NoSuchCustomer("No customer has this id or this phone.")
    raise NoSuchCustomer(f"No customer has this id. To search by phone, type its last {LEAST_DIGITS} to {MOST_DIGITS} "
                         "digits.")  # fmt: skip


def _with_id(conn: sa.Connection, text: str) -> Sequence[sa.Row[Any]]:
    try:
        wanted = parsing.customer_id(text)
    except InputError:
        return []
    return conn.execute(_customers().where(customer.c.customer_id == wanted)).all()


def with_digits(digits: str) -> sa.Select[Any]:
    """The customers whose phone ends in these digits, one more than are shown.

    Within its country a full number may begin with a 0 that its international form lacks.
    """
    wanted = digits.lstrip("0") if len(digits) > MOST_DIGITS else digits
    return _customers().where(REVERSED_PHONE.like(wanted[::-1] + "%")).order_by(REVERSED_PHONE).limit(LIMIT + 1)


def named(text: str) -> sa.Select[Any]:
    """The customers with words in their name that begin as those of ``text``, one more than are shown.

    Of a common name any come, as to sort a hundred thousand would take long.

    Raises:
        InputError: the text has no word.
    """
    words = re.findall(r"\w+", text)[:MAX_WORDS]
    if not words:
        raise InputError(WHAT)
    wanted = " & ".join(f"({' | '.join(_spellings(word))})" for word in words)
    query = sa.func.to_tsquery(sa.literal_column("'simple'"), wanted)
    return _customers().where(NAME_WORDS.op("@@")(query)).limit(LIMIT + 1)


def _spellings(word: str) -> list[str]:
    """A word in small and capital letters: not every database knows those of all alphabets."""
    return [f"'{one}':*" for one in dict.fromkeys((word, word.lower(), word.capitalize(), word.upper()))]


def _customers() -> sa.Select[Any]:
    return sa.select(customer.c.customer_id, customer.c.name, customer.c.phone)


def _rows(rows: Sequence[sa.Row[Any]], by: str) -> list[Match]:
    return [Match(row.customer_id, row.name, masked(row.phone), by) for row in rows]


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)
