"""Who may be texted: decided when a campaign's messages are queued, and again when each is about to be sent.

What the database can tell is one expression, asked both times, so a late STOP wins. What it cannot tell, whether a
number can be anybody's and what time it is there, is decided in Python, and only for a provider that reaches people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.settings import Settings
from engage.storage.schema import campaign, customer, message, suppression
from engage.texts import phone
from engage.texts.sending_hours import SendingHours
from engage.window import Window

_CLAIMING_LOCK = 0x636C61696D  # "claim"
_MIN_LEFT = timedelta(minutes=1)
"""A message that could not be delivered within this is held until the hours open again."""


@dataclass(frozen=True)
class Frequency:
    """The cap on messages across campaigns: none to somebody texted since ``cutoff`` by one of ``others``."""

    cutoff: datetime
    others: Sequence[datetime]

    def too_soon(self) -> sa.ColumnElement[bool]:
        """Whether another campaign's message may have reached this customer, or this phone, since the cutoff."""
        other = message.alias("other")
        at = sa.func.coalesce(other.c.accepted_at, other.c.sending_at)
        may_have_reached = sa.or_(other.c.accepted_at.is_not(None), other.c.status.in_(("sending", "unknown")))
        recent = sa.exists().where(
            other.c.window_start == sa.any_(sa.literal(list(self.others), ARRAY(sa.DateTime(timezone=True)))),
            other.c.reason.is_(None),
            may_have_reached,
            at >= self.cutoff,
        )
        same_phone = recent.where(other.c.phone_hash == customer.c.phone_hash)
        return sa.or_(same_phone, recent.where(other.c.customer_id == customer.c.customer_id))


def take_turns(conn: sa.Connection) -> None:
    """Let no other campaign claim until the commit, so that two at once do not both text somebody."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLAIMING_LOCK)))


def frequency(conn: sa.Connection, window: Window, settings: Settings, now: datetime) -> Frequency | None:
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
    return Frequency(cutoff, found) if found else None


def ineligible(settings: Settings, cap: Frequency | None) -> sa.Case[str]:
    """Why a customer may not be texted, or null; ``customer`` may be joined from the outside.

    An opt-out belongs to the phone: whoever shares it is not texted either.
    """
    same_phone = customer.alias("same_phone")
    shares = sa.exists().where(same_phone.c.phone_hash == customer.c.phone_hash, same_phone.c.opted_out_at.is_not(None))
    suppressed = sa.exists().where(suppression.c.phone_hash == customer.c.phone_hash)
    reasons: list[tuple[sa.ColumnElement[bool], str]] = [
        (customer.c.customer_id.is_(None), "no_customer"),
        (customer.c.opted_out_at.is_not(None), "opted_out"),
        (shares, "opted_out"),
        (suppressed, "suppressed"),
        (customer.c.consent_at.is_(None), "no_consent"),
        (customer.c.phone.is_(None), "no_phone"),
    ]
    if settings.real:
        reasons.append((customer.c.synthetic, "synthetic"))
    if cap is not None:
        reasons.append((cap.too_soon(), "too_soon"))
    return sa.case(*reasons, else_=sa.cast(sa.null(), sa.Text))


_HOLDOUT_PARTS = 1 << 24


def held_out(window: Window, customer_id: sa.ColumnElement[int], percent: Decimal) -> sa.ColumnElement[bool]:
    """Whether a customer is in the campaign's holdout: the same answer for ever, and another for each campaign.

    The first three bytes of the SHA-256 of ``window_start/customer_id``, such as ``2026-09-14/17``, as a number.
    """
    seed = sa.func.concat(f"{window.start:%Y-%m-%d}/", customer_id)
    digest = sa.func.sha256(sa.func.convert_to(seed, "UTF8"))
    byte = [sa.func.get_byte(digest, n, type_=sa.Integer) for n in range(3)]
    number = (byte[0] * 256 + byte[1]) * 256 + byte[2]
    return number < int(percent * _HOLDOUT_PARTS / 100)


@dataclass(frozen=True)
class Moment:
    """What the clock says about one recipient: whether to send now, and until when it may be delivered."""

    reason: str | None = None
    hold_until: datetime | None = None
    valid_for: timedelta | None = None


@dataclass(frozen=True)
class Recipients:
    """The checks of a recipient's phone, and of the time where they are."""

    settings: Settings

    @cached_property
    def _strict(self) -> bool:
        return self.settings.strict

    @cached_property
    def _hours(self) -> SendingHours:
        return SendingHours.parse(self.settings.sending_hours)

    def moment(self, number: str, time_zone: str | None, now: datetime) -> Moment:
        """Whether somebody may be texted at this moment."""
        if not self._strict:
            return _ANY_TIME
        if not phone.is_valid(number):
            return Moment(reason="invalid_phone")
        zones = phone.zones(number, time_zone)
        return _at(self._hours, zones, now) if zones else Moment(reason="no_time_zone")


_ANY_TIME = Moment()


@lru_cache(maxsize=1000)
def _at(hours: SendingHours, zones: tuple[ZoneInfo, ...], now: datetime) -> Moment:
    opens = hours.opens_at(zones, now)
    if opens is not None and opens <= now:
        closes = hours.closes_at(zones, now)
        if closes is None or closes - now > _MIN_LEFT:
            return Moment(valid_for=None if closes is None else closes - now)
        opens = hours.opens_at(zones, closes)
    return Moment(hold_until=opens) if opens is not None else Moment(reason="quiet_hours")
