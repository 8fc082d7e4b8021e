"""Applies delivery receipts: a provider's later reports that a message was sent, delivered or not.

Receipts come late, twice and in any order. One moves a message forward if ``MESSAGE_MOVES`` allows it. Otherwise it
only fills in times that were not known yet.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.customers import consent_record, suppression
from engage.sending import ledger, message_reference
from engage.sending.providers import Receipt
from engage.statuses import MESSAGE_MOVES, MessageStatus
from engage.storage.schema import message
from engage.texts.phone import canonical, phone_hash
from engage.window import Window


def apply(engine: sa.Engine, receipt: Receipt, *, hash_key: bytes, as_of: datetime) -> Window | None:
    """Move the message on; returns its window, or None if the ledger has no such message to this phone. Idempotent.

    A receipt proves that the provider has the message. It settles one of unknown outcome, and one whose sender has not
    recorded yet that it was accepted. If the provider may not or cannot text the phone, the phone is suppressed. A
    later copy of the receipt does not suppress it again.
    """
    with engine.begin() as conn:
        found = _find(conn, receipt, phone_hash(canonical(receipt.phone) or receipt.phone, hash_key))
        if found is None:
            return None
        moves = receipt.status in MESSAGE_MOVES[found.status]
        conn.execute(
            sa.update(message)
            .where(message.c.window_start == found.window_start, message.c.customer_id == found.customer_id)
            .values(_changes(receipt, as_of, moves=moves))
        )
        if moves and (reason := suppression.BY_FACT.get(receipt.fact)):
            source = "the provider's receipt"
            changes = suppression.suppress(conn, found.phone_hash, reason=reason, source=source, as_of=as_of)
            consent_record.append(conn, changes, as_of=as_of)
        return Window(found.window_start)


def _find(conn: sa.Connection, receipt: Receipt, hashed: bytes) -> sa.Row[Any, Any, Any, Any] | None:
    """The message of the receipt, locked; None if that one has another recipient, or another id at the provider."""
    reference = message_reference.read(receipt.reference)
    if reference is None:
        return None
    window, customer_id = reference
    return conn.execute(
        sa.select(message.c.window_start, message.c.customer_id, message.c.status, message.c.phone_hash)
        .where(
            message.c.window_start == window.start,
            message.c.customer_id == customer_id,
            message.c.phone_hash == hashed,
            message.c.status.notin_((MessageStatus.QUEUED, MessageStatus.SKIPPED)),
            sa.func.coalesce(message.c.provider_message_id, receipt.provider_message_id) == receipt.provider_message_id,
        )
        .with_for_update()
    ).one_or_none()


def _changes(receipt: Receipt, as_of: datetime, *, moves: bool) -> dict[str, Any]:
    """What to write: times whenever they become known, the status only if that is a move forward."""
    changes: dict[str, Any] = {"provider_message_id": receipt.provider_message_id}
    changes |= ledger.times_of(MessageStatus.ACCEPTED, as_of)
    if moves:
        changes |= {"status": receipt.status, **ledger.times_of(receipt.status, as_of)}
        if receipt.error_code is not None:
            changes |= {"error_code": receipt.error_code, "error": receipt.error, "fact": receipt.fact}
    elif receipt.status == MessageStatus.SENT:
        changes |= ledger.times_of(MessageStatus.SENT, as_of)
    return changes
