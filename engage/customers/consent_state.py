"""What the consent record says held at a time: who might be texted, and the change that decided it.

A change counts from ``happened_at`` on, but not before Engage knew of it. So the answer is what Engage went by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from engage.statuses import ConsentSource, ConsentState, SkipReason
from engage.storage.schema import consent_event

_NO_CONSENT = {ConsentState.ABSENT, ConsentState.WITHDRAWN}


@dataclass(frozen=True)
class Recorded:
    """A row of the record. ``blanked`` is true once an erasure has taken the customer out of it."""

    chain: int
    number: int
    customer_id: int | None
    phone_hash: bytes | None = field(repr=False)
    state: ConsentState
    source: ConsentSource
    wording: str | None
    evidence: str | None
    actor: str | None
    happened_at: datetime
    recorded_at: datetime
    blanked: bool

    @property
    def known_at(self) -> datetime:
        """From when on Engage knew. Of changes before migration 0022 only the time of the change is known."""
        return self.happened_at if self.source == ConsentSource.EARLIER else self.recorded_at


@dataclass(frozen=True)
class Standing:
    """Whether a customer might be texted at a time: the reason why not, and the change that decided it.

    Without a ``reason`` the customer might be texted by the consent ``because``. A negative ``customer_id`` stands for
    a customer who is erased by now.
    """

    customer_id: int
    phone_hash: bytes | None = field(repr=False)
    reason: SkipReason | None
    because: Recorded | None


def of_phone(conn: sa.Connection, phone_hash: bytes) -> list[Recorded]:
    """The changes of a phone and of all customers who have or had it, in the order of their chains."""
    return _load(conn, [phone_hash], [])


def of_customer(conn: sa.Connection, customer_id: int) -> list[Recorded]:
    """The changes of a customer, of the customer's phones, and of all customers who have or had one of these."""
    event = consent_event.c
    theirs = sa.select(event.phone_hash).distinct().where(event.customer_id == customer_id)
    phones = conn.execute(theirs.where(event.phone_hash.is_not(None))).scalars().all()
    return _load(conn, phones, [customer_id])


def _load(conn: sa.Connection, phones: Sequence[bytes], customers: Sequence[int]) -> list[Recorded]:
    event = consent_event.c
    sharing = sa.select(event.customer_id).where(event.phone_hash.in_(phones), event.customer_id.is_not(None))
    of_phones = sa.and_(event.customer_id.is_(None), event.phone_hash.in_(phones))
    involved = sa.or_(event.customer_id.in_(customers), event.customer_id.in_(sharing), of_phones)
    names = ("chain", "number", "customer_id", "phone_hash", "state", "source", "wording", "evidence", "actor")
    columns = [event[name] for name in (*names, "happened_at", "recorded_at")]
    query = (
        sa.select(*columns, event.salt.is_(None).label("blanked")).where(involved).order_by(event.chain, event.number)
    )
    return [
        Recorded(**row._asdict() | {"state": ConsentState(row.state), "source": ConsentSource(row.source)})
        for row in conn.execute(query).all()
    ]


@dataclass
class _Customer:
    """A customer's state as the changes come in."""

    phone_hash: bytes | None = None
    consent: Recorded | None = None
    opted_out: Recorded | None = None
    erased: bool = False

    def add(self, change: Recorded) -> None:
        if change.state == ConsentState.ERASED:
            self.erased = True
            return
        self.phone_hash = change.phone_hash
        if change.state in {ConsentState.GIVEN, *_NO_CONSENT}:
            self.consent = change
        elif change.state == ConsentState.OPTED_OUT:
            self.opted_out = change
        elif change.state == ConsentState.RESUMED:
            self.opted_out = None


def standings(changes: Iterable[Recorded], at: datetime) -> list[Standing]:
    """The standing of each customer who was known at a time, by id. ``changes`` are in the order of their chains."""
    customers: dict[int, _Customer] = {}
    phones: dict[bytes | None, Recorded] = {}
    for change in changes:
        if change.known_at > at:
            continue
        if change.customer_id is None:
            phones[change.phone_hash] = change
        else:
            customers.setdefault(change.customer_id, _Customer()).add(change)
    there = {id_: one for id_, one in customers.items() if not one.erased}
    return [
        Standing(id_, one.phone_hash, *_decided(one, there.values(), phones, at)) for id_, one in sorted(there.items())
    ]


def _decided(
    one: _Customer, everyone: Iterable[_Customer], phones: dict[bytes | None, Recorded], at: datetime
) -> tuple[SkipReason | None, Recorded | None]:
    """Why a customer might not be texted, as ``sending.eligibility`` decides it, and the change behind it."""
    if one.opted_out:
        return SkipReason.OPTED_OUT, one.opted_out
    if one.phone_hash is not None:
        for other in everyone:
            if other.phone_hash == one.phone_hash and other.opted_out:
                return SkipReason.OPTED_OUT, other.opted_out
        stop = phones.get(one.phone_hash)
        if stop and stop.state != ConsentState.RESUMED:
            dead = stop.state == ConsentState.DEAD_NUMBER
            return SkipReason.DEAD_NUMBER if dead else SkipReason.SUPPRESSED, stop
    if one.consent is None or one.consent.state in _NO_CONSENT or one.consent.happened_at > at:
        return SkipReason.NO_CONSENT, one.consent
    return (SkipReason.NO_PHONE if one.phone_hash is None else None), one.consent
