"""What a customer's text to us changes: a stop ends all texts to the phone, a start ends that stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.customers import suppression
from engage.storage.schema import inbound_sms


@dataclass(frozen=True)
class InboundSms:
    """A text that somebody sent to us, without what it says."""

    provider_message_id: str
    phone_hash: bytes = field(repr=False)
    text_class: str


def receive(engine: sa.Engine, sms: InboundSms, *, as_of: datetime) -> bool:
    """Do what a text asks for; returns False if that was done before, and changes nothing then.

    Stop, in whatever words, ends all texts to the phone. Start ends that again, and neither an opt-out that was made in
    the app nor being forgotten. All other texts are only noted.
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
        if sms.text_class in ("stop", "revocation"):
            source = f"inbound text: {sms.text_class}"
            suppression.suppress(conn, sms.phone_hash, reason="stop", source=source, as_of=as_of)
        elif sms.text_class == "start":
            suppression.allow_again(conn, sms.phone_hash)
        return True
