"""The fields that a rule may compare: each with its words, its unit, and what a missing value means.

The values are those of the table ``customer_activity``: about one customer in one window. A time counts in whole days
before the window's end, rounded down. A customer who never bought did so longer ago than any number of days. Any other
missing value makes every comparison with it false.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Any

from engage.window import WEEKS

DAY = timedelta(days=1)
NEVER = Fraction(10**12)
"""Days ago of what never happened. It is beyond every number that a rule may name."""


class Unit(StrEnum):
    """What a field's number counts."""

    AMOUNT = "amount"
    """In the installation's currency, with at most 2 decimals."""
    NUMBER = "number"
    DAYS = "days"
    PERCENT = "percent"
    SCORE = "score"
    """From 0 to 1."""
    SEGMENT = "segment"
    """The name of a segment."""


@dataclass(frozen=True)
class Field:
    """A field of a rule. ``words``: how a sentence names it; ``never``: how a sentence says that it never happened."""

    name: str
    label: str
    words: str
    unit: Unit
    column: str = ""
    """The column of ``customer_activity`` that holds it; empty if it is a quotient of others."""
    missing: str = ""
    """What it means that a customer has no such value, for the docs and pages; empty if each customer has one."""
    never: str = ""
    reaches_back: bool = False
    """Whether it needs the campaign of the window before."""
    adds_up: bool = False
    """Whether it is a sum of several windows."""
    one: str = ""
    """How a sentence names a number of 1."""
    real: bool = False
    """Whether the column is a double, with which a number is compared as the nearest double."""

    @property
    def ordered(self) -> bool:
        """Whether ``<`` and its like are allowed."""
        return self.unit is not Unit.SEGMENT


_NEVER = "longer ago than any number of days"
_NO = "no comparison with it holds"
_EARLIER = f"computed by an earlier version: {_NO}"
_UNSCORED = f"no return score was in use: {_NO}"

RETURN_FIELDS = ("return_score", "return_percentile")
"""The fields that need a return score in use."""

FIELDS = {
    field.name: field
    for field in (
        Field("total_spend", "Spend", "spend", Unit.AMOUNT, "total_spend_cents"),
        Field(
            "avg_weekly_sessions", "Sessions a week", "sessions a week", Unit.NUMBER, "sessions", one="session a week"
        ),
        Field("sessions", "Sessions", "sessions", Unit.NUMBER, "sessions", one="session"),
        Field("purchases", "Purchases", "purchases", Unit.NUMBER, "purchases", one="purchase"),
        Field(
            "average_purchase",
            "Average purchase",
            "average purchase",
            Unit.AMOUNT,
            missing=f"no purchase in the window: {_NO}",
        ),
        Field(
            "days_since_last_purchase",
            "Days since the last purchase",
            "last purchase",
            Unit.DAYS,
            "last_purchase_at",
            missing=f"no purchase is known: {_NEVER}",
            never="no purchase is known",
            reaches_back=True,
        ),
        Field(
            "days_since_last_session",
            "Days since the last session",
            "last session",
            Unit.DAYS,
            "last_session_at",
            missing=f"no session is known: {_NEVER}",
            never="no session is known",
            reaches_back=True,
        ),
        Field(
            "days_since_first_purchase",
            "Days since the first purchase",
            "first purchase",
            Unit.DAYS,
            "first_purchase_at",
            missing=f"no purchase is known: {_NEVER}",
            never="no purchase is known",
            reaches_back=True,
        ),
        Field(
            "days_since_registered",
            "Days since the registration",
            "registration",
            Unit.DAYS,
            "registered_at",
            missing=f"computed by an earlier version: {_NEVER}",
            never="registration unknown",
        ),
        Field("viewed", "Items viewed", "views", Unit.NUMBER, "viewed", one="view"),
        Field("liked", "Items liked", "likes", Unit.NUMBER, "liked", one="like"),
        Field(
            "added_to_basket",
            "Items put in the basket",
            "items put in the basket",
            Unit.NUMBER,
            "added_to_basket",
            one="item put in the basket",
        ),
        Field(
            "previous_segment",
            "Segment of the window before",
            "segment of the window before",
            Unit.SEGMENT,
            "previous_segment",
            missing=f"not in the window before: {_NO}",
            reaches_back=True,
        ),
        Field(
            "previous_total_spend",
            "Spend of the window before",
            "spend of the window before",
            Unit.AMOUNT,
            "previous_total_spend_cents",
            missing=f"not in the window before: {_NO}",
            reaches_back=True,
        ),
        Field(
            "spend_change",
            "Change of spend, in percent",
            "change of spend",
            Unit.PERCENT,
            missing=f"no spend in the window before: {_NO}",
            reaches_back=True,
        ),
        Field(
            "purchases_to_date",
            "Purchases to date",
            "purchases to date",
            Unit.NUMBER,
            "purchases_to_date",
            missing=_EARLIER,
            reaches_back=True,
            adds_up=True,
            one="purchase to date",
        ),
        Field(
            "spend_last_3_windows",
            "Spend of the last 3 windows",
            "spend of the last 3 windows",
            Unit.AMOUNT,
            "spend_3_windows_cents",
            missing=_EARLIER,
            reaches_back=True,
            adds_up=True,
        ),
        Field(
            "sessions_last_3_windows",
            "Sessions of the last 3 windows",
            "sessions in the last 3 windows",
            Unit.NUMBER,
            "sessions_3_windows",
            missing=_EARLIER,
            reaches_back=True,
            adds_up=True,
            one="session in the last 3 windows",
        ),
        Field(
            "windows_active",
            "Windows with a session or a purchase",
            "windows with a session or a purchase",
            Unit.NUMBER,
            "windows_active",
            missing=_EARLIER,
            reaches_back=True,
            adds_up=True,
            one="window with a session or a purchase",
        ),
        Field(
            "return_score",
            "Return score, 0 to 1",
            "return score",
            Unit.SCORE,
            "return_score",
            missing=_UNSCORED,
            real=True,
        ),
        Field(
            "return_percentile",
            "Return percentile, in percent",
            "return percentile",
            Unit.PERCENT,
            "return_percentile",
            missing=_UNSCORED,
            real=True,
        ),
    )
}


def markdown_table() -> str:
    """The fields as a table for docs/segments.md."""
    lines = ["| field | what it is | without a value |", "|---|---|---|"]
    lines += [f"| `{one.name}` | {one.label} | {one.missing} |" for one in FIELDS.values()]
    return "\n".join(lines)


def value(field: Field, row: Mapping[str, Any], window_end: datetime) -> Fraction | str | None:
    """A field's value for one row of ``customer_activity``; None if the customer has none."""
    match field.name:
        case "average_purchase":
            return Fraction(row["total_spend_cents"], 100 * row["purchases"]) if row["purchases"] else None
        case "spend_change":
            before = row["previous_total_spend_cents"]
            return Fraction(100 * (row["total_spend_cents"] - before), before) if before else None
        case "avg_weekly_sessions":
            return Fraction(row["sessions"], WEEKS)
    found = row[field.column]
    if field.unit is Unit.DAYS:
        return NEVER if found is None else Fraction((window_end - found) // DAY)
    if found is None or field.unit is Unit.SEGMENT:
        return None if found is None else str(found)
    return Fraction(found) / (100 if field.unit is Unit.AMOUNT else 1)
