"""The numbers in a text, in digits or in English words, each with what it counts: percent, money or anything."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import NamedTuple

PERCENT, MONEY, ANYTHING = "percent", "money", ""
_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "dozen": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20, "twenty-five": 25, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100, "thousand": 1000, "million": 1_000_000,
    "half": 50, "third": 3, "quarter": 25, "double": 2, "twice": 2, "triple": 3,
}  # fmt: skip
_PERCENT_WORDS = {"half", "quarter"}
"""``half`` is 50 percent, a ``quarter`` 25. One is no number here: this one, one day."""
_NUMBER = re.compile(
    rf"""(?P<sign>[$€£¥]\s?)?
         (?: (?P<digits> \d+(?:[.,]\d+)* ) | (?P<word> \b(?:{"|".join(sorted(_WORDS, key=len, reverse=True))})\b ) )
         (?: (?P<percent> \s?% | [\s-]?per\s?cent\b )
           | (?P<money> \s?[$€£¥] | [\s-]?(?:dollars?|euros?|pounds?|bucks)\b ) )?""",
    re.VERBOSE | re.IGNORECASE,
)
_THOUSANDS = re.compile(r"\d{1,3}([.,]\d{3})+")


class Number(NamedTuple):
    """A number in a text, and how the text writes it."""

    value: Decimal
    counts: str
    written: str


def numbers(text: str) -> list[Number]:
    """The numbers in a text, in order. ``10%``, ``10 percent`` and ``ten percent`` are the same."""
    return [_read(found) for found in _NUMBER.finditer(unicodedata.normalize("NFKC", text))]


def unknown(text: str, known: str) -> list[str]:
    """The numbers of a text that ``known`` does not have, as the text writes them, each once.

    A number that counts nothing in particular may be any of ``known``; percent and money must be so there, too.
    """
    allowed = numbers(known)
    return list(
        dict.fromkeys(
            one.written
            for one in numbers(text)
            if not any(one.value == other.value and one.counts in {ANYTHING, other.counts} for other in allowed)
        )
    )


def _read(found: re.Match[str]) -> Number:
    word = (found["word"] or "").lower()
    value = Decimal(_WORDS[word]) if word else _value(found["digits"])
    money = found["sign"] or found["money"]
    counts = PERCENT if found["percent"] or word in _PERCENT_WORDS else MONEY if money else ANYTHING
    return Number(value, counts, found[0].strip())


def _value(digits: str) -> Decimal:
    if _THOUSANDS.fullmatch(digits):
        return Decimal(re.sub("[.,]", "", digits))
    *whole, last = re.split("[.,]", digits)
    return Decimal(f"{''.join(whole)}.{last}" if whole else last)
