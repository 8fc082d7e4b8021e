"""What stands at the head of a customer's page: whether the customer may be texted now, the time there, the texts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from engage.customers import exclusion
from engage.customers.exclusion import Exclusion
from engage.reports import message_detail, message_words
from engage.reports.message_detail import MessageDetail
from engage.sending import eligibility
from engage.settings import Settings
from engage.statuses import SkipReason
from engage.storage.schema import customer, message
from engage.texts import local_time
from engage.texts.phone import not_textable
from engage.texts.sending_hours import SendingHours


@dataclass(frozen=True)
class LocalTime:
    """The time of day where a customer is. Without ``quiet_until`` it is within the sending hours."""

    zone: ZoneInfo
    now: datetime
    quiet_until: datetime | None

    def at(self, moment: datetime) -> str:
        """A moment by the customer's clock, such as 14:13 PST."""
        return f"{moment.astimezone(self.zone):%H:%M %Z}"


@dataclass(frozen=True)
class Overview:
    """Whether a customer may be texted, and what was sent. ``barred`` says in words why not."""

    barred: str | None
    local: LocalTime | None
    """None: the customer's time zone is not known, or there are several."""
    texted: int
    """Messages that the provider accepted."""
    last_texted_at: datetime | None
    holdouts: int
    """Campaigns that held the customer out."""
    exclusion: Exclusion | None
    """None: the customer is not excluded."""


def overview(conn: sa.Connection, customer_id: int, settings: Settings, *, as_of: datetime) -> Overview:
    """The overview of a known customer. ``settings`` are those of the moment."""
    reason = eligibility.ineligible(settings, cap=None, now=as_of)
    row = conn.execute(
        sa.select(customer.c.phone, customer.c.time_zone, reason.label("reason")).where(
            customer.c.customer_id == customer_id
        )
    ).one()
    barred = row.reason or (not_textable(row.phone) if settings.strict else None)
    held_out = sa.func.count().filter(message.c.reason == SkipReason.HOLDOUT)
    texted, last_texted_at, holdouts = conn.execute(
        sa.select(sa.func.count(message.c.accepted_at), sa.func.max(message.c.accepted_at), held_out).where(
            message.c.customer_id == customer_id
        )
    ).one()
    excluded = exclusion.of(conn, [customer_id]).get(customer_id)
    local = _local_time(row.phone, row.time_zone, settings, as_of)
    return Overview(barred and message_words.reason(barred), local, texted, last_texted_at, holdouts, excluded)


def _local_time(phone: str | None, time_zone: str | None, settings: Settings, now: datetime) -> LocalTime | None:
    zones = local_time.zones(phone or "", time_zone)
    if not zones or len({now.astimezone(zone).utcoffset() for zone in zones}) > 1:
        return None
    opens = SendingHours.parse(settings.sending_hours).opens_at(zones, now)
    return LocalTime(zones[0], now.astimezone(zones[0]), None if opens in {None, now} else opens)


def texts(conn: sa.Connection, customer_id: int, *, limit: int) -> dict[datetime, MessageDetail]:
    """The latest messages to one customer, by the start of their window, newest first."""
    query = (
        sa.select(message, customer.c.phone, customer.c.customer_id.label("known"))
        .join(customer, customer.c.customer_id == message.c.customer_id, isouter=True)
        .where(message.c.customer_id == customer_id)
        .order_by(message.c.window_start.desc())
        .limit(limit)
    )
    found: list[sa.Row[Any]] = list(conn.execute(query).all())
    return {row.window_start: message_detail.of(row) for row in found}
