"""What a provider says later about a message that it took: sent, delivered or not.

Receipts come late, twice and in any order. One moves a message forward if the ledger's state machine allows that, and
is noted and otherwise without effect if not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from engage.customers import suppression
from engage.errors import WindowError
from engage.sending import ledger
from engage.sending.providers.twilio_codes import UNSUBSCRIBED, describe
from engage.statuses import MESSAGE_MOVES, SuppressionReason
from engage.storage.schema import message
from engage.window import Window


@dataclass(frozen=True)
class Receipt:
    """One report on one message. ``status`` is one of the ledger's, ``reference`` that of an ``OutgoingSms``."""

    reference: str
    provider_message_id: str
    status: str
    error_code: int | None = None


def apply(engine: sa.Engine, receipt: Receipt, *, as_of: datetime) -> bool:
    """Move the message on; returns False if the ledger knows no such message.

    A receipt for a message whose fate was unknown, or whose sender has not yet written down that it was accepted,
    settles it: the provider has it. If it says that the phone's owner has told the provider to stop, they are not
    texted again; a copy that comes later does not say so once more.
    """
    with engine.begin() as conn:
        found = _find(conn, receipt)
        if found is None:
            return False
        moves = receipt.status in MESSAGE_MOVES[found.status]
        conn.execute(
            sa.update(message)
            .where(message.c.window_start == found.window_start, message.c.customer_id == found.customer_id)
            .values(_changes(receipt, as_of, moves=moves))
        )
        if moves and receipt.error_code == UNSUBSCRIBED:
            suppression.suppress(
                conn, found.phone_hash, reason=SuppressionReason.PROVIDER, source="the provider's receipt", as_of=as_of
            )
        return True


def _find(conn: sa.Connection, receipt: Receipt) -> sa.Row[Any, Any, Any, Any] | None:
    """The message that the receipt is about, locked; a message that has another id at the provider is none."""
    match = re.fullmatch(r"(\d{8})-(-?\d{1,18})", receipt.reference, re.ASCII)
    if match is None:
        return None
    try:
        window, customer_id = Window(datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC)), int(match[2])
    except (ValueError, WindowError):
        return None
    return conn.execute(
        sa.select(message.c.window_start, message.c.customer_id, message.c.status, message.c.phone_hash)
        .where(
            message.c.window_start == window.start,
            message.c.customer_id == customer_id,
            message.c.status.notin_(("queued", "skipped")),
            sa.func.coalesce(message.c.provider_message_id, receipt.provider_message_id) == receipt.provider_message_id,
        )
        .with_for_update()
    ).one_or_none()


def _changes(receipt: Receipt, as_of: datetime, *, moves: bool) -> dict[str, Any]:
    """Times are filled in whenever they become known; the status changes only if that is a move forward."""
    changes: dict[str, Any] = {"provider_message_id": receipt.provider_message_id, **ledger.times_of("accepted", as_of)}
    if moves:
        changes |= {"status": receipt.status, **ledger.times_of(receipt.status, as_of)}
        if receipt.error_code is not None:
            changes |= {"error_code": receipt.error_code, "error": describe(receipt.error_code)}
    elif receipt.status == "sent":
        changes |= ledger.times_of("sent", as_of)
    return changes
