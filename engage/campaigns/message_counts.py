"""A campaign's messages, counted: by status, reason, bucket and fact, with their SMS segments.

A trigger keeps the counts with every change of the ledger (migration 0016), in the table ``message_count``. So no
reader counts the ledger again, and the counts cannot be stale. The ledger itself is counted once, when it is made.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from engage.statuses import MessageStatus
from engage.storage.schema import message, message_count
from engage.window import Window

_KEY = ("bucket", "status", "reason", "fact", "taken")


class Group(NamedTuple):
    """Messages that are alike. ``taken``: the provider has accepted them. ``segments`` are those of their texts."""

    bucket: str
    status: str
    reason: str | None
    fact: str | None
    taken: bool
    messages: int
    segments: int
    first_claim_at: datetime | None
    last_claim_at: datetime | None


@dataclass(frozen=True)
class MessageCounts:
    """The messages of one window. Without any group it has none."""

    groups: tuple[Group, ...] = ()

    def count(self, **having: object) -> int:
        """Messages whose group has these values, such as ``status="skipped", reason="opted_out"``."""
        return sum(g.messages for g in self.groups if all(getattr(g, name) == value for name, value in having.items()))

    @property
    def total(self) -> int:
        """Rows of the ledger, skipped ones included."""
        return self.count()

    @property
    def buckets(self) -> list[str]:
        """The segments that have messages, by name."""
        return sorted({group.bucket for group in self.groups})

    @property
    def by_status(self) -> dict[str, int]:
        """Messages by status, in the order of ``MessageStatus``."""
        counts = self._by("status")
        return {str(status): counts[status] for status in MessageStatus if counts[status]}

    @property
    def skipped_by_reason(self) -> dict[str, int]:
        """Skipped messages by reason, the most frequent first."""
        return {reason: count for reason, count in self._by("reason").most_common() if reason is not None}

    @property
    def segments(self) -> int:
        """SMS segments of all texts that were composed."""
        return sum(group.segments for group in self.groups)

    @property
    def charged_segments(self) -> int:
        """SMS segments that the provider has accepted: the basis of the cost."""
        return sum(group.segments for group in self.groups if group.taken)

    @property
    def waiting(self) -> int:
        """Messages that wait to be sent."""
        return self.count(status=MessageStatus.QUEUED)

    @property
    def on_their_way(self) -> int:
        """Messages whose sender is at work, or lost."""
        return self.count(status=MessageStatus.SENDING)

    @property
    def unsettled(self) -> int:
        """Messages that wait or are on their way: those that a halt is about."""
        return self.waiting + self.on_their_way

    @property
    def eligible(self) -> int:
        """Messages that are not skipped."""
        return self.count(reason=None)

    @property
    def gone(self) -> int:
        """Messages that were handed over, whatever became of them."""
        return self.eligible - self.unsettled

    @property
    def taken(self) -> int:
        """Messages that the provider has accepted, whatever became of them."""
        return self.count(taken=True)

    @property
    def percent_gone(self) -> int:
        """The share of the messages to send that have gone; 100 only if none is left."""
        return 100 * self.gone // self.eligible if self.eligible else 0

    @property
    def first_claim_at(self) -> datetime | None:
        """When a sender claimed its first message."""
        return min((group.first_claim_at for group in self.groups if group.first_claim_at), default=None)

    @property
    def last_claim_at(self) -> datetime | None:
        """When a sender claimed its last message."""
        return max((group.last_claim_at for group in self.groups if group.last_claim_at), default=None)

    def to_dict(self) -> dict[str, Any]:
        """The counts for JSON."""
        return {
            "total": self.total,
            "by_status": self.by_status,
            "skipped_by_reason": self.skipped_by_reason,
            "segments": self.segments,
            "charged_segments": self.charged_segments,
        }

    def _by(self, name: str) -> Counter[str | None]:
        counts: Counter[str | None] = Counter()
        for group in self.groups:
            counts[getattr(group, name)] += group.messages
        return counts


def of_windows(conn: sa.Connection, windows: Collection[Window]) -> dict[Window, MessageCounts]:
    """The kept counts of each window."""
    counted, key = message_count.c, [message_count.c[name] for name in _KEY]
    query = (
        sa.select(
            counted.window_start,
            *key,
            sa.cast(sa.func.sum(counted.messages), sa.BigInteger),
            sa.cast(sa.func.sum(counted.segments), sa.BigInteger),
            sa.func.min(counted.first_claim_at),
            sa.func.max(counted.last_claim_at),
        )
        .where(counted.window_start.in_([window.start for window in windows]))
        .group_by(counted.window_start, *key)
    )
    groups: dict[Window, list[Group]] = defaultdict(list)
    for row in conn.execute(query):
        group = Group._make(row[1:])
        if group.messages:
            groups[Window(row.window_start)].append(group)
    return {window: MessageCounts(tuple(groups[window])) for window in windows}


def of(conn: sa.Connection, window: Window) -> MessageCounts:
    """The kept counts of one window."""
    return of_windows(conn, [window])[window]


def counted(conn: sa.Connection, rows: sa.FromClause = message) -> MessageCounts:
    """Count rows of the ledger one by one, which takes long for a million of them."""
    taken = rows.c.accepted_at.is_not(None).label("taken")
    key = (*(rows.c[name] for name in _KEY if name != "taken"), taken)
    query = sa.select(
        *key,
        sa.func.count(),
        sa.func.coalesce(sa.func.sum(rows.c.segments), 0),
        sa.func.min(rows.c.sending_at),
        sa.func.max(rows.c.sending_at),
    ).group_by(*key)
    return MessageCounts(tuple(Group._make(row) for row in conn.execute(query)))


def keep(conn: sa.Connection, window: Window, counts: MessageCounts) -> None:
    """Make ``counts`` the window's kept counts, after its ledger was swapped: the trigger sees no swap.

    The swap has waited for every change of the old ledger, so no count of one comes later.
    """
    conn.execute(sa.delete(message_count).where(message_count.c.window_start == window.start))
    if rows := _rows(window, counts.groups):
        conn.execute(sa.insert(message_count), rows)


def _rows(window: Window, groups: Iterable[Group]) -> list[dict[str, Any]]:
    return [{"window_start": window.start, **group._asdict()} for group in groups]
