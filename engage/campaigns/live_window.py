"""The live window: the window that is still running, computed with what is there so far.

It is no campaign. It has a row and tables of its own, which nothing that queues or sends messages reads.
``engage.live`` computes it each day. Once the window is over, its campaign takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import ceil

import sqlalchemy as sa

from engage.campaigns import explained_days
from engage.campaigns.guard import Guard
from engage.settings import Settings
from engage.storage.schema import live_window
from engage.window import LENGTH, Window

DAY = timedelta(days=1)
PROJECTED_FROM = timedelta(days=7)
"""How much of a window has to be over for a projection: every weekday counts in it."""


@dataclass(frozen=True)
class Projection:
    """What the window will have at its end, if all goes on at the pace so far."""

    events: Mapping[str, int]
    total_spend_cents: int
    buckets: Mapping[str, int]
    recipients: Mapping[str, int]
    """Customers of each segment with a text who may be texted, as things are now."""

    @property
    def messages(self) -> int:
        """The messages that the campaign would queue."""
        return sum(self.recipients.values())


@dataclass(frozen=True)
class LiveWindow:
    """The running window at ``as_of``. Its settings have the numbers that shares of the customers became so far."""

    window: Window
    as_of: datetime
    settings: Settings
    events: Mapping[str, int]
    customers: int
    total_spend_cents: int
    buckets: Mapping[str, int]
    guard: Guard
    projection: Projection | None
    scored: bool
    seconds: float

    @property
    def elapsed(self) -> timedelta:
        """How much of the window is over."""
        return self.as_of - self.window.start

    @property
    def days_left(self) -> int:
        """Days until the window's end, begun ones too."""
        return ceil((self.window.end - self.as_of) / DAY)

    @property
    def projected_from(self) -> date:
        """The first day with a projection."""
        return (self.window.start + PROJECTED_FROM).date()

    def in_order(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Counts by segment in the order of the rules."""
        return {name: counts[name] for name in self.settings.segments.names if name in counts}

    @property
    def sms_segments(self) -> int:
        """The SMS segments of the messages of the projection, each of the longest text and with a longish name."""
        recipients = self.projection.recipients if self.projection else {}
        return sum(count * self.settings.typical_segments(name) for name, count in recipients.items())

    @property
    def cost(self) -> Decimal | None:
        """The most that the messages of the projection cost; None without a price or a projection."""
        return self.settings.cost(self.sms_segments) if self.projection else None


def find(conn: sa.Connection) -> LiveWindow | None:
    """The live window as computed last, with the reasons that are known for its days by now; None if there is none."""
    row = conn.execute(sa.select(live_window)).one_or_none()
    if row is None:
        return None
    window = Window(row.window_start)
    found = Guard.from_json(row.guard)
    return LiveWindow(
        window=window,
        as_of=row.as_of,
        settings=Settings.from_snapshot(row.settings, row.resolved),
        events=dict(sorted(row.events.items(), reverse=True)),  # sessions first
        customers=row.customers,
        total_spend_cents=row.total_spend_cents,
        buckets=row.buckets,
        guard=replace(found, reasons=explained_days.of_window(conn, window)),
        projection=None if row.projection is None else Projection(**row.projection),
        scored=row.scored,
        seconds=row.seconds,
    )


def running(conn: sa.Connection, as_of: datetime) -> LiveWindow | None:
    """The live window, if the window that it is about is still running at ``as_of``."""
    found = find(conn)
    return found if found and found.window == Window.containing(as_of) else None


def keep(conn: sa.Connection, found: LiveWindow) -> None:
    """Make this the live window, in place of any other."""
    conn.execute(sa.delete(live_window))
    conn.execute(
        sa.insert(live_window).values(
            window_start=found.window.start,
            as_of=found.as_of,
            settings=found.settings.snapshot(),
            resolved={name: one.to_json() for name, one in found.settings.resolved.items()},
            events=dict(found.events),
            customers=found.customers,
            total_spend_cents=found.total_spend_cents,
            buckets=dict(found.buckets),
            projection=None if found.projection is None else asdict(found.projection),
            guard=found.guard.to_json(),
            scored=found.scored,
            seconds=found.seconds,
        )
    )


def at_this_pace(count: int, elapsed: timedelta) -> int:
    """A count so far at the window's end, if all goes on as until now."""
    return round(count * (LENGTH / elapsed))
