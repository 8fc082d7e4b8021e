"""Erasure: remove a customer's data, and keep the counts of campaigns."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.customers import consent_record, suppression
from engage.errors import NotReady
from engage.statuses import MessageStatus, SkipReason, SuppressionReason
from engage.storage import partitions
from engage.storage.schema import (
    LOG_TIMES,
    archive_erasure,
    archived_log,
    customer,
    customer_activity,
    customer_bucket,
    customer_exclusion,
    inbound_sms,
    message,
    odd_customer,
    offer_code,
    test_send,
)

_IDENTIFYING = ("registered_at", "last_session_at", "first_purchase_at", "last_purchase_at", "favourite_item")
"""Numbers of campaigns by which a customer could be found in the records of a till, or in a log."""


@dataclass(frozen=True)
class ErasureSummary:
    """Whether the customer was known, and how many events were deleted and messages blanked.

    ``archive_waits``: there is an archive, which may hold the customer's events until they are erased there too.
    """

    known: bool
    events: int
    messages: int
    archive_waits: bool = False


def forget(engine: sa.Engine, customer_id: int, *, as_of: datetime, actor: str | None = None) -> ErasureSummary:
    """Erase a customer's data, and keep the counts of campaigns. Idempotent.

    It deletes the customer's row, events, test messages and records of inbound texts. The numbers, buckets and messages
    of campaigns stay under a random negative id, which cannot be traced back; the messages lose text, phone and
    provider's id. An offer code stays given and loses the customer. The phone is suppressed by its keyed hash. A step
    that computes customers at this moment ends first. The consent record keeps its rows, without the customer. The
    archive is reached later, from the table ``archive_erasure``.

    Raises:
        NotReady: the sender is handing over a message to the customer at this moment.
    """
    with engine.begin() as conn:
        partitions.lock_erasing(conn)
        removed = conn.execute(
            sa.delete(customer)
            .where(customer.c.customer_id == customer_id)
            .returning(customer.c.phone, customer.c.phone_hash)
        ).all()
        _blank_codes(conn, customer_id)  # before the messages, as a queue gives codes before it replaces messages
        hashes = _blank_messages(conn, customer_id, as_of)
        phones = sorted({*hashes, *(row.phone_hash for row in removed)} - {None})
        for phone_hash in phones:
            conn.execute(sa.delete(inbound_sms).where(inbound_sms.c.phone_hash == phone_hash))
            conn.execute(sa.delete(test_send).where(test_send.c.phone_hash == phone_hash))
            suppression.suppress(
                conn, phone_hash, reason=SuppressionReason.ERASURE, source="forgotten on request", as_of=as_of
            )
        conn.execute(sa.delete(test_send).where(test_send.c.phone.in_([row.phone for row in removed])))
        for table in (customer_exclusion, odd_customer):
            conn.execute(sa.delete(table).where(table.c.customer_id == customer_id))
        logs = [sa.delete(log).where(log.c.customer_id == customer_id) for log in LOG_TIMES]
        events = sum(conn.execute(delete).rowcount for delete in logs)
        stand_in = -secrets.randbelow(2**62) - 1
        for table in (customer_activity, customer_bucket, message):
            blank = {name: None for name in _IDENTIFYING if name in table.c}
            theirs = table.c.customer_id == customer_id
            conn.execute(sa.update(table).where(theirs).values(customer_id=stand_in, **blank))
        erasures = consent_record.blank(conn, customer_id, phones, as_of=as_of, actor=actor)
        consent_record.append(conn, erasures, as_of=as_of)
        archive_waits = _note_for_archive(conn, customer_id, as_of)
    return ErasureSummary(bool(removed), events, len(hashes), archive_waits)


def _note_for_archive(conn: sa.Connection, customer_id: int, as_of: datetime) -> bool:
    """Have ``archive.erasure`` remove the customer from the archive, if there is one; returns whether there is.

    A window that is archived for the first time at this moment is noted after the commit, and read after that.
    """
    if not conn.execute(sa.select(sa.exists().select_from(archived_log))).scalar_one():
        return False
    noted = {"customer_id": customer_id, "requested_at": as_of}
    conn.execute(insert(archive_erasure).values(noted).on_conflict_do_nothing())
    return True


def _blank_codes(conn: sa.Connection, customer_id: int) -> None:
    """Remove the customer from the offer codes, which are locked in their order, as redemptions lock them."""
    theirs = offer_code.c.customer_id == customer_id
    conn.execute(sa.select(offer_code.c.code).where(theirs).order_by(offer_code.c.code).with_for_update())
    conn.execute(sa.update(offer_code).where(theirs).values(customer_id=None))


def _blank_messages(conn: sa.Connection, customer_id: int, as_of: datetime) -> list[bytes | None]:
    """Remove personal data from a customer's messages; returns the phone hash of each."""
    theirs = message.c.customer_id == customer_id
    found = conn.execute(sa.select(message.c.phone_hash, message.c.status).where(theirs).with_for_update()).all()
    if any(row.status == MessageStatus.SENDING for row in found):
        raise NotReady(f"A message to customer {customer_id} is being sent at this moment. Try again in a minute.")
    conn.execute(
        sa.update(message)
        .where(theirs, message.c.status == MessageStatus.QUEUED)
        .values(status=MessageStatus.SKIPPED, reason=SkipReason.ERASED, settled_at=as_of)
    )
    conn.execute(sa.update(message).where(theirs).values(phone_hash=None, body=None, provider_message_id=None))
    return [row.phone_hash for row in found]
