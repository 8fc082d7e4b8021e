"""What the app tells of a customer, and what it may ask about one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.campaigns import campaign
from engage.campaigns.campaign import Campaign
from engage.customers import erasure as customer_data
from engage.errors import NoSuchCustomer, SyntheticCustomer
from engage.settings import Settings
from engage.steps import bucket
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import customer, customer_activity, customer_bucket, message, suppression
from engage.texts.phone import masked, phone_hash
from engage.window import Window


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
            customer_data.suppress(conn, old, reason="stop", source=source, as_of=as_of)


def opt_out(conn: sa.Connection, customer_id: int, *, as_of: datetime) -> None:
    """Never text the customer, or their phone, again until they consent anew. Again: the first time stays.

    Raises:
        NoSuchCustomer: there is none with this id.
    """
    since = sa.func.coalesce(customer.c.opted_out_at, as_of)
    done = conn.execute(sa.update(customer).where(customer.c.customer_id == customer_id).values(opted_out_at=since))
    if not done.rowcount:
        raise _unknown(customer_id)


def view(conn: sa.Connection, customer_id: int) -> dict[str, Any]:
    """What is known of a customer, the phone masked, and what the last campaign with them made of it.

    Raises:
        NoSuchCustomer: there is none with this id.
    """
    row = conn.execute(sa.select(customer).where(customer.c.customer_id == customer_id)).one_or_none()
    if row is None:
        raise _unknown(customer_id)
    held = sa.select(sa.literal(1)).where(suppression.c.phone_hash == row.phone_hash)
    return {
        "customer_id": row.customer_id,
        "registered_at": row.registered_at,
        "name": row.name,
        "phone": masked(row.phone) or None,
        "locale": row.locale,
        "time_zone": row.time_zone,
        "consent": row.consent_at and {"at": row.consent_at, "source": row.consent_source},
        "opted_out_at": row.opted_out_at,
        "suppressed": row.phone_hash is not None and conn.execute(held).first() is not None,
        "campaign": next(iter(campaigns(conn, customer_id, limit=1)), None),
    }


def campaigns(conn: sa.Connection, customer_id: int, *, limit: int) -> list[dict[str, Any]]:
    """The customer's numbers, bucket and message in the latest windows that have them, newest first.

    A campaign that is just computed anew is left out: its settings do not explain the buckets of before.
    """
    theirs = customer_bucket.alias("theirs")
    same = sa.and_(
        customer_activity.c.customer_id == theirs.c.customer_id,
        customer_activity.c.window_start == theirs.c.window_start,
    )
    texted = sa.and_(message.c.customer_id == theirs.c.customer_id, message.c.window_start == theirs.c.window_start)
    query = (
        sa.select(theirs, customer_activity.c.sessions, customer_activity.c.purchases, message.c.status,
                  message.c.reason)
        .join(customer_activity, same)
        .join(campaign_table, campaign_table.c.window_start == theirs.c.window_start)
        .join(message, texted, isouter=True)
        .where(theirs.c.customer_id == customer_id, campaign.has_buckets())
        .order_by(theirs.c.window_start.desc())
        .limit(limit)
    )  # fmt: skip
    both = [(row, campaign.find(conn, Window(row.window_start))) for row in conn.execute(query).all()]
    return [_campaign(row, found, found.settings) for row, found in both if found and found.settings]


def _campaign(row: sa.Row[Any], found: Campaign, settings: Settings) -> dict[str, Any]:
    return {
        "window_start": found.window.start,
        "window_end": found.window.end,
        "status": found.status,
        "sessions": row.sessions,
        "purchases": row.purchases,
        "total_spend": f"{row.total_spend_cents // 100}.{row.total_spend_cents % 100:02}",
        "avg_weekly_sessions": row.avg_weekly_sessions,
        "bucket": row.bucket,
        "why": bucket.why(row.bucket, settings),
        "message": row.status and {"status": row.status, "reason": row.reason},
    }


def _unknown(customer_id: int) -> NoSuchCustomer:
    return NoSuchCustomer(f"There is no customer {customer_id}.")
