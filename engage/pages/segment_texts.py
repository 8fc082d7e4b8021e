"""A segment's text as three of its customers would read it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from engage.reports.segment_recipients import Recipient, read_by
from engage.settings import Settings
from engage.texts.sms_preview import SmsPreview, examples
from engage.texts.template import Template
from engage.window import Window


@dataclass(frozen=True)
class SegmentText:
    """``customers``: real ones of the segment, or none; then ``made_up`` has texts by the kind of a customer."""

    segment: str
    settings: Settings
    customers: list[Recipient]
    made_up: dict[str, SmsPreview]
    opt_out_added: bool
    warnings: tuple[str, ...]
    languages: tuple[str, ...]

    @property
    def sms_segments(self) -> int:
        """SMS segments of the longest text, with a longish name."""
        return self.settings.typical_segments(self.segment)


def text_of(
    conn: sa.Connection, window: Window, settings: Settings, segment: str, customers: Collection[int]
) -> SegmentText | None:
    """The text of a segment as some of its customers would read it; None if it has no text."""
    if segment not in settings.texted:
        return None
    texts = settings.message_texts(segment)
    read = read_by(conn, window, texts, customers) if customers else []
    template = Template.parse(texts[""])
    return SegmentText(
        segment=segment,
        settings=settings,
        customers=read,
        made_up={} if read else examples(template),
        opt_out_added=template.opt_out_added,
        warnings=settings.text_warnings(segment),
        languages=tuple(language for language in texts if language),
    )
