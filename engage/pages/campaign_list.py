"""The page *Campaigns*: one row for each campaign, newest first."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from engage.campaigns import watchdog
from engage.pages.render import html
from engage.pages.viewer import Viewer
from engage.reports.campaign_list import listed
from engage.settings import Settings
from engage.window import Window

SHOWN = 10
"""Campaigns on one page of the list."""


def campaign_list(
    engine: sa.Engine, viewer: Viewer, settings: Settings, *, before: Window | None = None, as_of: datetime
) -> str:
    """The HTML of the list, or of its part that is older than the window ``before``.

    Above its first part stand the windows that need the operator. ``settings`` are those of the moment.
    """
    with engine.begin() as conn:
        campaigns = listed(conn, before=before, limit=SHOWN + 1)
        findings = [] if before else watchdog.findings(conn, settings, as_of=as_of)
    older = campaigns[SHOWN - 1].window if len(campaigns) > SHOWN else None
    return html(
        "campaign_list.html",
        viewer=viewer,
        campaigns=campaigns[:SHOWN],
        findings=findings,
        older=older,
        newer=before,
    )
