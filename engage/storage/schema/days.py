"""Events counted by day, and the days for which a reason is known."""

from __future__ import annotations

import sqlalchemy as sa

from engage.statuses import DaySource, ExplainedSource
from engage.storage.schema.columns import metadata, moment, one_of

daily_volume = sa.Table(
    "daily_volume",
    metadata,
    sa.Column("day", sa.Date, nullable=False, comment="in UTC"),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("events", sa.BigInteger, nullable=False, comment="valid events of the day"),
    sa.Column(
        "one_in",
        sa.Integer,
        nullable=False,
        comment="1 if all events were counted; else those of one in so many customers, and scaled up",
    ),
    sa.PrimaryKeyConstraint("day", "source"),
    one_of("source", DaySource),
    sa.CheckConstraint("one_in >= 1", name="one_in"),
    sa.CheckConstraint("events >= 0", name="events"),
    comment="One row per day and kind of event: how many valid events there were, also none. Kept for good.",
)

explained_day = sa.Table(
    "explained_day",
    metadata,
    sa.Column("day", sa.Date, nullable=False, comment="in UTC"),
    sa.Column("source", sa.Text, nullable=False, comment="the kind of event, or all"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("explained_by", sa.Text, nullable=False),
    moment("explained_at", nullable=False),
    sa.PrimaryKeyConstraint("day", "source"),
    one_of("source", ExplainedSource),
    comment="One row per day that was marked as explained, such as a holiday. The guard does not tell of it, and no "
    "later day is compared with it.",
)
