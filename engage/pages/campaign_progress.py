"""The part of a report that changes while messages go out: steps, rate, time left and figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from engage.campaigns.status import StatusKey
from engage.formats import duration
from engage.pages import campaign_stepper
from engage.pages.message_outcome import NO_RECEIPT, NOT_DELIVERED, bar, outcome
from engage.pages.render import html
from engage.reports import opt_outs, report
from engage.reports.report import Report
from engage.statuses import MessageStatus
from engage.window import Window

_SECONDS = {StatusKey.SENDING: 2, StatusKey.QUEUED: 5, StatusKey.COMPUTING: 5}
"""Seconds after which a page looks again, while a campaign with this status moves by itself."""
_LEAST = timedelta(seconds=1)


@dataclass(frozen=True)
class Before:
    """What a page has seen earlier: so many messages had gone, so long ago."""

    gone: int
    age: timedelta


def progress(engine: sa.Engine, window: Window, before: Before | None = None) -> str:
    """The HTML of the part, for a page that shows it already. It says no more when to look again once all is done.

    Raises:
        NotReady: the window has no campaign.
    """
    with engine.begin() as conn:
        found = report.of(conn, window, whole=False)
        values = shown(conn, found, before)
    return html("campaign_report/progress.html", **values)


def shown(conn: sa.Connection, found: Report, before: Before | None = None) -> dict[str, Any]:
    """What the template ``campaign_report/progress.html`` shows."""
    window, settings, counts = found.record.window, found.record.settings, found.counts
    begun = counts.first_claim_at if counts and counts.taken else None
    return {
        "report": found,
        "window": window,
        "seconds": None if found.record.halted_at else _SECONDS.get(found.status.key),
        "steps": campaign_stepper.steps(found),
        "rate": _rate(found, before),
        "real": settings.real if settings else False,
        "price": settings.price_per_segment if settings else None,
        "cost": found.record.cost(counts) if counts else None,
        "parts": bar(counts, window) if counts else [],
        "no_receipt": outcome(counts, window, *NO_RECEIPT) if counts else [],
        "not_delivered": outcome(counts, window, *NOT_DELIVERED) if counts else [],
        "unknown": outcome(counts, window, MessageStatus.UNKNOWN) if counts else [],
        "opted_out": opt_outs.of_texted(conn, window, begun) if begun else None,
    }


def _rate(found: Report, before: Before | None) -> dict[str, str] | None:
    """The rate and the time left in words; None while no message goes out."""
    counts = found.counts
    if counts is None or found.status.key is not StatusKey.SENDING or found.record.resume_at:
        return None
    if before is not None and before.age >= _LEAST:
        rate: float | None = max(0, counts.gone - before.gone) / before.age.total_seconds()
    else:
        rate = campaign_stepper.average_rate(counts)
    if not rate:
        return None
    left = timedelta(seconds=round(counts.unsettled / rate))
    return {"rate": campaign_stepper.rate_in_words(rate), "left": duration(left)}
