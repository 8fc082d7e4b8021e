"""The ledger of messages: summaries, single entries, and how the operator settles a message of unknown outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage import parsing
from engage.campaigns.message_counts import MessageCounts
from engage.customers import consent_record, suppression
from engage.errors import InputError, NotUnknown
from engage.statuses import MESSAGE_MOVES, MessageStatus, ProviderFact
from engage.storage.schema import customer, message
from engage.texts.phone import masked
from engage.window import Window


@dataclass(frozen=True)
class Preview:
    """What a dry run would have queued, by bucket."""

    messages: dict[str, int]
    segments: dict[str, int]
    """SMS segments, estimated with names of usual length."""
    cost: str | None = None
    """What the segments cost, as digits in the installation's currency; None without a price."""
    exceeds_budget: str | None = None
    """The budget as its setting has it, if the list is beyond it; an amount of money is digits only."""


@dataclass(frozen=True)
class MessageSummary:
    """The window's messages, counted by status and by reason, and what the step at work did."""

    by_status: dict[str, int]
    skipped_by_reason: dict[str, int] = field(default_factory=dict)
    segments: int = 0
    """SMS segments, which the provider charges for."""
    accepted_now: int = 0
    """Messages that this step has sent."""
    unknown_now: int = 0
    """Messages that became unknown and that no mail has reported yet."""
    frozen: bool = False
    """Whether the list was final before this step."""
    halted: bool = False
    """Whether queued messages wait for the campaign to be resumed."""
    halted_because: str = ""
    """Why the sender has halted the campaign, if no mail has reported it yet."""
    resume_at: datetime | None = None
    """When messages that had to be held may be sent."""
    note: str = ""
    """Why this run texts no customer, if so."""
    preview: Preview | None = None
    """What a dry run would have queued."""

    @classmethod
    def of(cls, counts: MessageCounts) -> MessageSummary:
        """The summary of these messages, before the step does anything."""
        return cls(counts.by_status, counts.skipped_by_reason, segments=counts.segments)

    @property
    def unsettled(self) -> int:
        """Messages that wait to be sent, or whose sender is at work or lost."""
        return self.by_status.get(MessageStatus.QUEUED, 0) + self.by_status.get(MessageStatus.SENDING, 0)


@dataclass(frozen=True)
class Entry:
    """One message as a page or command shows it: the phone is masked, the text left out. Times are UTC."""

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
    """When it reached each status that it has had."""
    settled_by: str | None
    settled_why: str | None


_TIMES = ("queued_at", "sending_at", "unknown_at", "accepted_at", "sent_at", "settled_at")


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
    """What became of a message of unknown outcome, by whose word, and why."""

    status: str
    why: str
    by: str
    provider_message_id: str | None = None
    error_code: int | None = None
    fact: ProviderFact | None = None


def settle(engine: sa.Engine, window: Window, customer_id: int, settled: Settlement, *, as_of: datetime) -> None:
    """Settle a message of unknown outcome. It is not sent again, whatever its new status is.

    Raises:
        InputError: an unknown message cannot move to this status, or ``parsing.note`` refuses the name or the reason.
        NotUnknown: there is no such message, or its outcome is known.
    """
    if settled.status not in MESSAGE_MOVES[MessageStatus.UNKNOWN]:
        raise InputError(
            f"An unknown message cannot be settled as {settled.status!r}; it takes "
            f"{', '.join(MESSAGE_MOVES[MessageStatus.UNKNOWN])}."
        )
    settled = replace(
        settled,
        by=parsing.note(settled.by, "The name of the user who settles"),
        why=parsing.note(settled.why, "The reason of the settlement"),
    )
    theirs = sa.and_(message.c.window_start == window.start, message.c.customer_id == customer_id)
    with engine.begin() as conn:
        found = conn.execute(
            sa.select(message.c.status, message.c.phone_hash).where(theirs).with_for_update()
        ).one_or_none()
        status = found and found.status
        if found is None or status != MessageStatus.UNKNOWN:
            raise NotUnknown(
                f"The message to customer {customer_id} of the window {window} "
                f"{f'is {status}, and' if status else 'does not exist;'} only an unknown one can be settled."
            )
        values = asdict(settled) | times_of(settled.status, as_of)
        values |= {"settled_by": values.pop("by"), "settled_why": values.pop("why")}
        conn.execute(sa.update(message).where(theirs).values(values))
        if found.phone_hash and (reason := suppression.BY_FACT.get(settled.fact)):
            changes = suppression.suppress(
                conn,
                found.phone_hash,
                reason=reason,
                source=f"settled by {settled.by}",
                as_of=as_of,
                actor=settled.by,
                evidence=settled.why,
            )
            consent_record.append(conn, changes, as_of=as_of)


def times_of(status: str, as_of: datetime) -> dict[str, sa.ColumnElement[Any]]:
    """The times that become known once a message is in ``status``, as values for an update; earlier ones stay."""
    known = {
        MessageStatus.ACCEPTED: ("accepted_at",),
        MessageStatus.SENT: ("accepted_at", "sent_at"),
        MessageStatus.DELIVERED: ("accepted_at", "sent_at", "settled_at"),
        MessageStatus.UNDELIVERED: ("accepted_at", "settled_at"),
        MessageStatus.FAILED: ("settled_at",),
    }
    return {name: sa.func.coalesce(message.c[name], as_of) for name in known[MessageStatus(status)]}
