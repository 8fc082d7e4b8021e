"""A segment's texts as a few of its customers would read them, in each of their languages."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from engage import parsing
from engage.reports.segment_readers import Reader, Reading, by_language, languages_of, read_by
from engage.settings import Settings
from engage.settings.text_variants import ByVariant
from engage.texts.sms_preview import examples
from engage.texts.template import Template
from engage.window import Window


@dataclass(frozen=True)
class Example:
    """The texts as one customer would read them: a real one, or without ``reader`` a made-up one.

    ``borrowed``: the customer reads another language; the segment has no customer of this one.
    """

    name: str
    texts: tuple[Reading, ...]
    reader: Reader | None = None
    language: str = ""
    borrowed: bool = False

    @property
    def key(self) -> str:
        """The example among those of the segment, such as ``17`` or ``17 in es``."""
        own = str(self.reader.customer_id) if self.reader else self.name
        return f"{own} in {self.language}" if self.language and (self.borrowed or not self.reader) else own


@dataclass(frozen=True)
class SegmentText:
    """A segment's texts. ``examples``: by language; the empty one is for all others, and stands first."""

    segment: str
    settings: Settings
    examples: dict[str, tuple[Example, ...]]
    opt_out_added: bool
    warnings: tuple[str, ...]

    @property
    def languages(self) -> tuple[str, ...]:
        """The further languages of the texts."""
        return tuple(filter(None, self.examples))

    @property
    def sms_segments(self) -> int:
        """SMS segments of the longest text, with a longish name."""
        return self.settings.typical_segments(self.segment)


def texts_of(
    conn: sa.Connection, window: Window, settings: Settings, customers: Mapping[str, Collection[int]]
) -> dict[str, SegmentText | None]:
    """The texts of segments as some of their customers would read them; None for a segment without a text.

    ``customers``: ids by segment. For a segment with texts in several languages, others are looked for in each.
    """
    texted = [name for name, ids in customers.items() if name in settings.texted and ids]
    several = [name for name in texted if len(languages_of(settings.by_variant(name))) > 1]
    readers = by_language(conn, window, settings, several)  # of any other segment, any customers will do
    return {
        name: _text_of(conn, window, settings, name, readers.get(name) or {"": ids})
        if name in settings.texted
        else None
        for name, ids in customers.items()
    }


def _text_of(
    conn: sa.Connection, window: Window, settings: Settings, segment: str, customers: Mapping[str, Collection[int]]
) -> SegmentText:
    texts = settings.by_variant(segment)
    return SegmentText(
        segment=segment,
        settings=settings,
        examples={language: _examples(conn, window, texts, language, customers) for language in languages_of(texts)},
        opt_out_added=any(Template.parse(one.text).opt_out_added for one in settings.each_text(segment)),
        warnings=settings.text_warnings(segment),
    )


def _examples(
    conn: sa.Connection, window: Window, texts: ByVariant, language: str, customers: Mapping[str, Collection[int]]
) -> tuple[Example, ...]:
    """The texts to customers of a language; else to customers of another one; else to made-up ones."""
    if own := customers.get(language):
        read = read_by(conn, window, texts, own)
        return tuple(Example(_name(one), one.texts, one, language) for one in read)
    if others := next(filter(None, customers.values()), ()):
        read = read_by(conn, window, texts, others, language=language)
        return tuple(Example(_name(one), one.texts, one, language, borrowed=True) for one in read)
    return _made_up(texts, language)


def _name(reader: Reader) -> str:
    return reader.name or f"Customer {reader.customer_id}"


def reading_of(
    conn: sa.Connection, window: Window, settings: Settings, *, segment: str, key: str, variant: str
) -> Reading | None:
    """One of a segment's texts as the example with this key reads it; None if there is no such text or example."""
    if segment not in settings.texted or variant not in settings.variants(segment):
        return None
    texts = settings.by_variant(segment)
    own, _, language = key.partition(" in ")
    if language not in languages_of(texts):
        return None
    if own.isdecimal():
        read = read_by(conn, window, texts, [parsing.customer_id(own)], language=language or None)
        found = read[0].texts if read else ()
    else:
        found = next((one.texts for one in _made_up(texts, language) if one.name == own), ())
    return next((one for one in found if one.variant == variant), None)


def _made_up(texts: ByVariant, language: str) -> tuple[Example, ...]:
    """The texts in a language by the kind of a made-up customer."""
    found: dict[str, tuple[Reading, ...]] = {}
    for variant, by_tag in texts.items():
        tag = language if language in by_tag else ""
        template = Template.parse(by_tag[tag])
        for kind, sms in examples(template).items():
            found[kind] = (*found.get(kind, ()), Reading(variant, tag, sms, template.opt_out_added))
    return tuple(Example(kind, read, language=language) for kind, read in found.items())
