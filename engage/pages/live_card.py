"""The card *Running window* of the page *Campaigns*: what customers have done so far, and where that leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engage import formats
from engage.campaigns import live_window
from engage.campaigns.live_window import LiveWindow
from engage.currency import currency
from engage.formats import NOTHING
from engage.pages import segment_tones
from engage.reports import live_window as words
from engage.reports.live_window import LiveFinding
from engage.window import LENGTH


@dataclass(frozen=True)
class LiveCard:
    """The card. A row is a name, its value so far, and its value of the projection."""

    found: LiveWindow
    day: int
    """Which day of the window it is, from 1."""
    days: int
    numbers: list[tuple[str, str, str]]
    segments: list[tuple[str, str, str, str, str]]
    """Each segment with its customers and their share so far, and those of the projection."""
    tones: Mapping[str, str]
    bars: list[tuple[str, list[tuple[str, int, str]]]]
    findings: list[LiveFinding]
    notes: list[str]
    budget: str


def card(conn: sa.Connection, as_of: datetime) -> LiveCard | None:
    """The card of the window that is running at ``as_of``; None if it was not computed yet."""
    found = live_window.running(conn, as_of)
    if found is None:
        return None
    ahead = found.projection
    tones = segment_tones.tones(found.settings.segments.names)
    so_far = found.in_order(found.buckets)
    then = found.in_order(ahead.buckets) if ahead else {}
    bars = [("So far", so_far)] + ([("Projection", then)] if then else [])
    return LiveCard(
        found,
        day=(as_of - found.window.start).days + 1,
        days=LENGTH.days,
        numbers=_numbers(found),
        segments=[
            (
                name,
                formats.number(count),
                formats.share(count, found.customers),
                formats.number(then.get(name)),
                formats.share(then.get(name), found.customers),
            )
            for name, count in so_far.items()
        ],
        tones=tones,
        bars=[(label, [(name, count, tones[name]) for name, count in counts.items()]) for label, counts in bars],
        findings=words.findings(found),
        notes=[one for one in (words.why_no_projection(found), words.why_old(found, as_of)) if one],
        budget=words.budget(found),
    )


def _numbers(found: LiveWindow) -> list[tuple[str, str, str]]:
    ahead = found.projection
    rows = [("Customers", formats.number(found.customers), NOTHING)]
    for kind, count in found.events.items():
        then = formats.number(ahead.events[kind] if ahead else None)
        rows.append((kind.capitalize(), formats.number(count), then))
    spend = formats.cents(ahead.total_spend_cents, currency()) if ahead else NOTHING
    rows.append(("Spend", formats.cents(found.total_spend_cents, currency()), spend))
    if ahead:
        rows.append(("Messages", NOTHING, formats.number(ahead.messages)))
    if found.cost is not None:
        rows.append(("Cost, at most", NOTHING, formats.money(found.cost, currency())))
    return rows
