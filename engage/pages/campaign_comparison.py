"""The table that compares a campaign with another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engage.campaigns.message_counts import MessageCounts
from engage.currency import currency
from engage.formats import NOTHING, change, money, number, points, share
from engage.pages.segment_tones import tones
from engage.pages.threshold_words import Threshold, thresholds
from engage.reports.report import Report
from engage.settings import Settings
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
        *(_share(f"{name}, of all customers", name, before, now) for name in tones(*_names(now), *_names(before))),
        *(_count(kind.title(), before.events.get(kind, 0), now.events.get(kind, 0)) for kind in events),
        _of_messages("Messages", before, now, lambda counts: counts.total),
        _of_messages("Skipped", before, now, lambda counts: counts.count(status=MessageStatus.SKIPPED)),
        _of_messages("SMS segments", before, now, lambda counts: counts.segments),
        *_cost(before, now),
        *_thresholds(before, now),
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


def _names(found: Report) -> list[Sequence[str]]:
    settings = found.record.settings
    return [settings.segments.names] if settings else []


def _share(words: str, segment: str, before: Report, now: Report) -> Line:
    """The share of a segment. A campaign whose rules lack the segment has none."""
    then, at_last = (
        (NOTHING if found.buckets else NOT_COMPUTED) if part is None else share(part, 100)
        for found, part in ((before, _percent(before, segment)), (now, _percent(now, segment)))
    )
    return Line(words, then, at_last, points(_percent(before, segment), _percent(now, segment)))


def _percent(found: Report, segment: str) -> float | None:
    if segment not in found.buckets or not found.customers:
        return None
    return 100 * found.buckets[segment] / found.customers


def _thresholds(before: Report, now: Report) -> Iterator[Line]:
    """The thresholds that the rules of either campaign name."""
    then, at_last = (_by_setting(found.record.settings) for found in (before, now))
    for setting, one in (at_last | then).items():
        name = at_last.get(setting, one).name
        yield Line(name, *(found[setting].value if setting in found else NOTHING for found in (then, at_last)))


def _by_setting(settings: Settings | None) -> dict[str, Threshold]:
    return {one.setting: one for one in thresholds(settings)} if settings else {}
