"""Suppression: phones that are never texted again, by their keyed hash."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.storage.schema import suppression


def suppress(conn: sa.Connection, phone_hash: bytes, *, reason: str, source: str, as_of: datetime) -> None:
    """Never text a phone again. ``reason`` is one of ``SuppressionReason``.

    The first reason stays, but for an erasure, which takes the place of the others: it is the one that no START ends.
    """
    row = {"phone_hash": phone_hash, "reason": reason, "source": source, "suppressed_at": as_of}
    outranks = sa.and_(sa.literal(reason) == "erasure", suppression.c.reason != "erasure")
    conn.execute(
        insert(suppression).values(row).on_conflict_do_update(index_elements=["phone_hash"], set_=row, where=outranks)
    )


def allow_again(conn: sa.Connection, phone_hash: bytes) -> None:
    """Take a phone off the list because its owner says so; one that was forgotten stays on it."""
    theirs = suppression.c.phone_hash == phone_hash
    conn.execute(sa.delete(suppression).where(theirs, suppression.c.reason != "erasure"))
