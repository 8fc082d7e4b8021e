"""The page *Campaigns*: what needs a person, four figures, a chart, and a row for each campaign, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlencode

import sqlalchemy as sa

from engage import formats
from engage.campaigns import watchdog
from engage.campaigns.status import StatusKey
from engage.pages import campaign_figures, campaign_trend, lift_over_time, live_card, message_outcome
from engage.pages.campaign_trend import Trend
from engage.pages.message_outcome import Part
from engage.pages.render import html
from engage.pages.run_form import RunForm
from engage.pages.runs import Facts, words
from engage.pages.segment_tones import tones
from engage.pages.threshold_words import default, thresholds
from engage.pages.viewer import Viewer
from engage.reports.attention import Attention, attention
from engage.reports.campaign_list import ListedCampaign, listed
from engage.settings import Settings
from engage.window import Window

SHOWN = 10
"""Campaigns on one page of the list."""
THRESHOLDS = 3
"""Thresholds in a row; the changed ones come first."""
MOST = 400
"""Campaigns that the page knows of: sixty years."""

"""Gives what Airflow knows of runs, by their ids."""


class Show(StrEnum):
    """Which campaigns the list shows."""

    ALL = "all"
    ATTENTION = "attention"
    SENT = "sent"
    NOT_SENT = "not-sent"


_LABELS = {
    Show.ALL: "All",
    Show.ATTENTION: "Needs attention",
    Show.SENT: "Sent",
    Show.NOT_SENT: "Not sent",
}


@dataclass(frozen=True)
class Look:
    """What a user looks at: which campaigns, from which one on, and which chart."""

    show: Show = Show.ALL
    trend: Trend = Trend.SEGMENTS
    before: Window | None = None

    def address(self, **other: str | None) -> str:
        """The address of the page with other values."""
        before = self.before and formats.iso_day(self.before.start)
        values = {"show": self.show, "trend": self.trend, "before": before} | other
        usual = {"show": Show.ALL, "trend": Trend.SEGMENTS}
        query = urlencode({name: value for name, value in values.items() if value and value != usual.get(name)})
        return f"campaigns?{query}" if query else "campaigns"


@dataclass(frozen=True)
class ShownThreshold:
    """A threshold of a row. ``changed``: the campaign before had another one."""

    name: str
    text: str
    changed: bool


@dataclass(frozen=True)
class Row:
    """One campaign of the list, as the page shows it."""

    found: ListedCampaign
    run: str
    """How it came to be computed, in words."""
    outcome: list[Part]
    bar: list[tuple[str, int, str]]
    skipped: int
    thresholds: list[ShownThreshold]
    more_thresholds: int
    """Thresholds for which the table has no room."""


def campaign_list(
    engine: sa.Engine,
    viewer: Viewer,
    settings: Settings,
    *,
    before: Window | None = None,
    as_of: datetime,
    show: Show = Show.ALL,
    trend: Trend = Trend.SEGMENTS,
    facts: Facts = lambda _: {},
    settings_error: str | None = None,
) -> str:
    """The HTML of the list, or of its part that is older than the window ``before``.

    Above its first part stand the windows that need a person, and the running window. A window is late by ``settings``,
    those of the moment; ``settings_error`` says what is wrong with them.
    """
    look = Look(show, trend, before)
    with engine.begin() as conn:
        campaigns = listed(conn, limit=MOST)
        colours = _tones(campaigns)
        needs = attention(campaigns, watchdog.findings(conn, settings, as_of=as_of))
        chart = campaign_trend.chart(conn, trend, campaigns, colours) if campaigns else None
        figures = campaign_figures.figures(conn, campaigns, as_of=as_of) if campaigns else None
        live = live_card.card(conn, as_of) if before is None else None
        lifts = lift_over_time.over_time(conn, [one.campaign for one in campaigns])
    kept = {name: [one for one in campaigns if _fits(one, name, needs)] for name in Show}
    rest = [one for one in kept[show] if before is None or one.window < before]
    shown, older = rest[:SHOWN], rest[SHOWN - 1].window if len(rest) > SHOWN else None
    return html(
        "campaign_list.html",
        viewer=viewer,
        rows=_rows(shown, campaigns, facts),
        tones=colours,
        legend=[(name, tone) for name, tone in colours.items() if any(name in one.buckets for one in shown)],
        needs=needs if before is None else [],
        as_of=as_of,
        total=len(kept[show]),
        first=len(kept[show]) - len(rest) + 1,
        newer=look.address(before=None) if before else None,
        older=look.address(before=formats.iso_day(older.start)) if older else None,
        filters=[
            (f"{_LABELS[one]} {len(kept[one])}", look.address(show=one, before=None), one is show) for one in Show
        ],
        trends=[(one.label, look.address(trend=one, before=None) + "#over-time", one is trend) for one in Trend],
        chart=chart,
        figures=figures,
        lifts=lifts,
        live=live,
        first_page=before is None,
        settings_error=settings_error,
        form=RunForm.of(campaigns, as_of) if viewer.may_trigger else None,
        empty=not campaigns,
    )


def _tones(campaigns: Sequence[ListedCampaign]) -> dict[str, str]:
    """The tones of all segments of the campaigns, which are the newest first."""
    known = (one.campaign.settings for one in campaigns if one.buckets)
    return tones(*(settings.segments.names for settings in known if settings))


def _fits(one: ListedCampaign, show: Show, needs: Sequence[Attention]) -> bool:
    sent = one.status.key is StatusKey.SENT
    if show is Show.ATTENTION:
        return any(one.window == other.window for other in needs)
    return {Show.ALL: True, Show.SENT: sent, Show.NOT_SENT: not sent}[show]


def _rows(shown: Sequence[ListedCampaign], campaigns: Sequence[ListedCampaign], facts: Facts) -> list[Row]:
    runs = facts([one.run_id for one in shown])
    earlier: dict[Window, Mapping[str, float | str]] = {}
    known: Mapping[str, float | str] = {}
    for one in reversed(campaigns):
        earlier[one.window] = known
        known = one.thresholds
    return [_row(one, words(one.run_id, runs.get(one.run_id or "")), earlier[one.window]) for one in shown]


def _row(one: ListedCampaign, run: str, earlier: Mapping[str, float | str]) -> Row:
    limits = _thresholds(one, earlier)
    return Row(
        one,
        run,
        message_outcome.outcome(one.messages, one.window),
        message_outcome.bar(one.messages, one.window),
        one.messages.total - one.messages.eligible,
        limits[:THRESHOLDS],
        len(limits[THRESHOLDS:]),
    )


def _thresholds(one: ListedCampaign, earlier: Mapping[str, float | str]) -> list[ShownThreshold]:
    """The thresholds that the rules name, the changed ones first. Those of the usual rules need no name."""
    if (settings := one.campaign.settings) is None:
        return []
    usual = default(settings)
    found = [
        ShownThreshold(
            limit.name,
            limit.short if usual else f"{limit.name} {limit.value}",
            bool(earlier) and earlier.get(limit.setting) != one.thresholds[limit.setting],
        )
        for limit in thresholds(settings)
    ]
    return found if usual else sorted(found, key=lambda limit: not limit.changed)
