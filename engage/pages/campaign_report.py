"""The page *Campaign report*: one campaign's stages, buckets, charts, messages and comparison."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.campaigns import distribution
from engage.campaigns.distribution import Distribution
from engage.campaigns.segments import BOOST, REWARD
from engage.currency import currency
from engage.pages import campaign_comparison, charts
from engage.pages.render import html
from engage.pages.viewer import Viewer
from engage.reports import report
from engage.reports.campaign_list import comparable
from engage.reports.funnel import funnel
from engage.settings import Settings
from engage.storage import connection
from engage.window import Window


def campaign_report(
    engine: sa.Engine, viewer: Viewer, window: Window, *, against: Window | None = None, in_run: bool = False
) -> str:
    """The HTML of a campaign's report, compared with ``against``, by default with the last campaign that was sent.

    ``in_run``: it stands in the tab of the campaign's DAG run.

    Raises:
        NotReady: the window has no campaign.
    """
    with engine.begin() as conn:
        connection.tune(conn)
        found = report.of(conn, window)
        against = against or comparable(conn, window).default
        earlier = report.of(conn, against) if against else None
        settings = Settings.from_snapshot(found.settings)
        spread = distribution.of(conn, window, settings) if found.buckets else None
    return html(
        "campaign_report.html",
        viewer=viewer,
        in_run=in_run,
        report=found,
        stages=funnel(found).stages(),
        unsettled=found.counts.unsettled if found.counts else 0,
        charts=_charts(spread, settings) if spread else None,
        comparison=campaign_comparison.lines(earlier, found) if earlier else None,
        earlier=earlier,
    )


def _charts(spread: Distribution, settings: Settings) -> dict[str, Any]:
    low = formats.threshold(settings.low_spend_threshold, currency())
    high = formats.number(settings.high_activity_threshold)
    spend, sessions = spread.spend_by_bucket(), spread.sessions_by_bucket()
    return {
        "spend": charts.histogram(
            "Spend over the 8 weeks", spread.spend, spend, money=True, threshold=f"{BOOST} below {low}"
        ),
        "sessions": charts.histogram("Sessions a week", spread.sessions, sessions, threshold=f"{REWARD} above {high}"),
        "both": charts.heat_map(spread, low, high),
        "unseen": [
            name
            for name, axis in ((f"low spend, {low}", spread.spend), (f"high activity, {high}", spread.sessions))
            if not axis.in_view
        ],
    }
