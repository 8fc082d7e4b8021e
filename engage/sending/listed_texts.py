"""The texts of a campaign's list as its recipients read them: each text, filled in for real customers who get it.

A message is on the list unless it is skipped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from engage.sending import personal
from engage.sending.segment_templates import SegmentTemplates, filled_in
from engage.settings import Settings, languages
from engage.settings.languages import OWN
from engage.settings.text_variants import OneText
from engage.storage.schema import customer, customer_activity, message
from engage.texts import offer_code, sms_preview
from engage.texts.sms_preview import SmsPreview
from engage.window import Window

LOOKED_AT = 200
"""Customers of a segment among whom there are examples of its languages."""

ByText = Mapping[tuple[str, str], Sequence[sa.Row[Any]]]
"""Recipients by the variant and the language that they read; the empty language is for all others."""


@dataclass(frozen=True)
class ListedText:
    """One text of a segment, with its first recipients. ``recipients``: what each reads, by customer id."""

    text: OneText
    recipients: Mapping[int, SmsPreview]


def of_segment(
    conn: sa.Connection, window: Window, settings: Settings, segment: str, *, most: int = 1, after: int = 0,
    thorough: bool = False,
) -> list[ListedText]:  # fmt: skip
    """Each text of a segment, filled in for ``most`` recipients whose ids are greater than ``after``.

    Each further language has one recipient, and so has each of several texts. Without ``thorough``, only the first
    ``LOOKED_AT`` customers are looked at. An offer code is the sample: the page of an approver gives none away.
    """
    texts = settings.each_text(segment)
    several = len(settings.variants(segment)) > 1
    found = _readers(conn, window, settings, segment, limit=most if len(texts) == 1 else LOOKED_AT, after=after)
    if thorough and (missing := [one for one in texts if not found.get((one.variant or OWN, one.language))]):
        found = {**found, **_rare_readers(conn, window, settings, segment, missing)}
    templates = SegmentTemplates(settings.by_variant(segment))
    return [
        ListedText(
            one,
            _read(
                templates,
                one,
                found.get((one.variant or OWN, one.language), ())[: 1 if one.language or several else most],
                window,
            ),
        )
        for one in texts
    ]


def _read(templates: SegmentTemplates, text: OneText, rows: Sequence[Any], window: Window) -> dict[int, SmsPreview]:
    """What each customer reads, once if all read the same."""
    _, template = templates.chosen(text.variant or OWN, text.language)
    return {
        row.customer_id: sms_preview.preview(template, filled_in(template, row, window, offer_code.SAMPLE))
        for row in (rows if template.placeholders else rows[:1])
    }


def _readers(
    conn: sa.Connection, window: Window, settings: Settings, segment: str, *, limit: int, after: int
) -> dict[tuple[str, str], list[sa.Row[Any]]]:
    """The first recipients after an id, by text; from the start again where there is none."""
    query = recipients(window).where(message.c.bucket == segment)
    rows = conn.execute(query.where(message.c.customer_id > after).limit(limit)).all()
    if after and not rows:
        rows = conn.execute(query.limit(limit)).all()
    found: dict[tuple[str, str], list[sa.Row[Any]]] = defaultdict(list)
    for row in rows:
        found[_text_for(settings, segment, row)].append(row)
    return found


def _text_for(settings: Settings, segment: str, row: Any) -> tuple[str, str]:
    variant = row.variant or OWN  # an earlier version wrote no variant
    return variant, languages.language(settings.by_variant(segment).get(variant, {}), row.locale)


def _rare_readers(
    conn: sa.Connection, window: Window, settings: Settings, segment: str, missing: Sequence[OneText]
) -> dict[tuple[str, str], list[sa.Row[Any]]]:
    """The first recipient on the whole list of each of these texts, as far as it has one."""
    query = (
        sa.select(message.c.variant, customer.c.locale, sa.func.min(message.c.customer_id).label("customer_id"))
        .join(customer, customer.c.customer_id == message.c.customer_id)
        .where(message.c.window_start == window.start, message.c.bucket == segment, message.c.reason.is_(None))
        .group_by(message.c.variant, customer.c.locale)
    )
    wanted = {(one.variant or OWN, one.language) for one in missing}
    firsts: dict[tuple[str, str], int] = {}
    for row in conn.execute(query):
        if (text := _text_for(settings, segment, row)) in wanted:
            firsts[text] = min(row.customer_id, firsts.get(text, row.customer_id))
    rows = conn.execute(recipients(window).where(message.c.customer_id.in_(firsts.values()))).all() if firsts else []
    return {_text_for(settings, segment, row): [row] for row in rows}


def recipients(window: Window) -> sa.Select[tuple[object, ...]]:
    """The query for the customers on the list, by id, with the numbers that decided their segment."""
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
