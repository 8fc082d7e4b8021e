"""The ledger of messages: what it says of a window, and who may be texted at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from engage.schema import message
from engage.sms.twilio_codes import FILTERED
from engage.window import Window


@dataclass(frozen=True)
class MessageSummary:
    """The window's ledger by status and by reason.

    ``frozen``: messages had begun to go out before this step. ``resume_at``: when messages that had to be held may be
    sent. ``note``: why this run texts nobody, if so.
    """

    by_status: dict[str, int]
    skipped_by_reason: dict[str, int] = field(default_factory=dict)
    accepted_now: int = 0
    frozen: bool = False
    halted: bool = False
    resume_at: datetime | None = None
    note: str = ""

    @property
    def unsettled(self) -> int:
        """Messages that wait to be sent, or whose sender is at work or gone."""
        return self.by_status.get("queued", 0) + self.by_status.get("sending", 0)


def of(window: Window) -> sa.Subquery:
    """The window's messages."""
    return sa.select(message).where(message.c.window_start == window.start).subquery("messages")


def summarise(conn: sa.Connection, rows: sa.FromClause) -> MessageSummary:
    """Count rows of the ledger."""
    by_status: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    query = sa.select(rows.c.status, rows.c.reason, sa.func.count()).group_by(rows.c.status, rows.c.reason)
    for status, reason, count in conn.execute(query):
        by_status[status] += count
        if reason is not None:
            by_reason[reason] += count
    return MessageSummary(dict(by_status), dict(by_reason))


def filtered(conn: sa.Connection, window: Window) -> tuple[int, int]:
    """How many of the window's messages networks have filtered out, and how many were handed over at all."""
    handed = message.c.sending_at.is_not(None)
    out = sa.func.count().filter(message.c.error_code == FILTERED)
    row = conn.execute(
        sa.select(out, sa.func.count().filter(handed)).where(message.c.window_start == window.start)
    ).one()
    return row[0], row[1]
