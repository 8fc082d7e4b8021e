"""A campaign's texts as its customers read them: filled in for real customers, with their SMS segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from engage.campaigns.message_counts import MessageCounts
from engage.sending import personal
from engage.settings import Settings, languages
from engage.storage.schema import customer, customer_activity, message
from engage.texts import sms_preview
from engage.texts.phone import masked
from engage.texts.sms_preview import SmsPreview
from engage.texts.template import Template
from engage.window import Window


@dataclass(frozen=True)
class Example:
    """One customer's text. Without a real customer it is that of a made-up one."""

    customer_id: int | None
    sms: SmsPreview
    cost: Decimal | None
    """What the provider charges for it; None without a price."""


@dataclass(frozen=True)
class Recipient:
    """A customer whose message is not skipped, with the numbers that decided the bucket. The phone is masked."""

    customer_id: int
    bucket: str
    name: str | None
    phone: str
    total_spend_cents: int
    avg_weekly_sessions: float


@dataclass(frozen=True)
class TextTo:
    """The text to one segment."""

    bucket: str
    customers: int
    """Customers whose message is not skipped."""
    segments: int
    """SMS segments of all texts that were composed."""
    cost: Decimal | None
    """Of the segments that the provider has accepted; None without a price or any of them."""
    examples: tuple[Example, ...]
    warnings: tuple[str, ...]
    most_segments: int
    """SMS segments of the text with a longish name."""


def texts(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    counts: MessageCounts | None,
    *,
    examples: int = 1,
    after: int = 0,
) -> list[TextTo]:
    """The text to each texted segment, filled in for ``examples`` customers whose ids are greater than ``after``."""
    found = counts or MessageCounts()
    return [
        _text_to(settings, window, found, name, _customers(conn, window, name, examples, after) if customers else [])
        for name in settings.texted
        for customers in [found.count(bucket=name, reason=None)]
    ]


def _text_to(
    settings: Settings, window: Window, counts: MessageCounts, bucket: str, rows: Sequence[sa.Row[Any]]
) -> TextTo:
    parsed = {language: Template.parse(text) for language, text in settings.message_texts(bucket).items()}
    groups = [group for group in counts.groups if group.bucket == bucket]
    charged = sum(group.segments for group in groups if group.taken)
    filled_in = [
        (row.customer_id, languages.chosen(parsed, row.locale) or parsed[""], personal.values(row, window))
        for row in rows
    ]
    if len(parsed) == 1 and not parsed[""].placeholders:  # all customers read the same
        filled_in = filled_in[:1]
    made_up = (None, parsed[""], sms_preview.made_up("Ada Diaz"))
    previews = [(one, sms_preview.preview(text, values)) for one, text, values in filled_in or [made_up]]
    return TextTo(
        bucket=bucket,
        customers=counts.count(bucket=bucket, reason=None),
        segments=sum(group.segments for group in groups),
        cost=settings.cost(charged) if charged else None,
        examples=tuple(Example(one, sms, settings.cost(sms.segments)) for one, sms in previews),
        warnings=settings.text_warnings(bucket),
        most_segments=settings.typical_segments(bucket),
    )


def _customers(conn: sa.Connection, window: Window, bucket: str, limit: int, after: int) -> list[sa.Row[Any]]:
    """The first customers after an id whose message is not skipped; from the start again where there is none."""
    found = list(
        conn.execute(_recipients(window).where(message.c.bucket == bucket, message.c.customer_id > after).limit(limit))
    )
    return found or (_customers(conn, window, bucket, limit, 0) if after else [])


def recipients(conn: sa.Connection, window: Window, *, limit: int) -> list[Recipient]:
    """The first customers of the list, by id."""
    rows = conn.execute(_recipients(window).limit(limit))
    return [
        Recipient(
            row.customer_id, row.bucket, row.name, masked(row.phone), row.total_spend_cents, row.avg_weekly_sessions
        )
        for row in rows
    ]


def _recipients(window: Window) -> sa.Select[tuple[object, ...]]:
    """The query for the customers whose message is not skipped, by id, with the numbers that decided their bucket."""
    same = sa.and_(
        customer_activity.c.customer_id == message.c.customer_id, customer_activity.c.window_start == window.start
    )
    return (
        sa.select(
            message.c.customer_id,
            message.c.bucket,
            customer.c.phone,
            customer.c.locale,
            *personal.COLUMNS,
        )
        .join(customer_activity, same)
        .join(customer, customer.c.customer_id == message.c.customer_id)
        .where(message.c.window_start == window.start, message.c.reason.is_(None))
        .order_by(message.c.customer_id)
    )
