"""Which customers may be texted: decided when messages are queued, and again when each is claimed.

The database decides by one expression both times, so a late STOP wins. Python decides what the database cannot: whether
a number can be a mobile's, and what time it is there. It does so only for a provider that reaches people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.settings import Settings
from engage.statuses import MessageStatus, SkipReason, SuppressionReason
from engage.storage.schema import campaign, customer, customer_exclusion, message, suppression
from engage.texts import local_time
from engage.texts.phone import not_textable
from engage.texts.sending_hours import SendingHours
from engage.window import Window

_CLAIMING_LOCK = 0x636C61696D  # "claim"
_MIN_LEFT = timedelta(minutes=1)
"""A message that could not be delivered within this is held until the hours open again."""


@dataclass(frozen=True)
class FrequencyCap:
    """The cap on messages across campaigns: none to a customer texted since ``cutoff`` by one of ``others``."""

    cutoff: datetime
    others: Sequence[datetime]
    """The campaigns' window starts."""

    def too_soon(self) -> sa.ColumnElement[bool]:
        """Whether another campaign's message may have reached this customer, or this phone, since the cutoff."""
        other = message.alias("other")
        at = sa.func.coalesce(other.c.accepted_at, other.c.sending_at)
        in_doubt = other.c.status.in_((MessageStatus.SENDING, MessageStatus.UNKNOWN))
        may_have_reached = sa.or_(other.c.accepted_at.is_not(None), in_doubt)
        recent = sa.exists().where(
            other.c.window_start == sa.any_(sa.literal(list(self.others), ARRAY(sa.DateTime(timezone=True)))),
            other.c.reason.is_(None),
            may_have_reached,
            at >= self.cutoff,
        )
        same_phone = recent.where(other.c.phone_hash == customer.c.phone_hash)
        return sa.or_(same_phone, recent.where(other.c.customer_id == customer.c.customer_id))


def take_turns(conn: sa.Connection) -> None:
    """Let no other campaign claim until the commit, so that two at once do not both text one customer."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLAIMING_LOCK)))


def frequency_cap(conn: sa.Connection, window: Window, settings: Settings, now: datetime) -> FrequencyCap | None:
    """The cap that applies to ``window``'s campaign at this moment; None if no other campaign comes near it.

    Days are counted from the UTC day of a message, so that a cap of 56 days lets a campaign every 56 days through.
    """
    if not settings.min_days_between_messages:
        return None
    day = now.astimezone(UTC).date() - timedelta(days=settings.min_days_between_messages - 1)
    cutoff = datetime.combine(day, time.min, UTC)
    others = conn.execute(
        sa.select(campaign.c.window_start).where(
            campaign.c.window_start != window.start,
            campaign.c.frozen_at.is_not(None),
            sa.or_(campaign.c.finished_at.is_(None), campaign.c.finished_at >= cutoff),
        )
    ).scalars()
    found = list(others)
    return FrequencyCap(cutoff, found) if found else None


def ineligible(settings: Settings, cap: FrequencyCap | None, now: datetime) -> sa.Case[str]:
    """The reason why a customer may not be texted, or null. ``customer`` may be outer joined.

    An opt-out belongs to the phone: no customer who shares it is texted. A consent counts from its time on.
    """
    consented = sa.and_(customer.c.consent_at.is_not(None), customer.c.consent_at <= now)
    same_phone = customer.alias("same_phone")
    shares = sa.exists().where(same_phone.c.phone_hash == customer.c.phone_hash, same_phone.c.opted_out_at.is_not(None))
    suppressed = sa.exists().where(suppression.c.phone_hash == customer.c.phone_hash)
    excluded = sa.exists().where(customer_exclusion.c.customer_id == customer.c.customer_id)
    dead = suppressed.where(suppression.c.reason == SuppressionReason.DEAD_NUMBER)
    reasons: list[tuple[sa.ColumnElement[bool], SkipReason]] = [
        (customer.c.customer_id.is_(None), SkipReason.NO_CUSTOMER),
        (customer.c.opted_out_at.is_not(None), SkipReason.OPTED_OUT),
        (shares, SkipReason.OPTED_OUT),
        (dead, SkipReason.DEAD_NUMBER),
        (suppressed, SkipReason.SUPPRESSED),
        (sa.not_(consented), SkipReason.NO_CONSENT),
        (customer.c.phone.is_(None), SkipReason.NO_PHONE),
        (excluded, SkipReason.EXCLUDED),
    ]
    if settings.real:
        reasons.append((customer.c.synthetic, SkipReason.SYNTHETIC))
    if cap is not None:
        reasons.append((cap.too_soon(), SkipReason.TOO_SOON))
    cases = [(condition, sa.literal(reason, sa.Text)) for condition, reason in reasons]
    return sa.case(*cases, else_=sa.cast(sa.null(), sa.Text))


@dataclass(frozen=True)
class Readiness:
    """Whether to text one recipient now: if not, the reason to skip or when to go on; else how long it stays valid."""

    skip_reason: SkipReason | None = None
    hold_until: datetime | None = None
    valid_for: timedelta | None = None


_ANY_TIME = Readiness()


@dataclass(frozen=True)
class RecipientChecks:
    """The checks of a recipient's phone, and of the local time there."""

    settings: Settings

    @cached_property
    def _strict(self) -> bool:
        return self.settings.strict

    @cached_property
    def _hours(self) -> SendingHours:
        return SendingHours.parse(self.settings.sending_hours)

    def readiness(self, number: str, time_zone: str | None, now: datetime) -> Readiness:
        """Whether the recipient may be texted at this moment."""
        if not self._strict:
            return _ANY_TIME
        if why := not_textable(number):
            return Readiness(why)
        zones = local_time.zones(number, time_zone)
        return _within_hours(self._hours, zones, now) if zones else Readiness(SkipReason.NO_TIME_ZONE)


@lru_cache(maxsize=1000)
def _within_hours(hours: SendingHours, zones: tuple[ZoneInfo, ...], now: datetime) -> Readiness:
    opens = hours.opens_at(zones, now)
    if opens is not None and opens <= now:
        closes = hours.closes_at(zones, now)
        if closes is None or closes - now > _MIN_LEFT:
            return Readiness(valid_for=None if closes is None else closes - now)
        opens = hours.opens_at(zones, closes)
    return Readiness(hold_until=opens) if opens is not None else Readiness(SkipReason.QUIET_HOURS)
