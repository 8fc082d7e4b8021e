"""A customer's profile and opt-out, as the app sends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.customers import consent_record
from engage.customers import suppression as suppressions
from engage.customers.consent_record import ConsentEvent
from engage.errors import NoSuchCustomer, SyntheticCustomer
from engage.statuses import ConsentSource, ConsentState, SuppressionReason
from engage.storage.schema import customer
from engage.texts import phone

_Known = sa.Row[Any, Any, Any, Any]
"""A known customer's consent, its source, the opt-out and the phone's hash."""
EVIDENCE_MARK = "; "
"""Stands between the source of a consent and its proof."""


@dataclass(frozen=True)
class Profile:
    """All that the app knows of a customer. Without ``consent_at`` there is no consent.

    With ``stored_form`` the phone is one that was read before, perhaps by an older numbering plan, and stays as it is.

    Raises:
        InputError: ``phone`` is not a valid number. Any spelling of a number becomes the canonical one.
    """

    name: str | None = None
    phone: str | None = field(default=None, repr=False)
    locale: str | None = None
    time_zone: str | None = None
    registered_at: datetime | None = None
    consent_at: datetime | None = None
    consent_source: str | None = None
    consent_wording: str | None = None
    """What the customer agreed to. Only the consent record keeps it."""
    consent_evidence: str | None = None
    """A proof beside the source, such as the number of a form. Only the consent record keeps it."""

    stored_form: InitVar[bool] = False

    def __post_init__(self, stored_form: bool) -> None:
        if self.phone is not None and not stored_form:
            object.__setattr__(self, "phone", phone.parse(self.phone))


def put(
    conn: sa.Connection,
    customer_id: int,
    profile: Profile,
    *,
    hash_key: bytes,
    as_of: datetime,
    source: ConsentSource = ConsentSource.APP,
    actor: str | None = None,
) -> bool:
    """Store a customer's profile, and record its changes of consent; returns whether the customer is new. Idempotent.

    Raises:
        SyntheticCustomer: as of ``store``.
    """
    new, changes = store(conn, customer_id, profile, hash_key=hash_key, as_of=as_of, source=source, actor=actor)
    consent_record.append(conn, changes, as_of=as_of)
    return new


def store(
    conn: sa.Connection,
    customer_id: int,
    profile: Profile,
    *,
    hash_key: bytes,
    as_of: datetime,
    source: ConsentSource,
    actor: str | None,
) -> tuple[bool, list[ConsentEvent]]:
    """Store a customer's profile; returns whether the customer is new, and the changes, which the caller records.

    A consent that was withdrawn at its time or later does not come back: the present consent, or none, stays. A new
    consent ends an earlier opt-out and an earlier revocation by text, unless the consent lies in the future. A
    phone that is suppressed for another reason stays suppressed. If a customer who has opted out changes the phone, the
    old phone is suppressed. Suppressions that an earlier version recorded under another spelling of the phone count.

    Raises:
        SyntheticCustomer: the id belongs to a synthetic customer.
    """
    event = ConsentEvent(
        state=ConsentState.ABSENT, source=source, happened_at=as_of, customer_id=customer_id, actor=actor
    )
    new_hash, changes = _hash_of(conn, profile.phone, hash_key, event) if profile.phone else (None, [])
    event = replace(event, phone_hash=new_hash)
    values = {
        "name": profile.name,
        "phone": profile.phone,
        "phone_hash": new_hash,
        "locale": profile.locale,
        "time_zone": profile.time_zone,
        "consent_at": profile.consent_at,
        "consent_source": profile.consent_source,
    }
    given = {"registered_at": profile.registered_at} if profile.registered_at else {}
    before = _add_or_lock(conn, customer_id, {"registered_at": as_of} | given | values)
    if before and _is_over(conn, customer_id, profile, before):
        values |= {"consent_at": before.consent_at, "consent_source": before.consent_source}
        profile = replace(profile, stored_form=True, consent_at=before.consent_at, consent_source=before.consent_source)
    changes += _changes(profile, event, before)
    if before:
        changes += _keep_opt_out(conn, before, event)
        opted_out_at = None if _ends_opt_out(profile, before, as_of) else before.opted_out_at
        theirs = sa.and_(customer.c.customer_id == customer_id, ~customer.c.synthetic)
        done = conn.execute(sa.update(customer).where(theirs).values(opted_out_at=opted_out_at, **given, **values))
        if not done.rowcount:
            raise SyntheticCustomer(
                f"Customer {customer_id} is synthetic, made by seeding. Put real customers into another database, or "
                "give this one an id that no synthetic customer has."
            )
    consented = profile.consent_at
    if new_hash and consented and consented <= as_of and consented != (before and before.consent_at):
        changes += suppressions.lift_revocation(conn, new_hash, consented_at=consented, source=source, actor=actor)
    return before is None, changes


def _add_or_lock(conn: sa.Connection, customer_id: int, values: Mapping[str, Any]) -> _Known | None:
    """Add a customer, or lock a known one; returns the known one's consent, opt-out and phone."""
    columns = (customer.c.consent_at, customer.c.consent_source, customer.c.opted_out_at, customer.c.phone_hash)
    known = sa.select(*columns).where(customer.c.customer_id == customer_id).with_for_update()
    add = insert(customer).values(customer_id=customer_id, **values).on_conflict_do_nothing()
    while True:  # an erasure may come between the two statements
        if conn.execute(add.returning(customer.c.customer_id)).first():
            return None
        if before := conn.execute(known).one_or_none():
            return before


