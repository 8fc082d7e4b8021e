"""A segment's text as three of its customers would read it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from engage.reports.segment_recipients import Reading, Recipient, read_by
from engage.settings import Settings
from engage.settings.text_variants import ByVariant
from engage.texts.sms_preview import examples
from engage.texts.template import Template
from engage.window import Window


@dataclass(frozen=True)
class SegmentText:
    """``customers``: real ones of the segment, or none; then ``made_up`` has the texts by the kind of a customer."""

    segment: str
    settings: Settings
    customers: list[Recipient]
    made_up: dict[str, tuple[Reading, ...]]
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
    texts = settings.by_variant(segment)
    read = read_by(conn, window, texts, customers) if customers else []
    each = settings.each_text(segment)
    return SegmentText(
        segment=segment,
        settings=settings,
        customers=read,
        made_up={} if read else _made_up(texts),
        opt_out_added=any(Template.parse(one.text).opt_out_added for one in each if not one.language),
        warnings=settings.text_warnings(segment),
        languages=tuple(dict.fromkeys(one.language for one in each if one.language)),
    )


def _made_up(texts: ByVariant) -> dict[str, tuple[Reading, ...]]:
    """The texts for all customers without one in their language, by the kind of a made-up customer."""
    found: dict[str, tuple[Reading, ...]] = {}
    for variant, by_language in texts.items():
        for kind, sms in examples(Template.parse(by_language[""])).items():
            found[kind] = (*found.get(kind, ()), Reading(variant, "", sms))
    return found
