"""Suppression: phones that get no texts, by their keyed hash."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.statuses import SuppressionReason
from engage.storage.schema import suppression


def suppress(
    conn: sa.Connection, phone_hash: bytes, *, reason: SuppressionReason, source: str, as_of: datetime
) -> None:
    """Never text a phone again.

    The first reason stays, unless the new one is an erasure: only an erasure outlasts a START.
    """
    row = {"phone_hash": phone_hash, "reason": reason, "source": source, "suppressed_at": as_of}
    is_erasure = sa.literal(reason == SuppressionReason.ERASURE)
    outranks = sa.and_(is_erasure, suppression.c.reason != SuppressionReason.ERASURE)
    conn.execute(
        insert(suppression).values(row).on_conflict_do_update(index_elements=["phone_hash"], set_=row, where=outranks)
    )


def allow_again(conn: sa.Connection, phone_hash: bytes) -> None:
    """End the suppression of a phone after its START; an erased phone stays suppressed."""
    theirs = suppression.c.phone_hash == phone_hash
    conn.execute(sa.delete(suppression).where(theirs, suppression.c.reason != SuppressionReason.ERASURE))
