"""Says in words why a customer's return score is above or below that of the average customer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engage import formats
from engage.return_score.model import Model
from engage.window import WEEKS

SHOWN = 3
_DAY = timedelta(days=1)
_LONG = 3 * WEEKS
_LEAST = 0.005
"""By which a reason changes the logarithm of the odds at least: half a percent of them."""
_NEVER_BOUGHT, _NEVER_OPENED = "No purchase is known", "No session is known"

Amount = Callable[[int], str]
"""Writes an amount of cents."""


@dataclass(frozen=True)
class Reason:
    """What is known of the customer, and by how much it changes the logarithm of the odds."""

    words: str
    change: float

    @property
    def sentence(self) -> str:
        """Such as *Last purchase 140 days ago: lowers it.*"""
        return f"{self.words}: {'raises' if self.change > 0 else 'lowers'} it."


def reasons(model: Model, row: Mapping[str, Any], window_end: datetime, *, amount: Amount) -> list[Reason]:
    """The three reasons that count most, compared with the average customer that the model has learnt from.

    Features about which there is one thing to say, such as the spend in one window and in three, are one reason.
    """
    changes: dict[str, float] = defaultdict(float)
    for one, feature in model.terms:
        words = _words(one.feature, row, window_end, amount)
        changes[words] += one.value * (feature.value(row, window_end) - one.mean)
    found = [Reason(words, change) for words, change in changes.items() if abs(change) >= _LEAST]
    return sorted(found, key=lambda one: -abs(one.change))[:SHOWN]


def _words(feature: str, row: Mapping[str, Any], window_end: datetime, amount: Amount) -> str:
    if feature in _OF_PURCHASES and row["last_purchase_at"] is None:
        return _NEVER_BOUGHT
    if feature in _OF_SESSIONS and row["last_session_at"] is None:
        return _NEVER_OPENED
    return _WORDS[feature](row, window_end, amount)


def _ago(row: Mapping[str, Any], column: str, window_end: datetime) -> str:
    """How long before the window's end a time was."""
    if row[column] is None:
        return "at an unknown time"
    days = (window_end - row[column]) // _DAY
    return f"{formats.counted(days, 'day')} before the window's end"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{formats.number(count)} times"


def _spent(row: Mapping[str, Any], _: datetime, amount: Amount) -> str:
    if not row["spend_3_windows_cents"]:
        return f"Spent nothing in the last {_LONG} weeks"
    last = f"{amount(row['total_spend_cents'])} of it in the last {WEEKS}"
    return f"Spent {amount(row['spend_3_windows_cents'])} in the last {_LONG} weeks, {last}"


def _opened(row: Mapping[str, Any], _: datetime, __: Amount) -> str:
    if not row["sessions_3_windows"]:
        return f"Did not open the app in the last {_LONG} weeks"
    last = f"{_times(row['sessions'])} in the last {WEEKS}" if row["sessions"] else f"never in the last {WEEKS}"
    return f"Opened the app {_times(row['sessions_3_windows'])} in the last {_LONG} weeks, {last}"


def _active(row: Mapping[str, Any], *_: object) -> str:
    count = row["windows_active"]
    return f"Active in {formats.counted(count, 'window')} so far" if count else "Active in no window so far"


_Writer = Callable[[Mapping[str, Any], datetime, Amount], str]
_WORDS: dict[str, _Writer] = {
    "purchases_to_date": lambda row, *_: f"Bought {_times(row['purchases_to_date'])} so far",
    "windows_active": _active,
    "spend": _spent,
    "spend_3_windows": _spent,
    "sessions": _opened,
    "sessions_3_windows": _opened,
    "bought": lambda row, end, _: f"Last purchase {_ago(row, 'last_purchase_at', end)}",
    "days_since_last_purchase": lambda row, end, _: f"Last purchase {_ago(row, 'last_purchase_at', end)}",
    "days_since_first_purchase": lambda row, end, _: f"First purchase {_ago(row, 'first_purchase_at', end)}",
    "opened": lambda row, end, _: f"Last session {_ago(row, 'last_session_at', end)}",
    "days_since_last_session": lambda row, end, _: f"Last session {_ago(row, 'last_session_at', end)}",
    "days_since_registered": lambda row, end, _: f"Registered {_ago(row, 'registered_at', end)}",
}
_OF_PURCHASES = {
    "bought",
    "purchases_to_date",
    "spend",
    "spend_3_windows",
    "days_since_last_purchase",
    "days_since_first_purchase",
}
_OF_SESSIONS = {"opened", "sessions", "sessions_3_windows", "days_since_last_session"}
