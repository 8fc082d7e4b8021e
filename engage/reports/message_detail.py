"""One message with everything that the ledger keeps of it: its text, the time of each status, the provider's words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.errors import NoSuchMessage
from engage.reports import message_words
from engage.statuses import MessageStatus
from engage.storage.schema import customer, message
from engage.texts.phone import masked
from engage.window import Window

_ENDS = {
    MessageStatus.DELIVERED: "Delivered",
    MessageStatus.UNDELIVERED: "Not delivered",
    MessageStatus.FAILED: "Failed",
    MessageStatus.SKIPPED: "Skipped",
}
_STEPS = {
    "queued_at": "Queued",
    "sending_at": "Claimed by the sender",
    "handed_over_at": "Handed over to the provider",
    "unknown_at": "Outcome unknown",
    "accepted_at": "Accepted by the provider",
    "sent_at": "Sent to the network",
}


@dataclass(frozen=True)
class MessageDetail:
    """One message. The phone is masked; ``body`` is None if no text is kept. Times are UTC, in order."""

    window: Window
    customer_id: int
    customer_known: bool
    segment: str
    variant: str | None
    """Which of the segment's texts, ``a`` also if there is one only; None if no text was drawn."""
    status: str
    accepted: bool
    """Whether the provider took it, whatever became of it."""
    tone: str
    why: str | None
    fact: str | None
    error_code: int | None
    phone: str
    body: str | None
    sms_segments: int | None
    provider: str | None
    provider_message_id: str | None
    events: list[tuple[str, datetime]]
    """What happened to it, and when."""
    settled_by: str | None
    settled_why: str | None

    @property
    def at(self) -> datetime:
        """When it reached its status."""
        return self.events[-1][1]


def message_to(conn: sa.Connection, window: Window, customer_id: int) -> MessageDetail:
    """The message of the window to a customer.

    Raises:
        NoSuchMessage: the ledger has none.
    """
    query = (
        sa.select(message, customer.c.phone, customer.c.customer_id.label("known"))
        .join(customer, customer.c.customer_id == message.c.customer_id, isouter=True)
        .where(message.c.window_start == window.start, message.c.customer_id == customer_id)
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NoSuchMessage(f"Customer {customer_id} has no message of the window {window}.")
    return of(row)


def of(row: sa.Row[Any]) -> MessageDetail:
    """A row of the ledger, joined with the customer's ``phone`` and ``known``, the id of a customer that exists."""
    return MessageDetail(
        window=Window(row.window_start),
        customer_id=row.customer_id,
        customer_known=row.known is not None,
        segment=row.bucket,
        variant=row.variant,
        status=row.status,
        accepted=row.accepted_at is not None,
        tone=message_words.tone(row.status),
        why=message_words.why(row.status, reason_name=row.reason, error=row.error, fact_name=row.fact),
        fact=row.fact and message_words.fact(row.fact),
        error_code=row.error_code,
        phone=masked(row.phone),
        body=row.body,
        sms_segments=row.segments,
        provider=row.provider,
        provider_message_id=row.provider_message_id,
        events=_events(row),
        settled_by=row.settled_by,
        settled_why=row.settled_why,
    )


def _events(row: sa.Row[Any]) -> list[tuple[str, datetime]]:
    steps = [(words, at) for name, words in _STEPS.items() if (at := getattr(row, name))]
    if row.settled_at and row.status in _ENDS:
        steps.append((_ENDS[MessageStatus(row.status)], row.settled_at))
    return sorted(steps, key=lambda step: step[1])
