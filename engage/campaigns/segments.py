"""Segments: the rule that puts a customer in a bucket, and which buckets are texted. No other module knows either."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import sqlalchemy as sa

from engage.settings import Settings
from engage.storage.schema import customer_activity

BOOST, REWARD, NONE = "BOOST", "REWARD", "NONE"
BUCKETS = (BOOST, REWARD, NONE)
TEXTED = (BOOST, REWARD)


def rule(settings: Settings, rows: sa.FromClause = customer_activity) -> sa.Case[str]:
    """The bucket of a row with a customer's numbers. Low spend goes first, and both comparisons are strict."""
    low_spend = rows.c.total_spend_cents < settings.low_spend_cents
    high_activity = rows.c.avg_weekly_sessions > float(settings.high_activity_threshold)
    return sa.case((low_spend, BOOST), (high_activity, REWARD), else_=NONE)


def why(
    name: str,
    settings: Settings,
    *,
    amount: Callable[[Decimal], str] = "{:.2f}".format,
    number: Callable[[Decimal], str] = "{:f}".format,
) -> str:
    """The sentence that says why a customer is in the bucket ``name``. ``amount`` and ``number`` write thresholds."""
    low, high = amount(settings.low_spend_threshold), number(settings.high_activity_threshold)
    return {
        BOOST: f"The spend is below {low}.",
        REWARD: f"The spend is {low} or more, with more than {high} sessions a week.",
        NONE: f"The spend is {low} or more, with {high} sessions a week or fewer.",
    }[name]
