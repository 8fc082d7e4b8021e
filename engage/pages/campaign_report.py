"""The page *Campaign report*: one campaign's steps, figures, customers, texts, comparison and history."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.campaigns import distribution
from engage.campaigns.distribution import Distribution
from engage.currency import currency
from engage.pages import (
    addresses,
    campaign_activity,
    campaign_comparison,
    campaign_funnel,
    campaign_progress,
    charts,
    day_chart,
    heat_map,
    lift_section,
    message_outcome,
)
from engage.pages.render import html
from engage.pages.runs import Facts, words
from engage.pages.segment_tones import tones
from engage.pages.threshold_words import SESSIONS, SPEND, default, rule_line
from engage.pages.viewer import Viewer
from engage.reports import budget_cut_words, days, message_texts, report, share_facts
from engage.reports.campaign_list import Comparable, comparable
from engage.reports.report import Report
from engage.settings import Settings
from engage.storage import connection
from engage.window import Window


@dataclass(frozen=True)
class Choice:
    """The campaigns to compare with: an address's value and the words of each, and the one that is chosen."""

    options: list[tuple[str, str]]
    chosen: str


def campaign_report(
    engine: sa.Engine,
    viewer: Viewer,
    window: Window,
    *,
    against: Window | None = None,
    in_run: bool = False,
    facts: Facts = lambda _: {},
) -> str:
    """The HTML of a campaign's report, compared with ``against``, by default with the last campaign that was sent.

    ``in_run``: it stands in the tab of the campaign's DAG run. ``facts``: what Airflow knows of runs.

    Raises:
        NotReady: the window has no campaign.
    """
    with engine.begin() as conn:
        connection.tune(conn)
        found = report.of(conn, window)
        others = comparable(conn, window)
        against = against or others.default
        earlier = report.of(conn, against, whole=False) if against else None
        settings = found.record.settings or Settings()
        spread = distribution.of(conn, window, settings) if found.buckets else None
        drawn = found.record.variants
        texts = message_texts.texts(conn, window, settings, found.counts, drawn) if found.buckets else []
        progress = campaign_progress.shown(conn, found)
        listed = days.of(conn, found.record)
    run = facts([found.record.run_id]).get(found.record.run_id or "")
    counts, colours = found.counts, tones(settings.segments.names)
    return html(
        "campaign_report.html",
        **progress,
        viewer=viewer,
        in_run=in_run,
        record=found.record,
        run_words=words(found.record.run_id, run),
        run=run,
        stages=campaign_funnel.stages(found),
        unsettled=counts.unsettled if counts else 0,
        skipped=message_outcome.skipped(counts, window) if counts else [],
        tones=colours,
        lift=lift_section.section(found.lift, colours) if found.lift else None,
        charts=_charts(spread, settings) if spread else None,
        shares=share_facts.share_facts(settings),
        texts=texts,
        comparison=campaign_comparison.lines(earlier, found) if earlier else None,
        earlier=earlier,
        choice=_choice(others, against) if others.campaigns and not in_run else None,
        activity=campaign_activity.activity(found, run),
        findings=_findings(found),
        budget_cut=(budget_cut_words.head(found.record), tuple(budget_cut_words.sentences(found.record))),
        days=listed,
        day_charts=day_chart.day_charts(listed) if listed else [],
        approval_address=addresses.approval(window),
    )


def _findings(found: Report) -> list[dict[str, Any]]:
    """What the guard found, each as a sentence, or with the time of the newest event."""
    record = found.record
    return [
        {"sentence": _capital(one.sentence), "newest": one.newest(record.window), "days": one.found, "limit": one.limit}
        for one in record.guard.findings
    ]


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _choice(others: Comparable, chosen: Window | None) -> Choice:
    options = []
    for window, status in others.campaigns.items():
        last = ", the last one sent" if window == others.default else f", {status.label.lower()}"
        options.append((formats.iso_day(window.start), formats.days(window.start, window.end) + last))
    if chosen is None:
        options.insert(0, ("", "no other campaign"))
    return Choice(options, formats.iso_day(chosen.start) if chosen else "")


def _charts(spread: Distribution, settings: Settings) -> dict[str, Any]:
    low, high = rule_line(settings, SPEND), rule_line(settings, SESSIONS)
    colours = tones(settings.segments.names)
    below = low.words(partial(formats.threshold, currency=currency())) if low else None
    above = high.words(formats.number) if high else None
    spend, sessions = spread.spend_by_bucket(), spread.sessions_by_bucket()
    return {
        "spend": charts.histogram("Spend over the 8 weeks", spread.spend, spend, colours, money=True, threshold=below),
        "sessions": charts.histogram("Sessions a week", spread.sessions, sessions, colours, threshold=above),
        "both": heat_map.heat_map(spread, colours, low, high, regions=default(settings)),
        "unseen": [
            words for words, axis in ((below, spread.spend), (above, spread.sessions)) if words and not axis.in_view
        ],
    }
