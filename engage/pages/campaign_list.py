"""The page *Campaigns*: one row for each campaign, newest first."""

from __future__ import annotations

import sqlalchemy as sa

from engage.pages import charts
from engage.pages.render import html
from engage.pages.viewer import Viewer
from engage.reports import report
from engage.window import Window

SHOWN = 10
"""Campaigns on one page of the list."""


def campaign_list(engine: sa.Engine, viewer: Viewer, before: Window | None = None) -> str:
    """The HTML of the list, or of its part that is older than the window ``before``."""
    with engine.begin() as conn:
        reports = report.recent(conn, before=before, limit=SHOWN + 1)
    older = reports[SHOWN - 1].window["start"] if len(reports) > SHOWN else None
    return html("campaign_list.html", viewer=viewer, reports=reports[:SHOWN], older=older, newer=before, bar=charts.bar)
