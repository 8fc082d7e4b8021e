"""What a few customers of a draft's segments would read, in each language that the segment has a text in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.campaigns import valid_events, window_customers
from engage.segments import sql
from engage.sending import personal
from engage.sending.segment_templates import SegmentTemplates, filled_in
from engage.settings import Settings, languages
from engage.settings.text_variants import ByVariant
from engage.storage.schema import customer
from engage.texts import offer_code
from engage.texts.sms_preview import SmsPreview, preview
from engage.window import Window

SHOWN = 3
"""Customers of each segment and language whose text is shown."""
LOOKED_AT = 5000
"""Customers of a language among whom a page looks for those of each segment."""
_SHARES = 7
"""Groups of customers by id. The first and the last of each may be shown."""


@dataclass(frozen=True)
class Reading:
    """One of a segment's texts as a customer would read it."""

    variant: str
    language: str
    """Of the text; empty for the one that all others read."""
    sms: SmsPreview
    opt_out_added: bool = False
    """Whether Engage has added how to opt out, as the text does not say it."""


@dataclass(frozen=True)
class Reader:
    """One customer, the numbers in the window, and the texts of which the customer would read one."""

    customer_id: int
    name: str | None
    locale: str | None
    total_spend_cents: int
    avg_weekly_sessions: float
    texts: tuple[Reading, ...]


def read_by(
    conn: sa.Connection, window: Window, texts: ByVariant, customers: Collection[int], *, language: str | None = None
) -> list[Reader]:
    """What these customers would read, of each of the texts; with ``language`` as if it were theirs.

    ``aggregate`` keeps favourite items only if a text of then named them, so they are read from the window's events.
    An offer code is the sample: a preview gives no code away.
    """
    templates = SegmentTemplates(texts)
    activity = window_customers.rows(conn, window)
    favourite: sa.ColumnElement[str | None] = activity.c.favourite_item
    source: sa.FromClause = customer.join(activity, activity.c.customer_id == customer.c.customer_id)
    if "favourite_item" in templates.placeholders:
        of_all = valid_events.favourite_items(window, as_page=True)
        own = sa.select(of_all).where(of_all.c.customer_id.in_(customers)).subquery("own")
        source = source.join(own, own.c.customer_id == customer.c.customer_id, isouter=True)
        favourite = sa.func.coalesce(favourite, own.c.favourite_item)
    rows = (
        sa.select(customer.c.customer_id, customer.c.locale, *personal.columns(favourite, activity))
        .select_from(source)
        .where(customer.c.customer_id.in_(customers))
        .order_by(customer.c.customer_id)
    )
    return [_reader(row, window, templates, language) for row in conn.execute(rows)]


def _reader(row: Any, window: Window, templates: SegmentTemplates, language: str | None) -> Reader:
    return Reader(
        customer_id=row.customer_id,
        name=row.name,
        locale=row.locale,
        total_spend_cents=row.total_spend_cents,
        avg_weekly_sessions=row.avg_weekly_sessions,
        texts=tuple(
            _reading(row, window, templates, variant, row.locale if language is None else language)
            for variant in templates.variants
        ),
    )


def _reading(row: Any, window: Window, templates: SegmentTemplates, variant: str, locale: str | None) -> Reading:
    language, template = templates.chosen(variant, locale)
    sms = preview(template, filled_in(template, row, window, offer_code.SAMPLE))
    return Reading(variant, language, sms, template.opt_out_added)


def languages_of(texts: ByVariant) -> tuple[str, ...]:
    """The languages of a segment's texts, the empty one for all others first."""
    return tuple(dict.fromkeys(["", *(language for by_language in texts.values() for language in by_language)]))


def by_language(
    conn: sa.Connection,
    window: Window,
    draft: Settings,
    segments: Collection[str],
    *,
    most: int = SHOWN,
    looked_at: int | None = LOOKED_AT,
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Up to ``most`` customers of each of the segments with a text, by the language that they read.

    They are looked for among ``looked_at`` customers of each language; with None among all, which takes seconds for a
    million.
    """
    tags = {name: languages_of(draft.by_variant(name)) for name in segments}
    every = tuple(dict.fromkeys(tag for own in tags.values() for tag in own))
    found: dict[str, dict[str, set[int]]] = {name: defaultdict(set) for name in tags}
    activity = window_customers.rows(conn, window)
    for among in _customers(every, looked_at) if tags else ():
        for row in conn.execute(_by_locale(activity, window, draft, list(tags), among)):
            language = languages.language(dict.fromkeys(tags[row.segment]), row.locale)
            found[row.segment][language] |= {row.first, row.last}
    return {
        name: {language: tuple(sorted(ids)[:most]) for language, ids in readers.items()}
        for name, readers in found.items()
    }


def _customers(tags: Collection[str], looked_at: int | None) -> Iterator[sa.Subquery]:
    """Customers to look at: some of each language, or all at once."""
    query = sa.select(customer.c.customer_id, customer.c.locale)
    if looked_at is None:
        yield query.subquery()
        return
    speaks = {tag: _speaks(tag) for tag in tags if tag}
    for tag in tags:
        reads = speaks[tag] if tag else sa.not_(sa.func.coalesce(sa.or_(sa.false(), *speaks.values()), False))
        yield query.where(reads).limit(looked_at).subquery()


def _speaks(tag: str) -> sa.ColumnElement[bool]:
    """Whether a customer's locale is of a language, as ``languages.chosen`` reads it."""
    locale = sa.func.lower(sa.func.replace(customer.c.locale, "_", "-"))
    return sa.or_(locale == tag, locale.startswith(f"{tag}-", autoescape=True))


def _by_locale(
    rows: sa.Table, window: Window, draft: Settings, segments: list[str], among: sa.Subquery
) -> sa.Select[tuple[str, str | None, int, int]]:
    """The query for a few of these customers, by segment and locale."""
    placed = (
        sa.select(rows.c.customer_id, among.c.locale, sql.segment(draft.rules, rows, window.end).label("segment"))
        .join(among, among.c.customer_id == rows.c.customer_id)
        .offset(0)  # keeps Postgres from computing the segment once for each use
        .subquery()
    )
    return (
        sa.select(
            placed.c.segment,
            placed.c.locale,
            sa.func.min(placed.c.customer_id).label("first"),
            sa.func.max(placed.c.customer_id).label("last"),
        )
        .where(placed.c.segment == sa.any_(sa.literal(segments, ARRAY(sa.Text))))
        .group_by(placed.c.segment, placed.c.locale, placed.c.customer_id % _SHARES)
    )
