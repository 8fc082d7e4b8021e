"""The pages about campaigns: the list, one campaign's report, and its counts as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any

import sqlalchemy as sa

from engage.pages import campaign_comparison, charts
from engage.pages.render import html
from engage.pages.viewer import Viewer
from engage.reports import report
from engage.reports.distribution import Distribution, distribution
from engage.reports.funnel import funnel
from engage.settings import Settings
from engage.storage import connection
from engage.window import Window

SHOWN = 10
"""Campaigns on one page of the list."""


def campaign_list(engine: sa.Engine, viewer: Viewer, before: Window | None = None) -> str:
    """The page with one row per campaign, newest first."""
    with engine.begin() as conn:
        reports = report.recent(conn, before=before, limit=SHOWN + 1)
    older = reports[SHOWN - 1].window["start"] if len(reports) > SHOWN else None
    return html("campaign_list.html", viewer=viewer, reports=reports[:SHOWN], older=older, newer=before, bar=charts.bar)


def campaign_report(engine: sa.Engine, viewer: Viewer, window: Window) -> str:
    """The page about one campaign.

    Raises:
        NotReady: there is no such campaign.
    """
    with engine.begin() as conn:
        connection.tune(conn)
        found = report.of(conn, window)
        stages = funnel(conn, window, found).stages()
        earlier = next(iter(report.recent(conn, before=window, limit=1)), None)
        settings = Settings.from_snapshot(found.settings)
        spread = distribution(conn, window, settings) if found.customers else None
    return html(
        "campaign_report.html",
        viewer=viewer,
        report=found,
        stages=stages,
        charts=_charts(spread, settings) if spread else None,
        comparison=campaign_comparison.lines(earlier, found) if earlier else None,
        earlier=earlier,
        bar=charts.bar,
        length=charts.length,
    )


def _charts(spread: Distribution, settings: Settings) -> dict[str, Any]:
    low, high = f"{settings.low_spend_threshold:.2f}", f"{settings.high_activity_threshold:f}"
    return {
        "spend": charts.histogram(spread.spend, spread.by_spend(), "Spend over the 8 weeks", low),
        "sessions": charts.histogram(spread.sessions, spread.by_sessions(), "Sessions a week", high),
        "both": charts.heat_map(spread, low, high),
        "unseen": [
            name
            for name, axis in ((f"low spend, {low}", spread.spend), (f"high activity, {high}", spread.sessions))
            if not axis.in_view
        ],
    }


def counts_csv(engine: sa.Engine, window: Window) -> str:
    """A campaign's customers by bucket, and its messages by status and by reason, as CSV.

    Raises:
        NotReady: there is no such campaign.
    """
    with engine.begin() as conn:
        found = report.of(conn, window)
    skipped = found.messages["skipped_by_reason"]
    rows: list[tuple[str, str, object]] = [
        *(("bucket", name, count) for name, count in found.buckets.items()),
        *(("message", status, count) for status, count in sorted(found.messages["by_status"].items())),
        *(("skipped", reason, count) for reason, count in sorted(skipped.items())),
        ("segments", "all", found.messages["segments"]),
    ]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("window_start", "what", "name", "count"))
    writer.writerows([safe_cell(cell) for cell in (found.window["start"][:10], *row)] for row in rows)
    return text.getvalue()


def safe_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: one that would be is text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value
