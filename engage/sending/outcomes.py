"""Records in the ledger what became of claimed messages.

A sender records the provider's answers. A message without an answer, or whose sender has stopped, becomes ``unknown``:
it is listed, and never sent again by machine.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engage import alert_outbox
from engage.customers import consent_record, suppression
from engage.sending import bulk_update
from engage.sending.providers import Outcome, Reply
from engage.statuses import AlertKind, MessageStatus, ProviderFact
from engage.storage.schema import message
from engage.window import Window

log = logging.getLogger(__name__)

ABANDONED_AFTER = timedelta(minutes=5)
"""Far longer than a living sender holds a message: its turn, the provider's time to answer, and recording that."""
_OUTCOMES_LOCK = 0x6F757463  # "outc"

_STATUSES = {
    Outcome.ACCEPTED: MessageStatus.ACCEPTED,
    Outcome.FAILED: MessageStatus.FAILED,
    Outcome.LATER: MessageStatus.QUEUED,
    Outcome.REFUSED: MessageStatus.QUEUED,
}


@dataclass(slots=True)
class Answer:
    """What became of one claimed message. Without a ``reply`` the outcome is unknown, and ``error`` says why."""

    customer_id: int
    reply: Reply | None = None
    error: str | None = None

    @property
    def status(self) -> MessageStatus:
        return MessageStatus.UNKNOWN if self.reply is None else _STATUSES[self.reply.outcome]


def record(engine: sa.Engine, window: Window, token: int, answers: Sequence[Answer], now: datetime) -> None:
    """Record the answers that the sender with this ``token`` has got. Again: changes nothing.

    The late answer of a superseded sender still settles a message that it had claimed. A message that a receipt has
    moved on before keeps its status.
    """
    if not answers:
        return
    with engine.begin() as conn:
        keep_from_abandoning(conn, window)
        lost = [answer.customer_id for answer in answers if answer.reply is None]
        sending = _in_status(conn, window, lost, token, MessageStatus.SENDING)
        _settle(conn, window, token, answers, now)
        if unknown := _in_status(conn, window, sending, token, MessageStatus.UNKNOWN):
            alert_outbox.put(conn, AlertKind.MESSAGES_UNKNOWN, window=window, as_of=now, count=len(unknown))
        facts = {a.customer_id: a.reply.fact for a in answers if a.reply and a.reply.fact in suppression.BY_FACT}
        _suppress(conn, window, facts, now)


def keep_from_abandoning(conn: sa.Connection, window: Window) -> None:
    """Let no transaction abandon messages of the window until the commit.

    It would change the same rows in another order: a deadlock. The campaign's row is no help. A transaction that shares
    it overtakes one that waits for it, so a sender that held it while it claims and while it records, in turns, could
    keep a halt waiting to the end.
    """
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_OUTCOMES_LOCK, int(window.key))))


def abandon(conn: sa.Connection, window: Window, now: datetime, *, before_token: int | None = None) -> None:
    """Take from a lost sender the messages that it left ``sending``.

    What it may have handed over becomes ``unknown``. What it only claimed is queued again; a sender that lives after
    all can no longer hand that over.

    With ``before_token`` these are the messages of all earlier senders. Without, they are those claimed longer than
    ``ABANDONED_AFTER`` ago, so that no living sender is disturbed. Should one be that slow, its answer still settles
    the message.
    """
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_OUTCOMES_LOCK, int(window.key))))
    lost = (
        message.c.sending_at < now - ABANDONED_AFTER if before_token is None else message.c.sender_token < before_token
    )
    left = sa.and_(message.c.window_start == window.start, message.c.status == MessageStatus.SENDING, lost)
    only_claimed = sa.and_(left, message.c.handed_over_at.is_(None))
    conn.execute(sa.update(message).where(only_claimed).values(status=MessageStatus.QUEUED, queued_at=now))
    count = conn.execute(
        sa.update(message)
        .where(left)
        .values(
            status=MessageStatus.UNKNOWN,
            error="the sender stopped before it recorded an outcome",
            unknown_at=now,
        )
    ).rowcount
    if count:
        alert_outbox.put(conn, AlertKind.MESSAGES_UNKNOWN, window=window, as_of=now, count=count)
        log.warning("%s messages of an earlier sender have an unknown outcome; they are not sent again", count)


