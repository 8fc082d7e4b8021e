"""This machine's clock, which only the edges read. Steps, statements and rules take the time as an argument.

Ages go by the database's clock: ``storage.database_clock``.
"""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)
