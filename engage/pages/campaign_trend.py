"""The chart of all campaigns over time: segments, messages, delivery or opt-outs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum, auto

import sqlalchemy as sa

from engage.campaigns.message_counts import MessageCounts
from engage.campaigns.status import StatusKey
from engage.formats import NOTHING, days, number, share
from engage.pages import charts
from engage.pages.charts import Chart, Series, Tones
from engage.pages.message_outcome import NO_RECEIPT, NOT_DELIVERED
from engage.reports import opt_outs
from engage.reports.campaign_list import ListedCampaign
from engage.statuses import MessageStatus

SHOWN = 13
"""Two years of campaigns."""
_DELIVERY = (
    ("Delivered", "success", (MessageStatus.DELIVERED,)),
    ("No receipt yet", "info", NO_RECEIPT),
    ("Unknown", "warning", (MessageStatus.UNKNOWN,)),
    ("Not delivered", "failed", NOT_DELIVERED),
)


class Trend(StrEnum):
    """What the chart shows."""

    SEGMENTS = auto()
    MESSAGES = auto()
    DELIVERY = auto()
    OPT_OUTS = auto()

    @property
    def label(self) -> str:
        """Its name on the page."""
        return self.value.replace("_", "-").capitalize()


def chart(conn: sa.Connection, trend: Trend, campaigns: Sequence[ListedCampaign], tones: Tones) -> Chart:
    """The chart of the latest campaigns, oldest first. ``campaigns`` are the newest first.

    ``tones``: those of all their segments.
    """
    shown = list(campaigns[:SHOWN])[::-1]
    if trend is Trend.SEGMENTS:
        return _segments(shown, tones)
    if trend is Trend.MESSAGES:
        return _messages(shown, tones)
    return _delivery(shown) if trend is Trend.DELIVERY else _opt_outs(conn, shown)


def _segments(campaigns: Sequence[ListedCampaign], tones: Tones) -> Chart:
    series = [
        Series(
            name,
            tone,
            [
                100 * one.buckets.get(name, 0) / one.customers if one.buckets and one.customers else None
                for one in campaigns
            ],
            [_in_segment(one, name) for one in campaigns],
        )
        for name, tone in tones.items()
        if any(name in one.buckets for one in campaigns)
    ]
    gaps = {n: _why_empty(one) for n, one in enumerate(campaigns) if not one.buckets}
    return charts.columns("Customers by segment", _names(campaigns), series, percent=True, gaps=gaps)


def _in_segment(one: ListedCampaign, name: str) -> str:
    if not one.buckets:
        return "not computed"
    if name not in one.buckets:
        return NOTHING
    return f"{number(one.buckets[name])} ({share(one.buckets[name], one.customers)})"


def _messages(campaigns: Sequence[ListedCampaign], tones: Tones) -> Chart:
    def taken(name: str) -> Callable[[MessageCounts], int]:
        return lambda counts: counts.count(bucket=name, taken=True)

    texted = {name for one in campaigns for name in one.messages.buckets}
    kinds = [(name, tone, taken(name)) for name, tone in tones.items() if name in texted]
    return _of_messages("Messages that the provider accepted", campaigns, kinds, percent=False)


def _delivery(campaigns: Sequence[ListedCampaign]) -> Chart:
    def having(statuses: tuple[MessageStatus, ...]) -> Callable[[MessageCounts], int]:
        return lambda counts: sum(counts.count(status=status) for status in statuses)

    kinds = [(name, tone, having(statuses)) for name, tone, statuses in _DELIVERY]
    return _of_messages("What became of the messages", campaigns, kinds, percent=True)


def _of_messages(
    title: str,
    campaigns: Sequence[ListedCampaign],
    kinds: Sequence[tuple[str, str, Callable[[MessageCounts], int]]],
    *,
    percent: bool,
) -> Chart:
    """Messages that have gone, by kind; as shares of a campaign's own, or as counts."""

    def value(one: ListedCampaign, count: int) -> float | None:
        if not one.messages.gone:
            return None
        return 100 * count / one.messages.gone if percent else count

    def words(one: ListedCampaign, count: int) -> str:
        if not one.messages.gone:
            return NOTHING
        return number(count) + (f" ({share(count, one.messages.gone)})" if percent else "")

    series = [
        Series(
            name,
            tone,
            [value(one, count(one.messages)) for one in campaigns],
            [words(one, count(one.messages)) for one in campaigns],
        )
        for name, tone, count in kinds
    ]
    gaps = {n: _why_empty(one) for n, one in enumerate(campaigns) if not one.messages.gone}
    return charts.columns(title, _names(campaigns), series, percent=percent, gaps=gaps)


def _opt_outs(conn: sa.Connection, campaigns: Sequence[ListedCampaign]) -> Chart:
    counts = after_each(conn, campaigns)
    series = Series("Opt-outs", "warning", counts, [NOTHING if one is None else number(one) for one in counts])
    gaps = {n: _why_empty(one) for n, one in enumerate(campaigns) if counts[n] is None}
    return charts.columns("Opt-outs from each campaign up to the next one", _names(campaigns), [series], gaps=gaps)


def after_each(conn: sa.Connection, campaigns: Sequence[ListedCampaign]) -> list[int | None]:
    """The opt-outs from each campaign's first message to the next one's; None where no message went out."""
    begun = {n: one.messages.first_claim_at for n, one in enumerate(campaigns) if one.messages.first_claim_at}
    order = sorted(begun, key=lambda n: begun[n])
    counts = dict(zip(order, opt_outs.between(conn, [begun[n] for n in order]), strict=True))
    return [counts.get(n) for n in range(len(campaigns))]


def _names(campaigns: Sequence[ListedCampaign]) -> list[tuple[str, str]]:
    windows = [one.window for one in campaigns]
    return [(f"{one.start.day} {one.start:%b ’%y}", days(one.start, one.end)) for one in windows]


def _why_empty(one: ListedCampaign) -> str:
    """A short word for a column without values."""
    if one.status.key is StatusKey.STOPPED_BY_GUARD:
        return "guard"
    return "not sent" if one.buckets else "not computed"
