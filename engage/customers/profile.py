"""A customer's profile and opt-out, as the app sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.customers import suppression as suppressions
from engage.errors import NoSuchCustomer, SyntheticCustomer
from engage.statuses import SuppressionReason
from engage.storage.schema import customer
from engage.texts import phone


@dataclass(frozen=True)
class Profile:
    """All that the app knows of a customer. Without ``consent_at`` there is no consent.

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

    def __post_init__(self) -> None:
        if self.phone is not None:
            object.__setattr__(self, "phone", phone.parse(self.phone))


def put(conn: sa.Connection, customer_id: int, profile: Profile, *, hash_key: bytes, as_of: datetime) -> bool:
    """Store a customer's profile; returns whether the customer is new. Idempotent.

    A new consent ends an earlier opt-out and an earlier revocation by text, unless the consent lies in the future. A
    phone that is suppressed for another reason stays suppressed. If a customer who has opted out changes the phone, the
    old phone is suppressed. Suppressions that an earlier version recorded under another spelling of the phone count.

    Raises:
        SyntheticCustomer: the id belongs to a synthetic customer.
    """
    new_hash = _hash_of(conn, profile.phone, hash_key) if profile.phone else None
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
    added = insert(customer).values(customer_id=customer_id, **({"registered_at": as_of} | given), **values)
    if conn.execute(added.on_conflict_do_nothing().returning(customer.c.customer_id)).first():
        _lift_revocation(conn, new_hash, profile.consent_at, known=None, as_of=as_of)
        return True
    of_customer = sa.select(customer.c.consent_at).where(customer.c.customer_id == customer_id).with_for_update()
    known = conn.execute(of_customer).scalar()
    _keep_opt_out(conn, customer_id, new_hash, as_of)
    consented = sa.cast(profile.consent_at, sa.DateTime(timezone=True))
    anew = sa.and_(
        customer.c.opted_out_at < consented, consented <= as_of, customer.c.consent_at.is_distinct_from(consented)
    )
    opted_out_at = sa.case((anew, None), else_=customer.c.opted_out_at)
    theirs = sa.and_(customer.c.customer_id == customer_id, ~customer.c.synthetic)
    done = conn.execute(sa.update(customer).where(theirs).values(opted_out_at=opted_out_at, **given, **values))
    if not done.rowcount:
        raise SyntheticCustomer(
            f"Customer {customer_id} is synthetic, made by seeding. Put real customers into another database, or give "
            "this one an id that no synthetic customer has."
        )
    _lift_revocation(conn, new_hash, profile.consent_at, known=known, as_of=as_of)
    return False


def _lift_revocation(
    conn: sa.Connection,
    phone_hash: bytes | None,
    consented_at: datetime | None,
    *,
    known: datetime | None,
    as_of: datetime,
) -> None:
    """End the revocation of a phone if the consent is new and does not lie in the future."""
    if phone_hash and consented_at and consented_at <= as_of and consented_at != known:
        suppressions.lift_revocation(conn, phone_hash, consented_at=consented_at)


def _hash_of(conn: sa.Connection, number: str, hash_key: bytes) -> bytes:
    """The phone's hash, under which its suppressions stand from now on."""
    hashed = phone.phone_hash(number, hash_key)
    former = [phone.phone_hash(spelling, hash_key) for spelling in phone.trunk_spellings(number)]
    suppressions.take_over(conn, former, hashed)
    return hashed


def _keep_opt_out(conn: sa.Connection, customer_id: int, phone_hash: bytes | None, as_of: datetime) -> None:
    """Suppress the old phone of a customer who has opted out and changes the phone; the opt-out stays too."""
    left = sa.and_(customer.c.opted_out_at.is_not(None), customer.c.phone_hash.is_distinct_from(phone_hash))
    theirs = sa.select(customer.c.phone_hash).where(customer.c.customer_id == customer_id, left).with_for_update()
    for old in conn.execute(theirs).scalars():
        if old is not None:
            source = "opted out in the app, and has another phone now"
            suppressions.suppress(conn, old, reason=SuppressionReason.STOP, source=source, as_of=as_of)


def opt_out(conn: sa.Connection, customer_id: int, *, as_of: datetime) -> None:
    """End texts to the customer and the phone until a new consent. Idempotent: the first time stays.

    Raises:
        NoSuchCustomer: no customer has this id.
    """
    since = sa.func.coalesce(customer.c.opted_out_at, as_of)
    done = conn.execute(sa.update(customer).where(customer.c.customer_id == customer_id).values(opted_out_at=since))
    if not done.rowcount:
        raise no_such_customer(customer_id)


def no_such_customer(customer_id: int) -> NoSuchCustomer:
    """The error for an unknown customer id."""
    return NoSuchCustomer(f"There is no customer {customer_id}.")
