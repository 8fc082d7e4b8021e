"""One customer's history: the profile, and the numbers, bucket and message in each campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from engage.campaigns import campaign, status
from engage.campaigns.campaign import Campaign
from engage.campaigns.status import Status
from engage.customers.profile import no_such_customer
from engage.segments.words import Words, Writer
from engage.settings import Settings
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import customer, customer_activity, customer_bucket, message, suppression
from engage.texts.phone import masked
from engage.window import Window


def view(conn: sa.Connection, customer_id: int) -> dict[str, Any]:
    """A customer's profile with the phone masked, and the latest of ``campaigns``, or None.

    Raises:
        NoSuchCustomer: no customer has this id.
    """
    row = conn.execute(sa.select(customer).where(customer.c.customer_id == customer_id)).one_or_none()
    if row is None:
        raise no_such_customer(customer_id)
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
    """``history`` for JSON: the customer's numbers, bucket and message in the latest campaigns, newest first."""
    return [one.to_dict() for one in history(conn, customer_id, limit=limit)]


@dataclass(frozen=True)
class InCampaign:
    """A customer's numbers, bucket and message in one campaign."""

    window: Window
    settings: Settings
    """Those of the campaign, with its thresholds."""
    status: Status
    sessions: int
    purchases: int
    total_spend_cents: int
    """After refunds."""
    refunded_cents: int
    """Money that the customer got back in the window; may be more than was spent there."""
    avg_weekly_sessions: float
    bucket: str
    message_status: str | None
    """None: the customer has no message."""
    message_reason: str | None
    values: Mapping[str, Any]
    """The row of ``customer_activity``, by which the rules decided."""
    model_id: int | None = None
    """The training by which the campaign's customers have a return score; None if they have none."""

    def why(self, *, amount: Writer = "{:.2f}".format, number: Writer = "{:f}".format) -> str:
        """Why the customer is in the bucket, in words. ``amount`` and ``number`` write values."""
        words = Words(self.values, self.window.end, amount=amount, number=number)
        return " ".join(words.why(self.settings.rules))

    def to_dict(self) -> dict[str, Any]:
        """The customer in the campaign for JSON. The spend is text with two decimals."""
        return {
            "window_start": self.window.start,
            "window_end": self.window.end,
            "status": self.status.key,
            "status_label": self.status.label,
            "sessions": self.sessions,
            "purchases": self.purchases,
            "total_spend": f"{self.total_spend_cents // 100}.{self.total_spend_cents % 100:02}",
            "avg_weekly_sessions": self.avg_weekly_sessions,
            "bucket": self.bucket,
            "why": self.why(),
            "message": self.message_status and {"status": self.message_status, "reason": self.message_reason},
        }


def history(conn: sa.Connection, customer_id: int, *, limit: int, window: Window | None = None) -> list[InCampaign]:
    """The customer's numbers, bucket and message in the latest campaigns, newest first, or in that of one ``window``.

    A campaign that a run is computing anew is left out: its settings do not explain its old buckets.
    """
    theirs = customer_bucket.alias("theirs")
    same = sa.and_(
        customer_activity.c.customer_id == theirs.c.customer_id,
        customer_activity.c.window_start == theirs.c.window_start,
    )
    texted = sa.and_(message.c.customer_id == theirs.c.customer_id, message.c.window_start == theirs.c.window_start)
    query = (
        sa.select(customer_activity, theirs.c.bucket, message.c.status, message.c.reason)
        .join(customer_activity, same)
        .join(campaign_table, campaign_table.c.window_start == theirs.c.window_start)
        .join(message, texted, isouter=True)
        .where(theirs.c.customer_id == customer_id, campaign.has_buckets())
        .order_by(theirs.c.window_start.desc())
        .limit(limit)
    )
    if window is not None:
        query = query.where(theirs.c.window_start == window.start)
    rows = {Window(row.window_start): row for row in conn.execute(query)}
    found = campaign.find_all(conn, rows)
    return [
        _in_campaign(rows[one.window], one, its_status, one.settings)
        for one, its_status in zip(found, status.of_all(conn, found), strict=True)
        if one.settings
    ]


def _in_campaign(row: sa.Row[Any], found: Campaign, its_status: Status, settings: Settings) -> InCampaign:
    return InCampaign(
        window=found.window,
        settings=settings,
        status=its_status,
        sessions=row.sessions,
        purchases=row.purchases,
        total_spend_cents=row.total_spend_cents,
        refunded_cents=row.refunded_cents,
        avg_weekly_sessions=row.avg_weekly_sessions,
        bucket=row.bucket,
        message_status=row.status,
        message_reason=row.reason,
        values=row._asdict(),
        model_id=found.model_id,
    )
