"""The ledger of messages: what it says of a window, and who may be texted at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import sqlalchemy as sa

from engage.schema import customer, message
from engage.window import Window


@dataclass(frozen=True)
class MessageSummary:
    """The window's ledger by status and by reason.

    ``frozen``: messages had begun to go out before this step. ``note``: why this run texts nobody, if so.
    """

    by_status: dict[str, int]
    skipped_by_reason: dict[str, int] = field(default_factory=dict)
    accepted_now: int = 0
    frozen: bool = False
    halted: bool = False
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


def ineligible() -> sa.Case[str]:
    """Why a customer may not be texted, or null. Asked when queueing and again when claiming: a late STOP wins.

    An opt-out belongs to the phone: whoever shares it is not texted either.
    """
    same_phone = customer.alias("same_phone")
    opted_out = sa.exists().where(
        same_phone.c.phone_hash == customer.c.phone_hash, same_phone.c.opted_out_at.is_not(None)
    )
    return sa.case(
        (customer.c.opted_out_at.is_not(None), "opted_out"),
        (opted_out, "opted_out"),
        (customer.c.consent_at.is_(None), "no_consent"),
        (customer.c.phone.is_(None), "no_phone"),
        else_=sa.cast(sa.null(), sa.Text),
    )
