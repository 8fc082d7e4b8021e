"""A campaign's texts as its customers read them: filled in for real customers, with their SMS segments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from engage.campaigns.message_counts import MessageCounts
from engage.sending import personal
from engage.settings import Settings, languages
from engage.storage.schema import customer, customer_activity, message
from engage.texts import offer_code, sms_preview
from engage.texts.phone import masked
from engage.texts.sms_preview import SmsPreview
from engage.texts.template import Template
from engage.window import Window

LOOKED_AT = 200
"""Customers of a segment among whom there are examples of its languages."""


@dataclass(frozen=True)
class Example:
    """One customer's text. Without a real customer it is that of a made-up one."""

    customer_id: int | None
    sms: SmsPreview
    cost: Decimal | None
    """What the provider charges for it; None without a price."""
    language: str = ""
    """The language of the text, such as ``es``; empty for the text of all other customers."""


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
    """The text to each texted segment, filled in for ``examples`` customers whose ids are greater than ``after``.

    Each further language has one example.
    """
    found = counts or MessageCounts()
    return [_text_to(conn, window, settings, found, name, examples=examples, after=after) for name in settings.texted]


def _text_to(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    counts: MessageCounts,
    bucket: str,
    *,
    examples: int,
    after: int,
) -> TextTo:
    parsed = {language: Template.parse(text) for language, text in settings.message_texts(bucket).items()}
    groups = [group for group in counts.groups if group.bucket == bucket]
    charged = sum(group.segments for group in groups if group.taken)
    looked_at = examples if len(parsed) == 1 else LOOKED_AT
    rows = _customers(conn, window, bucket, looked_at, after) if counts.count(bucket=bucket, reason=None) else []
    found = [
        Example(customer_id, sms, settings.cost(sms.segments), language)
        for language, template in parsed.items()
        for customer_id, sms in _filled_in(
            template,
            [row for row in rows if _language(parsed, row) == language][: 1 if language else examples],
            window,
        )
    ]
    return TextTo(
        bucket=bucket,
        customers=counts.count(bucket=bucket, reason=None),
        segments=sum(group.segments for group in groups),
        cost=settings.cost(charged) if charged else None,
        examples=tuple(found),
        warnings=settings.text_warnings(bucket),
        most_segments=settings.typical_segments(bucket),
    )


def _filled_in(
    template: Template, rows: Sequence[sa.Row[Any]], window: Window
) -> Iterator[tuple[int | None, SmsPreview]]:
    """The text to each customer, once if all read the same; to a made-up one without any."""
    if not rows:
        yield None, sms_preview.preview(template, sms_preview.made_up("Ada Diaz"))
    for row in rows if template.placeholders else rows[:1]:
        yield row.customer_id, sms_preview.preview(template, personal.values(row, window, offer_code.SAMPLE))


def _language(texts: Mapping[str, Template], row: sa.Row[Any]) -> str:
    """The language in which a customer reads; empty for the text of all others."""
    return languages.chosen({language: language for language in texts if language}, row.locale) or ""


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