def _is_over(conn: sa.Connection, customer_id: int, profile: Profile, before: _Known) -> bool:
    """Whether the profile has an old consent that the customer has withdrawn, such as one from a client's old copy."""
    if profile.consent_at is None or profile.consent_at == before.consent_at:
        return False
    withdrawn = consent_record.withdrawn_since(sa.literal(customer_id), sa.literal(profile.consent_at))
    return bool(conn.execute(sa.select(withdrawn)).scalar_one())


def _changes(profile: Profile, event: ConsentEvent, before: _Known | None) -> list[ConsentEvent]:
    """What the profile changes of the customer's consent, for the record. ``before`` is None for a new customer.

    ``event`` has what all changes have in common, and happens at the time of the request.
    """
    changes = []
    if profile.consent_at is None:
        if before is None:
            changes.append(event)
        elif before.consent_at is not None:
            changes.append(replace(event, state=ConsentState.WITHDRAWN))
    elif before is None or (profile.consent_at, profile.consent_source) != (before.consent_at, before.consent_source):
        evidence = EVIDENCE_MARK.join(filter(None, (profile.consent_source, profile.consent_evidence))) or None
        given = replace(event, state=ConsentState.GIVEN, happened_at=profile.consent_at)
        changes.append(replace(given, wording=profile.consent_wording, evidence=evidence))
        if before and _ends_opt_out(profile, before, event.happened_at):
            changes.append(replace(given, state=ConsentState.RESUMED))
    if not changes and before and before.phone_hash != event.phone_hash:
        changes.append(replace(event, state=ConsentState.PHONE_CHANGED))
    return changes


def _ends_opt_out(profile: Profile, before: _Known, as_of: datetime) -> bool:
    """Whether the profile has a consent that is new, later than the opt-out, and not in the future."""
    consented = profile.consent_at
    if consented is None or before.opted_out_at is None or consented == before.consent_at:
        return False
    return bool(before.opted_out_at < consented <= as_of)


def _hash_of(
    conn: sa.Connection, number: str, hash_key: bytes, event: ConsentEvent
) -> tuple[bytes, list[ConsentEvent]]:
    """The phone's hash, under which its suppressions stand from now on, and the changes of these."""
    hashed = phone.phone_hash(number, hash_key)
    former = [phone.phone_hash(spelling, hash_key) for spelling in phone.trunk_spellings(number)]
    return hashed, suppressions.take_over(
        conn, former, hashed, as_of=event.happened_at, origin=event.source, actor=event.actor
    )


def _keep_opt_out(conn: sa.Connection, before: _Known, event: ConsentEvent) -> list[ConsentEvent]:
    """Suppress the old phone of a customer who has opted out and changes the phone; the opt-out stays too."""
    if before.opted_out_at is None or before.phone_hash in {None, event.phone_hash}:
        return []
    source = "opted out in the app, and has another phone now"
    return suppressions.suppress(
        conn,
        before.phone_hash,
        reason=SuppressionReason.STOP,
        source=source,
        as_of=event.happened_at,
        origin=event.source,
        actor=event.actor,
    )


def opt_out(
    conn: sa.Connection,
    customer_id: int,
    *,
    as_of: datetime,
    source: ConsentSource = ConsentSource.APP,
    actor: str | None = None,
    evidence: str | None = None,
) -> None:
    """End texts to the customer and the phone until a new consent. Idempotent: the first time stays.

    Raises:
        NoSuchCustomer: no customer has this id.
    """
    theirs = customer.c.customer_id == customer_id
    columns = (customer.c.opted_out_at, customer.c.phone_hash)
    before = conn.execute(sa.select(*columns).where(theirs).with_for_update()).one_or_none()
    if before is None:
        raise no_such_customer(customer_id)
    if before.opted_out_at is not None:
        return
    conn.execute(sa.update(customer).where(theirs).values(opted_out_at=as_of))
    change = ConsentEvent(
        state=ConsentState.OPTED_OUT,
        source=source,
        happened_at=as_of,
        customer_id=customer_id,
        phone_hash=before.phone_hash,
        actor=actor,
        evidence=evidence,
    )
    consent_record.append(conn, [change], as_of=as_of)


def no_such_customer(customer_id: int) -> NoSuchCustomer:
    """The error for an unknown customer id."""
    return NoSuchCustomer(f"There is no customer {customer_id}.")
