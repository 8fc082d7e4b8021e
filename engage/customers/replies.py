"""Replies of customers by text: a stop ends all texts to the phone, and a start ends the stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.customers import suppression
from engage.statuses import SuppressionReason, TextClass
from engage.storage.schema import inbound_sms


@dataclass(frozen=True)
class InboundSms:
    """A text from a customer, without its wording."""

    provider_message_id: str
    phone_hash: bytes = field(repr=False)
    text_class: TextClass


def receive(engine: sa.Engine, sms: InboundSms, *, as_of: datetime) -> bool:
    """Act on a text; returns False, and changes nothing, if Engage has acted on it before.

    A stop in any words suppresses the phone. A start ends that suppression; it ends neither an opt-out in the app nor
    an erasure. All other texts are only recorded.
    """
    with engine.begin() as conn:
        row = {
            "provider_message_id": sms.provider_message_id,
            "phone_hash": sms.phone_hash,
            "text_class": sms.text_class,
            "received_at": as_of,
        }
        new = insert(inbound_sms).values(row).on_conflict_do_nothing().returning(inbound_sms.c.provider_message_id)
        if conn.execute(new).one_or_none() is None:
            return False
        if sms.text_class in (TextClass.STOP, TextClass.REVOCATION):
            source = f"inbound text: {sms.text_class}"
            suppression.suppress(conn, sms.phone_hash, reason=SuppressionReason.STOP, source=source, as_of=as_of)
        elif sms.text_class == TextClass.START:
            suppression.allow_again(conn, sms.phone_hash)
        return True
