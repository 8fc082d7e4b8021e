"""Replies of customers by text: a stop ends all texts to the phone, and a start ends the stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.customers import consent_record, suppression
from engage.statuses import SuppressionReason, TextClass
from engage.storage.schema import inbound_sms, message

_QUOTABLE = 5
"""Number of the last messages to a phone in which the service looks for a customer's quotation."""


@dataclass(frozen=True)
class InboundSms:
    """A text from a customer, without its wording."""

    provider_message_id: str
    phone_hash: bytes = field(repr=False)
    text_class: TextClass


def receive(engine: sa.Engine, sms: InboundSms, *, as_of: datetime) -> bool:
    """Act on a text; returns False, and changes nothing, if Engage has acted on it before.

    A stop in any words suppresses the phone. A start ends that suppression; it ends neither an opt-out in the app nor
    an erasure. A later consent in the app ends a revocation, but not the keyword STOP. All other texts are only
    recorded.
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
        evidence = f"text {sms.provider_message_id}"
        if sms.text_class in _REASONS:
            source = f"inbound text: {sms.text_class}"
            reason = _REASONS[sms.text_class]
            changes = suppression.suppress(
                conn, sms.phone_hash, reason=reason, source=source, as_of=as_of, evidence=evidence
            )
        elif sms.text_class == TextClass.START:
            changes = suppression.allow_again(conn, sms.phone_hash, evidence=evidence, as_of=as_of)
        else:
            changes = []
        consent_record.append(conn, changes, as_of=as_of)
        return True


_REASONS = {TextClass.STOP: SuppressionReason.STOP, TextClass.REVOCATION: SuppressionReason.REVOCATION}


def quotable(engine: sa.Engine, phone_hash: bytes) -> list[str]:
    """The last texts that were sent to a phone, latest first."""
    theirs = sa.select(message.c.body).where(message.c.phone_hash == phone_hash, message.c.body.is_not(None))
    # only messages that are not skipped have a body; the index of phones has no others
    latest = theirs.where(message.c.reason.is_(None)).order_by(message.c.window_start.desc()).limit(_QUOTABLE)
    with engine.connect() as conn:
        return list(conn.execute(latest).scalars())
