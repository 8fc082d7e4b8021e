"""A campaign's texts as its customers read them: filled in for real customers, with their SMS segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from engage import formats
from engage.campaigns.message_counts import MessageCounts
from engage.campaigns.variants import TextWeights
from engage.sending import listed_texts
from engage.sending.listed_texts import ListedText
from engage.settings import Settings
from engage.settings.text_variants import OneText
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
    thorough: bool = False,
) -> list[TextTo]:
    """The text to each texted segment, filled in for ``examples`` customers whose ids are greater than ``after``.

    Each further language has one example, and so has each of several texts. ``drawn``: the campaign's ``variants``.
    With ``thorough``, a text without an example has no recipient on the whole list.
    """
    found = counts or MessageCounts()

    def listed(segment: str) -> list[Example]:
        if not found.count(bucket=segment, reason=None):
            return [_made_up(settings, one) for one in settings.each_text(segment)]
        texts = listed_texts.of_segment(conn, window, settings, segment, most=examples, after=after, thorough=thorough)
        return [example for one in texts for example in _examples(settings, one)]

    return [_text_to(settings, found, name, listed(name), (drawn or {}).get(name)) for name in settings.texted]


def _text_to(
    settings: Settings, counts: MessageCounts, bucket: str, examples: list[Example], drawn: TextWeights | None
) -> TextTo:
    groups = [group for group in counts.groups if group.bucket == bucket]
    charged = sum(group.segments for group in groups if group.taken)
    return TextTo(
        bucket=bucket,
        customers=counts.count(bucket=bucket, reason=None),
        segments=sum(group.segments for group in groups),
        cost=settings.cost(charged) if charged else None,
        examples=tuple(examples),
        warnings=settings.text_warnings(bucket),
        most_segments=settings.typical_segments(bucket),
        drawn=drawn,
    )


def _examples(settings: Settings, listed: ListedText) -> list[Example]:
    """The text to each recipient; to a made-up one without any."""
    one = listed.text
    return [
        Example(customer_id, sms, settings.cost(sms.segments), one.language, one.variant)
        for customer_id, sms in listed.recipients.items()
    ] or [_made_up(settings, one)]


def _made_up(settings: Settings, one: OneText) -> Example:
    sms = sms_preview.preview(Template.parse(one.text), sms_preview.made_up("Ada Diaz"))
    return Example(None, sms, settings.cost(sms.segments), one.language, one.variant)


def recipients(conn: sa.Connection, window: Window, *, limit: int) -> list[Recipient]:
    """The first customers of the list, by id."""
    rows = conn.execute(listed_texts.recipients(window).limit(limit))
    return [
        Recipient(
            row.customer_id, row.bucket, row.name, masked(row.phone), row.total_spend_cents, row.avg_weekly_sessions
        )
        for row in rows
    ]
