"""The one place that reads this machine's clock. Steps, statements and rules take the time as an argument."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)
