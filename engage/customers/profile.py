"""A customer's profile as the app sends it, and an opt-out that the customer makes in the app."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.customers import suppression as suppressions
from engage.errors import NoSuchCustomer, SyntheticCustomer
from engage.storage.schema import customer
from engage.texts.phone import phone_hash


@dataclass(frozen=True)
class Profile:
    """All that the app knows of a customer. ``phone`` is E.164; no ``consent_at`` is no consent."""

    name: str | None = None
    phone: str | None = field(default=None, repr=False)
    locale: str | None = None
    time_zone: str | None = None
    registered_at: datetime | None = None
    consent_at: datetime | None = None
    consent_source: str | None = None


def put(conn: sa.Connection, customer_id: int, profile: Profile, *, hash_key: bytes, as_of: datetime) -> bool:
    """Make the profile the customer's; returns whether they are new. Again: changes nothing.

    A new consent that is later than the customer's opt-out, and not in the future, ends that. A suppressed phone stays
    suppressed, and so does the old one of somebody who has opted out and has another phone now.

    Raises:
        SyntheticCustomer: the id is one of the synthetic customers'.
    """
    new_hash = phone_hash(profile.phone, hash_key) if profile.phone else None
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
        return True
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
            f"Customer {customer_id} is a synthetic one, made by seeding. Real customers go into a database of their "
            "own, or take an id that no synthetic one has."
        )
    return False


def _keep_opt_out(conn: sa.Connection, customer_id: int, phone_hash: bytes | None, as_of: datetime) -> None:
    """An opt-out goes with the customer; where that takes them away from their phone, it also stays with that."""
    left = sa.and_(customer.c.opted_out_at.is_not(None), customer.c.phone_hash.is_distinct_from(phone_hash))
    theirs = sa.select(customer.c.phone_hash).where(customer.c.customer_id == customer_id, left).with_for_update()
    for old in conn.execute(theirs).scalars():
        if old is not None:
            source = "opted out in the app, and has another phone now"
            suppressions.suppress(conn, old, reason="stop", source=source, as_of=as_of)


def opt_out(conn: sa.Connection, customer_id: int, *, as_of: datetime) -> None:
    """Never text the customer, or their phone, again until they consent anew. Again: the first time stays.

    Raises:
        NoSuchCustomer: there is none with this id.
    """
    since = sa.func.coalesce(customer.c.opted_out_at, as_of)
    done = conn.execute(sa.update(customer).where(customer.c.customer_id == customer_id).values(opted_out_at=since))
    if not done.rowcount:
        raise no_such_customer(customer_id)


def no_such_customer(customer_id: int) -> NoSuchCustomer:
    """The error for an id that no customer has."""
    return NoSuchCustomer(f"There is no customer {customer_id}.")