def _settle(conn: sa.Connection, window: Window, token: int, answers: Sequence[Answer], now: datetime) -> None:
    """Move this sender's messages on from the status that they have by now.

    The rows are picked by key alone. Every other condition is a part of the new values: fresh statistics do not know
    of these statuses yet, and a plan that expects one row by status would compare a thousand rows with a thousand.
    """
    answered = bulk_update.values(_columns(answer) for answer in answers)
    ids = [answer.customer_id for answer in answers]
    ours = sa.and_(
        message.c.sender_token.is_not_distinct_from(token),
        message.c.status.notin_((MessageStatus.QUEUED, MessageStatus.SKIPPED)),
    )
    moves = sa.and_(ours, message.c.status.in_((MessageStatus.SENDING, MessageStatus.UNKNOWN)))
    not_taken = answered.c.status == MessageStatus.QUEUED
    # another sender has listed an unknown one, so it may not be sent again: if it was not taken, it has failed
    too_late = sa.and_(message.c.status == MessageStatus.UNKNOWN, not_taken)
    failed = sa.literal(MessageStatus.FAILED, sa.Text)
    status = sa.case((~moves, message.c.status), (too_late, failed), else_=answered.c.status)
    moment = sa.cast(now, sa.DateTime(timezone=True))

    def learnt(name: str) -> sa.ColumnElement[Any]:
        return sa.case((ours, sa.func.coalesce(answered.c[name], message.c[name])), else_=message.c[name])

    def when(name: str, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
        return sa.case((condition, moment), else_=message.c[name])

    accepted = sa.and_(ours, message.c.accepted_at.is_(None), answered.c.provider_message_id.is_not(None))
    becomes_unknown = sa.and_(
        ours, message.c.status == MessageStatus.SENDING, answered.c.status == MessageStatus.UNKNOWN
    )
    ends = sa.and_(moves, sa.or_(answered.c.status == MessageStatus.FAILED, too_late))
    conn.execute(
        sa.update(message)
        .where(message.c.window_start == window.start, *bulk_update.matches(answered, ids))
        .values(
            status=status,
            **{name: learnt(name) for name in ("provider_message_id", "error", "error_code", "fact")},
            queued_at=when("queued_at", sa.and_(moves, not_taken)),
            unknown_at=when("unknown_at", becomes_unknown),
            accepted_at=when("accepted_at", accepted),
            settled_at=when("settled_at", ends),
        )
    )


def _columns(answer: Answer) -> dict[str, Any]:
    """An answer as columns of the ledger."""
    columns: dict[str, Any] = {"customer_id": answer.customer_id, "status": answer.status}
    if (reply := answer.reply) is None:
        return columns | {"error": answer.error}
    columns["provider_message_id"] = reply.provider_message_id
    return columns | {"error": reply.error, "error_code": reply.error_code, "fact": reply.fact}


def _in_status(
    conn: sa.Connection, window: Window, ids: Sequence[int], token: int, status: MessageStatus
) -> Sequence[int]:
    """Those of this sender's messages that are in a status."""
    if not ids:
        return []
    theirs = sa.select(message.c.customer_id).where(
        message.c.window_start == window.start,
        message.c.customer_id == sa.any_(bulk_update.id_array(ids)),
        message.c.status == status,
        message.c.sender_token == token,
    )
    return conn.execute(theirs).scalars().all()


def _suppress(conn: sa.Connection, window: Window, facts: Mapping[int, ProviderFact | None], now: datetime) -> None:
    """Suppress the phones of customers with a fact that says so."""
    if not facts:
        return
    phones = sa.select(message.c.customer_id, message.c.phone_hash).where(
        message.c.window_start == window.start,
        message.c.customer_id == sa.any_(bulk_update.id_array(list(facts))),
        message.c.phone_hash.is_not(None),
    )
    changes = []
    for customer_id, phone_hash in conn.execute(phones.order_by(message.c.customer_id)).all():
        reason = suppression.BY_FACT[facts[customer_id]]
        changes += suppression.suppress(conn, phone_hash, reason=reason, source="the provider's answer", as_of=now)
    consent_record.append(conn, changes, as_of=now)
