"""Thresholds that adapt: ``lowest 20%`` or ``highest 5000`` of a window's customers, and the number that this becomes.

The customers with a value of the field stand in order. ``lowest 20%`` passes by the first fifth of them, rounded down;
its number is the value of the next customer. Below the number are at most a fifth: customers who tie with the next one
are not below it. ``highest`` counts from the other end. A customer without a value is in no share.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

MOST_CUSTOMERS = 10**9
FORMS = "lowest 20%, highest 10% or lowest 5000"
_FORM = re.compile(r"(lowest|highest)\s+([0-9]{1,10})(\.[0-9]{1,10})?\s*(%?)")
_MEANT = re.compile(r"lowest\b.*|highest\b.*|.*%")
"""What is no number, and close enough to a share that its error should speak of shares."""


class Side(StrEnum):
    """From which end the customers are counted."""

    LOWEST = "lowest"
    HIGHEST = "highest"


@dataclass(frozen=True)
class Relative:
    """A share of the customers in percent, or a number of customers."""

    side: Side
    amount: Decimal
    is_share: bool

    @property
    def text(self) -> str:
        """As an operator writes it, such as *lowest 20%*."""
        return f"{self.side} {self.amount.normalize():f}{'%' if self.is_share else ''}"

    def asked(self, known: int) -> int:
        """How many customers it asks for at most, if ``known`` have a value."""
        return int(known * Fraction(self.amount) // 100) if self.is_share else min(int(self.amount), known)


@dataclass(frozen=True)
class Resolved:
    """What a share became in one window. ``number``: the value of the next customer, exactly."""

    number: Fraction
    known: int
    """Customers with a value of the field."""
    asked: int
    """Customers that the share asks for at most."""
    within: int
    """Customers before the number, counted from the share's side."""
    ties: int
    """Customers at the number."""

    @property
    def exact(self) -> Decimal | Fraction:
        """The number, as a decimal if it has an end."""
        return as_decimal(self.number)

    def to_json(self) -> dict[str, Any]:
        """As the campaign's row keeps it."""
        shown = self.exact
        number = f"{shown:f}" if isinstance(shown, Decimal) else str(shown)
        return {
            "number": number,
            "known": self.known,
            "asked": self.asked,
            "within": self.within,
            "ties": self.ties,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Resolved:
        """Read what a campaign's row keeps."""
        return cls(Fraction(kept["number"]), kept["known"], kept["asked"], kept["within"], kept["ties"])


def is_meant(text: str) -> bool:
    """Whether a text means a share or a number of customers, right or wrong."""
    return _MEANT.fullmatch(text.strip().lower()) is not None


def read(text: str) -> Relative:
    """The share or number of customers that a text means. Case and spaces do not matter.

    Raises:
        ValueError: what is wrong with it, and what is allowed.
    """
    plain = text.strip().lower()
    parts = _FORM.fullmatch(plain)
    if not parts:
        raise ValueError(_wrong(plain))
    side, whole, decimals, percent = Side(parts[1]), parts[2], parts[3] or "", parts[4]
    amount = Decimal(whole + decimals)
    if percent and (not 0 < amount <= 100 or len(decimals) > 3):
        raise ValueError(
            f"{whole}{decimals}% is no share; a share is more than 0% and at most 100%, with at most 2 decimals"
        )
    if not percent and (decimals or not 1 <= amount <= MOST_CUSTOMERS):
        raise ValueError(
            f"{whole}{decimals} is no number of customers; write a whole number from 1 to {MOST_CUSTOMERS}, "
            "or a share such as 20%"
        )
    return Relative(side, amount, bool(percent))


def as_decimal(number: Fraction) -> Decimal | Fraction:
    """A number as a decimal if it has an end, such as 0.125; else itself, such as 1/3."""
    shown = Decimal(number.numerator) / Decimal(number.denominator)
    return shown if Fraction(shown) == number else number


def _wrong(plain: str) -> str:
    shown = repr(plain if len(plain) <= 40 else plain[:37] + "...")
    if not re.match(r"(lowest|highest)\b", plain):
        return f"{shown} does not start with lowest or highest"
    if plain in set(Side):
        return f"{shown} lacks a share or a number of customers"
    return f"{shown} has no plain share or number of customers"
