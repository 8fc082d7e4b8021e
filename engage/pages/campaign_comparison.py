"""The table that compares a campaign with the one before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from engage.campaigns.segments import BUCKETS
from engage.currency import currency
from engage.formats import NOTHING, change, number, points, share, threshold
from engage.reports.report import Report
from engage.statuses import MessageStatus


@dataclass(frozen=True)
class Line:
    """One row of the comparison, as text."""

    name: str
    before: str
    now: str
    change: str = NOTHING


def lines(before: Report, now: Report) -> list[Line]:
    """The rows of the comparison. Counts differ in percent, and shares in percentage points as in the guard."""
    events = ("sessions", "purchases")
    return [
        _count("Customers", before.customers or 0, now.customers or 0),
        *(_share(f"{bucket}, of all customers", _percent(before, bucket), _percent(now, bucket)) for bucket in BUCKETS),
        *(_count(kind.title(), before.events.get(kind, 0), now.events.get(kind, 0)) for kind in events),
        _count("Messages", before.messages["total"], now.messages["total"]),
        _count("Skipped", _skipped(before), _skipped(now)),
        _count("Segments", before.messages["segments"], now.messages["segments"]),
        _threshold("Low spend below", "low_spend_threshold", partial(threshold, currency=currency()), before, now),
        _threshold("High activity above", "high_activity_threshold", number, before, now),
    ]


def _count(name: str, before: int, now: int) -> Line:
    return Line(name, number(before), number(now), change(before, now))


def _share(name: str, before: float | None, now: float | None) -> Line:
    return Line(name, share(before, 100), share(now, 100), points(before, now))


def _percent(found: Report, bucket: str) -> float | None:
    return 100 * found.buckets[bucket] / found.customers if found.buckets and found.customers else None


def _skipped(found: Report) -> int:
    return int(found.messages["by_status"].get(MessageStatus.SKIPPED, 0))


def _threshold(name: str, setting: str, form: Callable[[Any], str], before: Report, now: Report) -> Line:
    then, at_last = (form(found.settings.get(setting)) for found in (before, now))
    return Line(name, then, at_last)
