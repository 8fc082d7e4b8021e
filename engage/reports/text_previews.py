"""The final texts to a few customers, one by one, as the sender would compose them, with what each costs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from engage.errors import InputError, NoSuchCustomer
from engage.reports.segment_readers import Reader, by_language, languages_of, read_by
from engage.segments import sql
from engage.settings import Settings, languages
from engage.storage import partitions
from engage.storage.schema import customer_activity
from engage.texts.sms_preview import SmsPreview
from engage.window import Window


@dataclass(frozen=True)
class TextToCustomer:
    """One text as one customer would get it. An offer code in it is the sample."""

    segment: str
    customer_id: int
    name: str | None
    locale: str | None
    language: str
    """Of the text; empty for the one of all others."""
    variant: str
    sms: SmsPreview
    opt_out_added: bool
    """Whether Engage adds how to opt out, as the text does not say it."""
    cost: Decimal | None
    too_long: bool
    """Whether the text takes more SMS segments than allowed, so that the sender would skip the customer."""
    stands_in: bool
    """Whether the customer reads another language, as no customer of the segment reads this one."""

    @property
    def encoding(self) -> str:
        """The alphabet of the message: 160 characters to a segment, or 70."""
        return "GSM-7" if self.sms.plain else "UCS-2"


def of_segments(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    segments: Collection[str],
    *,
    locale: str | None = None,
    count: int,
) -> list[TextToCustomer]:
    """The texts to up to ``count`` customers of each of the segments, in each language or in that of a locale.

    If no customer of a segment reads a language, others of the segment stand in.
    """
    found = by_language(conn, window, settings, segments, most=count, looked_at=None)
    return [
        text
        for segment in segments
        for language in _wanted(settings, segment, locale)
        for text in _to_readers(conn, window, settings, segment=segment, language=language, found=found[segment])
    ]


def of_customer(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    customer_id: int,
    *,
    segment: str | None = None,
    locale: str | None = None,
) -> list[TextToCustomer]:
    """The texts to one customer, in the customer's own segment and language unless others are given.

    Raises:
        NoSuchCustomer: the window has no such customer.
        InputError: the customer's segment has no text.
    """
    rows = partitions.of(customer_activity, window)
    own = conn.execute(
        sa.select(sql.segment(settings.rules, rows, window.end)).where(rows.c.customer_id == customer_id)
    ).scalar_one_or_none()
    if own is None:
        raise NoSuchCustomer(f"The window {window} has no customer {customer_id}.")
    name = segment or own
    if name not in settings.texted:
        raise InputError(f"Customer {customer_id} is in {name}, which has no text. {_those(settings)}")
    texts = settings.by_variant(name)
    language = None if locale is None else languages.language(dict.fromkeys(languages_of(texts)), locale)
    readers = read_by(conn, window, texts, [customer_id], language=language)
    return list(_texts(settings, name, readers, stands_in=False))


def refuse_unknown(settings: Settings, segment: str) -> None:
    """Refuse a segment without a text.

    Raises:
        InputError: names those that have one.
    """
    if segment not in settings.texted:
        raise InputError(f"{segment[:40]!r} is no segment with a text. {_those(settings)}")


def _those(settings: Settings) -> str:
    return f"Segments with a text: {', '.join(settings.texted) or 'none'}."


def _wanted(settings: Settings, segment: str, locale: str | None) -> Sequence[str]:
    known = languages_of(settings.by_variant(segment))
    return known if locale is None else (languages.language(dict.fromkeys(known), locale),)


def _to_readers(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    *,
    segment: str,
    language: str,
    found: dict[str, tuple[int, ...]],
) -> Iterator[TextToCustomer]:
    texts = settings.by_variant(segment)
    if own := found.get(language):
        yield from _texts(settings, segment, read_by(conn, window, texts, own), stands_in=False)
    elif others := next(filter(None, found.values()), ()):
        readers = read_by(conn, window, texts, others, language=language)
        yield from _texts(settings, segment, readers, stands_in=True)


def _texts(
    settings: Settings, segment: str, readers: Collection[Reader], *, stands_in: bool
) -> Iterator[TextToCustomer]:
    for one in readers:
        for read in one.texts:
            yield TextToCustomer(
                segment=segment,
                customer_id=one.customer_id,
                name=one.name,
                locale=one.locale,
                language=read.language,
                variant=read.variant,
                sms=read.sms,
                opt_out_added=read.opt_out_added,
                cost=settings.cost(read.sms.segments),
                too_long=read.sms.segments > settings.max_segments,
                stands_in=stands_in,
            )
