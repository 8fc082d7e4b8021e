"""How long ago the newest batch of the app's events has arrived over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from engage.storage.schema import intake_batch

SPANS = (
    (timedelta(minutes=10), "in the last 10 minutes"),
    (timedelta(hours=1), "in the last hour"),
    (timedelta(days=1), "in the last day"),
    (timedelta(days=7), "in the last week"),
)
"""Times to look back. A table of every batch of a week is too large for its latest time."""


def newest_batch(conn: sa.Connection, as_of: datetime) -> tuple[timedelta, str] | None:
    """The shortest span in which a batch has arrived, and its words; None if none has in a week."""
    for span, words in SPANS:
        recent = sa.select(sa.literal(1)).where(intake_batch.c.accepted_at > as_of - span).limit(1)
        if conn.execute(recent).first():
            return span, words
    return None
