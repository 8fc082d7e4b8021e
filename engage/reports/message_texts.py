"""A campaign's texts as its customers read them: filled in for real customers, with their SMS segments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.campaigns.message_counts import MessageCounts
from engage.campaigns.variants import TextWeights
from engage.sending import personal
from engage.settings import Settings, languages
from engage.settings.languages import OWN
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
    variant: str = ""
    """The text among the segment's, such as ``b``; empty if the segment has one only."""

    @property
    def name(self) -> str:
        """The text's name for people, such as ``Text b in es``; empty for the only one."""
        words = " ".join(
            filter(None, (self.variant and f"text {self.variant}", self.language and f"in {self.language}"))
        )
        return words[:1].upper() + words[1:]


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
    """SMS segments of the longest text with a longish name."""
    drawn: TextWeights | None = None
    """The share of each text, if there are several and the queue is made."""

    @property
    def shares(self) -> str:
        """How the customers are drawn for the texts, in a sentence; empty for one text."""
        if self.drawn is None:
            return ""
        parts = ", ".join(f"{name} {formats.share(share, 1)}" for name, share in self.drawn.weights.items())
        return f"Drawn by chance: {parts}. The reason: {self.drawn.why}."


def texts(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    counts: MessageCounts | None,
    drawn: Mapping[str, TextWeights] | None,
    *,
    examples: int = 1,
    after: int = 0,
) -> list[TextTo]:
    """The text to each texted segment, filled in for ``examples`` customers whose ids are greater than ``after``.

    Each further language has one example, and so has each of several texts. ``drawn``: the campaign's ``variants``.
    """
    found = counts or MessageCounts()
    return [
        replace(
            _text_to(conn, window, settings, found, name, examples=examples, after=after), drawn=(drawn or {}).get(name)
        )
        for name in settings.texted
    ]


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
    all_texts = settings.each_text(bucket)
    several = len(settings.variants(bucket)) > 1
    groups = [group for group in counts.groups if group.bucket == bucket]
    charged = sum(group.segments for group in groups if group.taken)
    looked_at = examples if len(all_texts) == 1 else LOOKED_AT
    rows = _customers(conn, window, bucket, looked_at, after) if counts.count(bucket=bucket, reason=None) else []
    readers = _by_text(settings, bucket, rows)
    found = [
        Example(customer_id, sms, settings.cost(sms.segments), one.language, one.variant)
        for one in all_texts
        for customer_id, sms in _filled_in(
            Template.parse(one.text),
            readers[one.variant or OWN, one.language][: 1 if one.language or several else examples],
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


def _by_text(
    settings: Settings, bucket: str, rows: Sequence[sa.Row[Any]]
) -> Mapping[tuple[str, str], list[sa.Row[Any]]]:
    """The customers by the variant and the language that they read; the empty language is for all others."""
    found: dict[tuple[str, str], list[sa.Row[Any]]] = defaultdict(list)
    texts = settings.by_variant(bucket)
    for row in rows:
        variant = row.variant or OWN
        found[variant, languages.language(texts.get(variant, {}), row.locale)].append(row)
    return found


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
            message.c.variant,
            customer.c.phone,
            customer.c.locale,
            *personal.COLUMNS,
        )
        .join(customer_activity, same)
        .join(customer, customer.c.customer_id == message.c.customer_id)
        .where(message.c.window_start == window.start, message.c.reason.is_(None))
        .order_by(message.c.customer_id)
    )
