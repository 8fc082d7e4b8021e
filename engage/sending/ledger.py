"""The ledger of messages: what it says of a window, and how a person settles what nobody knew."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.errors import InputError, NotUnknown
from engage.sending.providers.twilio_codes import FILTERED
from engage.statuses import MESSAGE_MOVES, MessageStatus
from engage.storage.schema import campaign, customer, message
from engage.texts.phone import masked
from engage.window import Window


@dataclass(frozen=True)
class MessageSummary:
    """The window's ledger by status and by reason; ``segments`` is what the provider charges for.

    ``accepted_now``: how many this step has sent. ``frozen``: the list was final before it. ``halted``: what is queued
    waits for the brake to be released. ``unknown_now``, ``halted_because``: what nobody was told of yet, messages that
    became unknown and why the sender has pulled the brake.
    ``resume_at``: when messages that had to be held may be sent. ``note``: why this run texts nobody, if so.
    """

    by_status: dict[str, int]
    skipped_by_reason: dict[str, int] = field(default_factory=dict)
    segments: int = 0
    accepted_now: int = 0
    unknown_now: int = 0
    frozen: bool = False
    halted: bool = False
    halted_because: str = ""
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
    counts = sa.func.count(), sa.func.coalesce(sa.func.sum(rows.c.segments), 0)
    query = sa.select(rows.c.status, rows.c.reason, *counts).group_by(rows.c.status, rows.c.reason)
    charged = 0
    for status, reason, count, segments in conn.execute(query):
        by_status[status] += count
        charged += segments
        if reason is not None:
            by_reason[reason] += count
    return MessageSummary(dict(by_status), dict(by_reason), segments=charged)


def unknown_since(conn: sa.Connection, window: Window, moment: datetime | None) -> int:
    """How many of the window's messages have become unknown since, or at all, and are."""
    query = sa.select(sa.func.count()).where(message.c.window_start == window.start, message.c.status == "unknown")
    if moment is not None:
        query = query.where(message.c.unknown_at > moment)
    return conn.execute(query).scalar_one()


def filtered(conn: sa.Connection, window: Window) -> tuple[int, int]:
    """How many of the window's messages networks have filtered out, and how many were handed over at all.

    Only those since the campaign was last resumed: whoever did that has seen the others.
    """
    resumed = sa.select(campaign.c.resumed_at).where(campaign.c.window_start == window.start).scalar_subquery()
    handed = message.c.sending_at >= sa.func.coalesce(resumed, message.c.sending_at)
    out = sa.func.count().filter(handed, message.c.error_code == FILTERED)
    row = conn.execute(
        sa.select(out, sa.func.count().filter(handed)).where(message.c.window_start == window.start)
    ).one()
    return row[0], row[1]


@dataclass(frozen=True)
class Entry:
    """One message as a person may see it: the phone is masked, the text left out. Times are UTC."""

    customer_id: int
    bucket: str
    status: str
    reason: str | None
    phone: str
    segments: int | None
    error: str | None
    error_code: int | None
    provider_message_id: str | None
    times: dict[str, datetime]
    """When it came to each status that it has had."""
    settled_by: str | None
    settled_why: str | None


_TIMES = ("queued_at", "sending_at", "unknown_at", "accepted_at", "sent_at", "settled_at")


def messages_to(conn: sa.Connection, customer_id: int, *, limit: int) -> dict[datetime, Entry]:
    """The latest messages to one customer, by the start of their window, newest first."""
    query = (
        sa.select(message, customer.c.phone)
        .join(customer, customer.c.customer_id == message.c.customer_id, isouter=True)
        .where(message.c.customer_id == customer_id)
        .order_by(message.c.window_start.desc())
        .limit(limit)
    )
    return {row.window_start: _entry(row) for row in conn.execute(query)}


def entries(conn: sa.Connection, window: Window, *, status: str | None = None, limit: int | None = None) -> list[Entry]:
    """The window's messages, or those in one status, by customer id."""
    query = (
        sa.select(message, customer.c.phone)
        .join(customer, customer.c.customer_id == message.c.customer_id, isouter=True)
        .where(message.c.window_start == window.start)
        .order_by(message.c.customer_id)
        .limit(limit)
    )
    if status is not None:
        query = query.where(message.c.status == status)
    return [_entry(row) for row in conn.execute(query)]


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(
        customer_id=row.customer_id,
        bucket=row.bucket,
        status=row.status,
        reason=row.reason,
        phone=masked(row.phone),
        segments=row.segments,
        error=row.error,
        error_code=row.error_code,
        provider_message_id=row.provider_message_id,
        times={name.removesuffix("_at"): getattr(row, name) for name in _TIMES if getattr(row, name)},
        settled_by=row.settled_by,
        settled_why=row.settled_why,
    )


@dataclass(frozen=True)
class Settlement:
    """What became of a message whose fate was unknown, who says so, and why."""

    status: str
    why: str
    by: str
    provider_message_id: str | None = None
    error_code: int | None = None


def settle(engine: sa.Engine, window: Window, customer_id: int, settled: Settlement, *, as_of: datetime) -> None:
    """Settle a message whose fate is unknown. It is not sent again, whatever is said of it.

    Raises:
        InputError: a status that an unknown message cannot come to, or nobody or no reason given.
        NotUnknown: there is no such message, or its fate is known.
    """
    if settled.status not in MESSAGE_MOVES[MessageStatus.UNKNOWN]:
        raise InputError(
            f"An unknown message cannot be settled as {settled.status!r}; it takes "
            f"{', '.join(MESSAGE_MOVES[MessageStatus.UNKNOWN])}."
        )
    if not settled.by.strip() or not settled.why.strip():
        raise InputError("Settling a message takes a name and a reason: they are kept with it.")
    theirs = sa.and_(message.c.window_start == window.start, message.c.customer_id == customer_id)
    with engine.begin() as conn:
        status = conn.execute(sa.select(message.c.status).where(theirs).with_for_update()).scalar_one_or_none()
        if status != "unknown":
            raise NotUnknown(
                f"The message to customer {customer_id} of the window {window} "
                f"{f'is {status}, and' if status else 'does not exist;'} only an unknown one can be settled."
            )
        values = asdict(settled) | times_of(settled.status, as_of)
        values |= {"settled_by": values.pop("by"), "settled_why": values.pop("why")}
        conn.execute(sa.update(message).where(theirs).values(values))


def times_of(status: str, as_of: datetime) -> dict[str, sa.ColumnElement[Any]]:
    """The times that become known once a message is in ``status``, as values for an update; earlier ones stay."""
    known = {
        "accepted": ("accepted_at",),
        "sent": ("accepted_at", "sent_at"),
        "delivered": ("accepted_at", "sent_at", "settled_at"),
        "undelivered": ("accepted_at", "settled_at"),
        "failed": ("settled_at",),
    }
    return {name: sa.func.coalesce(message.c[name], as_of) for name in known[status]}
