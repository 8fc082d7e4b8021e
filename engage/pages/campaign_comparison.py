"""The table that compares a campaign with another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from engage.campaigns.message_counts import MessageCounts
from engage.campaigns.segments import BUCKETS
from engage.currency import currency
from engage.formats import NOTHING, change, money, number, points, share, threshold
from engage.reports.report import Report
from engage.statuses import MessageStatus

NOT_COMPUTED = "not computed"


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
        _count("Customers", before.customers, now.customers),
        *(_share(f"{bucket}, of all customers", _percent(before, bucket), _percent(now, bucket)) for bucket in BUCKETS),
        *(_count(kind.title(), before.events.get(kind, 0), now.events.get(kind, 0)) for kind in events),
        _of_messages("Messages", before, now, lambda counts: counts.total),
        _of_messages("Skipped", before, now, lambda counts: counts.count(status=MessageStatus.SKIPPED)),
        _of_messages("Segments", before, now, lambda counts: counts.segments),
        *_cost(before, now),
        _threshold("Low spend below", "low_spend_threshold", partial(threshold, currency=currency()), before, now),
        _threshold("High activity above", "high_activity_threshold", number, before, now),
    ]


def _count(name: str, before: int | None, now: int | None) -> Line:
    then, at_last = (NOT_COMPUTED if count is None else number(count) for count in (before, now))
    return Line(name, then, at_last, NOTHING if before is None or now is None else change(before, now))


def _of_messages(name: str, before: Report, now: Report, number_of: Callable[[MessageCounts], int]) -> Line:
    then, at_last = (None if found.counts is None else number_of(found.counts) for found in (before, now))
    return _count(name, then, at_last)


def _cost(before: Report, now: Report) -> list[Line]:
    """The cost, if either campaign has one."""
    if before.cost is None and now.cost is None:
        return []
    then, at_last = (None if found.cost is None else Decimal(found.cost) for found in (before, now))
    return [Line("Cost", money(then, currency()), money(at_last, currency()), change(then, at_last))]


def _share(name: str, before: float | None, now: float | None) -> Line:
    then, at_last = (NOT_COMPUTED if part is None else share(part, 100) for part in (before, now))
    return Line(name, then, at_last, points(before, now))


def _percent(found: Report, bucket: str) -> float | None:
    return 100 * found.buckets[bucket] / found.customers if found.buckets and found.customers else None


def _threshold(name: str, setting: str, form: Callable[[Any], str], before: Report, now: Report) -> Line:
    then, at_last = (form(found.settings.get(setting)) for found in (before, now))
    return Line(name, then, at_last)
