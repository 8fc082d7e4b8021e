"""Erasure: forget a customer and keep the counts of campaigns."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engage.customers import suppression
from engage.errors import NotReady
from engage.storage.schema import (
    LOG_TIMES,
    customer,
    customer_activity,
    customer_bucket,
    inbound_sms,
    message,
)


@dataclass(frozen=True)
class Forgotten:
    """What forgetting somebody has changed."""

    known: bool
    events: int
    messages: int


def forget(engine: sa.Engine, customer_id: int, *, as_of: datetime) -> Forgotten:
    """Remove what is known of a customer, and make what campaigns have computed and sent nobody's.

    Their row, their events and what is noted of their texts to us are deleted. Their numbers, bucket and messages stay,
    without text, phone and provider's id, under a random negative id that nothing leads to, so every campaign's counts
    stay right. Their phone is suppressed by its keyed hash. Again: changes nothing.

    Raises:
        NotReady: a message to them is being handed over at this moment.
    """
    with engine.begin() as conn:
        removed = conn.execute(
            sa.delete(customer).where(customer.c.customer_id == customer_id).returning(customer.c.phone_hash)
        ).all()
        hashes = _blank_messages(conn, customer_id, as_of)
        for phone_hash in {*hashes, *(row.phone_hash for row in removed)} - {None}:
            conn.execute(sa.delete(inbound_sms).where(inbound_sms.c.phone_hash == phone_hash))
            suppression.suppress(conn, phone_hash, reason="erasure", source="forgotten on request", as_of=as_of)
        logs = [sa.delete(log).where(log.c.customer_id == customer_id) for log in LOG_TIMES]
        events = sum(conn.execute(delete).rowcount for delete in logs)
        nobody = -secrets.randbelow(2**62) - 1
        for table in (customer_activity, customer_bucket, message):
            conn.execute(sa.update(table).where(table.c.customer_id == customer_id).values(customer_id=nobody))
    return Forgotten(known=bool(removed), events=events, messages=len(hashes))


def _blank_messages(conn: sa.Connection, customer_id: int, as_of: datetime) -> list[bytes | None]:
    """Take what is personal out of a customer's messages; returns the phone of each."""
    theirs = message.c.customer_id == customer_id
    found = conn.execute(sa.select(message.c.phone_hash, message.c.status).where(theirs).with_for_update()).all()
    if any(row.status == "sending" for row in found):
        raise NotReady(f"A message to customer {customer_id} is being sent at this moment. Try again in a minute.")
    conn.execute(
        sa.update(message)
        .where(theirs, message.c.status == "queued")
        .values(status="skipped", reason="erased", settled_at=as_of)
    )
    conn.execute(sa.update(message).where(theirs).values(phone_hash=None, body=None, provider_message_id=None))
    return [row.phone_hash for row in found]
