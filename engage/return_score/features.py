"""The numbers that the return score looks at, each computed alike in SQL and in Python.

They are those of the table ``customer_activity``, on a scale on which twice as much counts the same at every level: the
logarithm of 1 + the number. A time counts in days before the window's end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import log
from typing import Any

import sqlalchemy as sa

_DAY = timedelta(days=1)
_DAY_SECONDS = 86_400.0


class Kind(StrEnum):
    """How a column becomes a feature."""

    COUNT = "count"
    """ln(1 + the number)."""
    AMOUNT = "amount"
    """ln(1 + the amount in units of the currency), from cents."""
    DAYS = "days"
    """ln(1 + days before the window's end), or 0 for what never happened."""
    KNOWN = "known"
    """1 for what has happened, and 0 for what never happened."""


@dataclass(frozen=True)
class Feature:
    """One number of a customer. ``label``: what it is called in a table."""

    name: str
    label: str
    column: str
    kind: Kind

    def sql(self, rows: sa.FromClause, window_end: datetime) -> sa.ColumnElement[float]:
        """The feature of each row of ``customer_activity``. The row has every count and amount."""
        column = rows.c[self.column]
        if self.kind is Kind.KNOWN:
            return sa.case((column.is_not(None), _double(1.0)), else_=_double(0.0))
        if self.kind is Kind.DAYS:
            since = sa.literal(window_end, sa.DateTime(timezone=True)) - column
            seconds: sa.ColumnElement[float] = sa.func.date_part("epoch", since, type_=sa.Double)
            return sa.func.coalesce(_logarithm(seconds, _DAY_SECONDS), _double(0.0))
        return _logarithm(sa.cast(column, sa.Double), 100.0 if self.kind is Kind.AMOUNT else 1.0)

    def value(self, row: Mapping[str, Any], window_end: datetime) -> float:
        """The feature of one row. The row has every count and amount."""
        found = row[self.column]
        match self.kind:
            case Kind.KNOWN:
                return float(found is not None)
            case Kind.DAYS:
                return 0.0 if found is None else log(1 + max(0.0, (window_end - found) / _DAY))
            case Kind.AMOUNT:
                return log(1 + max(0.0, found / 100))
            case Kind.COUNT:
                return log(1 + max(0.0, float(found)))


FEATURES = {
    one.name: one
    for one in (
        Feature("bought", "Has bought before", "last_purchase_at", Kind.KNOWN),
        Feature("purchases_to_date", "Purchases to date", "purchases_to_date", Kind.COUNT),
        Feature("windows_active", "Windows with a session or purchase", "windows_active", Kind.COUNT),
        Feature("spend", "Spend in the window", "total_spend_cents", Kind.AMOUNT),
        Feature("spend_3_windows", "Spend in three windows", "spend_3_windows_cents", Kind.AMOUNT),
        Feature("sessions", "Sessions in the window", "sessions", Kind.COUNT),
        Feature("sessions_3_windows", "Sessions in three windows", "sessions_3_windows", Kind.COUNT),
        Feature("days_since_last_purchase", "Days since the last purchase", "last_purchase_at", Kind.DAYS),
        Feature("days_since_first_purchase", "Days since the first purchase", "first_purchase_at", Kind.DAYS),
        Feature("opened", "Has opened the app before", "last_session_at", Kind.KNOWN),
        Feature("days_since_last_session", "Days since the last session", "last_session_at", Kind.DAYS),
        Feature("days_since_registered", "Days since the registration", "registered_at", Kind.DAYS),
    )
}


def _double(number: float) -> sa.ColumnElement[float]:
    return sa.literal(number, sa.Double)


def _logarithm(number: sa.ColumnElement[float], unit: float) -> sa.ColumnElement[float]:
    """ln(1 + number / unit). A customer who registers after the window is below 0 days, and is not kept."""
    return sa.func.ln(_double(1.0) + sa.func.greatest(number, _double(0.0)) / _double(unit))
