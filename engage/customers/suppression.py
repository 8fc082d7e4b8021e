"""Suppression: phones that get no texts, by their keyed hash."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.statuses import ProviderFact, SuppressionReason
from engage.storage.schema import suppression

BY_FACT: dict[ProviderFact | None, SuppressionReason] = {
    ProviderFact.OPTED_OUT: SuppressionReason.PROVIDER,
    ProviderFact.NUMBER_INVALID: SuppressionReason.DEAD_NUMBER,
    ProviderFact.NOT_MOBILE: SuppressionReason.DEAD_NUMBER,
}
"""The provider's facts after which a phone is suppressed. All others say nothing about the next message to it."""

_HARDNESS = {
    SuppressionReason.DEAD_NUMBER: 0,
    SuppressionReason.REVOCATION: 1,
    SuppressionReason.STOP: 2,
    SuppressionReason.PROVIDER: 2,
    SuppressionReason.ERASURE: 3,
}
"""How hard a suppression is to end."""


def suppress(
    conn: sa.Connection, phone_hash: bytes, *, reason: SuppressionReason, source: str, as_of: datetime
) -> None:
    """Never text a phone again.

    The first reason stays, unless the new one is harder to end. A new phone ends a dead number, a consent a revocation,
    a START all but an erasure. A second revocation dates it anew, because only a consent after the last one ends it.
    """
    row = {"phone_hash": phone_hash, "reason": reason, "source": source, "suppressed_at": as_of}
    easier = [other for other in SuppressionReason if _HARDNESS[other] < _HARDNESS[reason]]
    again = sa.and_(suppression.c.reason == reason, suppression.c.suppressed_at < as_of)
    replaced = sa.or_(suppression.c.reason.in_(easier), again if reason == SuppressionReason.REVOCATION else sa.false())
    conn.execute(
        insert(suppression).values(row).on_conflict_do_update(index_elements=["phone_hash"], set_=row, where=replaced)
    )


def allow_again(conn: sa.Connection, phone_hash: bytes) -> None:
    """End the suppression of a phone after its START; an erased phone stays suppressed."""
    theirs = suppression.c.phone_hash == phone_hash
    conn.execute(sa.delete(suppression).where(theirs, suppression.c.reason != SuppressionReason.ERASURE))


def lift_revocation(conn: sa.Connection, phone_hash: bytes, *, consented_at: datetime) -> None:
    """End the suppression of a phone by a revocation that is older than the owner's consent."""
    theirs = sa.and_(suppression.c.phone_hash == phone_hash, suppression.c.reason == SuppressionReason.REVOCATION)
    conn.execute(sa.delete(suppression).where(theirs, suppression.c.suppressed_at < consented_at))


def take_over(conn: sa.Connection, former: Sequence[bytes], phone_hash: bytes) -> None:
    """Move the suppressions of a phone's former hashes to its hash; of several reasons the strictest stays."""
    if not former:
        return
    theirs = sa.delete(suppression).where(suppression.c.phone_hash.in_(former)).returning(*suppression.c)
    for row in sorted(conn.execute(theirs), key=lambda row: row.suppressed_at):
        suppress(conn, phone_hash, reason=row.reason, source=row.source, as_of=row.suppressed_at)
