"""Suppression: phones that get no texts, by their keyed hash.

Each function returns its changes, which the caller appends to the consent record at the end of the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.customers.consent_record import STATE_OF, ConsentEvent
from engage.statuses import ConsentSource, ConsentState, ProviderFact, SuppressionReason
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


_SOURCES = {
    SuppressionReason.STOP: ConsentSource.STOP,
    SuppressionReason.REVOCATION: ConsentSource.REVOCATION,
    SuppressionReason.PROVIDER: ConsentSource.PROVIDER,
    SuppressionReason.DEAD_NUMBER: ConsentSource.PROVIDER,
    SuppressionReason.ERASURE: ConsentSource.ERASURE,
}
"""Where a suppression comes from, unless the caller knows better."""


def any_phone(conn: sa.Connection) -> bool:
    """Whether a phone is suppressed."""
    return bool(conn.execute(sa.select(sa.exists().select_from(suppression))).scalar_one())


def suppress(
    conn: sa.Connection,
    phone_hash: bytes,
    *,
    reason: SuppressionReason,
    source: str,
    as_of: datetime,
    origin: ConsentSource | None = None,
    actor: str | None = None,
    evidence: str | None = None,
) -> list[ConsentEvent]:
    """Never text a phone again. ``evidence`` is by default the ``source``.

    The first reason stays, unless the new one is harder to end. A new phone ends a dead number, a consent a revocation,
    a START all but an erasure. A second revocation dates it anew, because only a consent after the last one ends it.
    """
    row = {"phone_hash": phone_hash, "reason": reason, "source": source, "suppressed_at": as_of}
    easier = [other for other in SuppressionReason if _HARDNESS[other] < _HARDNESS[reason]]
    again = sa.and_(suppression.c.reason == reason, suppression.c.suppressed_at < as_of)
    replaced = sa.or_(suppression.c.reason.in_(easier), again if reason == SuppressionReason.REVOCATION else sa.false())
    put = insert(suppression).values(row)
    put = put.on_conflict_do_update(index_elements=["phone_hash"], set_=row, where=replaced)
    if conn.execute(put.returning(suppression.c.phone_hash)).first() is None:
        return []
    return [
        ConsentEvent(
            state=STATE_OF[SuppressionReason(reason)],
            source=origin or _SOURCES[SuppressionReason(reason)],
            happened_at=as_of,
            phone_hash=phone_hash,
            actor=actor,
            evidence=evidence or source,
        )
    ]


def allow_again(conn: sa.Connection, phone_hash: bytes, *, evidence: str, as_of: datetime) -> list[ConsentEvent]:
    """End the suppression of a phone after its START; an erased phone stays suppressed."""
    theirs = suppression.c.phone_hash == phone_hash
    done = conn.execute(sa.delete(suppression).where(theirs, suppression.c.reason != SuppressionReason.ERASURE))
    return [_resumed(phone_hash, ConsentSource.START, as_of, evidence=evidence)] * done.rowcount


def lift_revocation(
    conn: sa.Connection, phone_hash: bytes, *, consented_at: datetime, source: ConsentSource, actor: str | None
) -> list[ConsentEvent]:
    """End the suppression of a phone by a revocation that is older than the owner's consent."""
    theirs = sa.and_(suppression.c.phone_hash == phone_hash, suppression.c.reason == SuppressionReason.REVOCATION)
    done = conn.execute(sa.delete(suppression).where(theirs, suppression.c.suppressed_at < consented_at))
    return [_resumed(phone_hash, source, consented_at, actor=actor)] * done.rowcount


def take_over(
    conn: sa.Connection,
    former: Sequence[bytes],
    phone_hash: bytes,
    *,
    as_of: datetime,
    origin: ConsentSource,
    actor: str | None,
) -> list[ConsentEvent]:
    """Move the suppressions of a phone's former hashes to its hash; of several reasons the strictest stays."""
    if not former:
        return []
    theirs = sa.delete(suppression).where(suppression.c.phone_hash.in_(former)).returning(*suppression.c)
    events = []
    for row in sorted(conn.execute(theirs), key=lambda row: row.suppressed_at):
        events += suppress(conn, phone_hash, reason=row.reason, source=row.source, as_of=row.suppressed_at, actor=actor)
        moved = "the suppression went to the canonical form of the number"
        events.append(_resumed(row.phone_hash, origin, as_of, actor=actor, evidence=moved))
    return events


def _resumed(
    phone_hash: bytes, source: ConsentSource, at: datetime, *, actor: str | None = None, evidence: str | None = None
) -> ConsentEvent:
    """A phone may be texted again."""
    return ConsentEvent(
        state=ConsentState.RESUMED,
        source=source,
        happened_at=at,
        phone_hash=phone_hash,
        actor=actor,
        evidence=evidence,
    )
