"""The page *What if*: a past campaign's buckets with other thresholds."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from engage.airflow_names import DAG_ID
from engage.campaigns import campaign
from engage.campaigns.distribution import Distribution, distribution
from engage.campaigns.segments import BUCKETS
from engage.errors import NotReady
from engage.pages.render import html
from engage.pages.viewer import Viewer
from engage.reports.what_if import THRESHOLDS, WhatIf, what_if
from engage.settings import PREFIX
from engage.storage import connection
from engage.window import Window

SHOWN = 26
"""Windows to choose from: four years."""


def what_if_page(
    engine: sa.Engine,
    viewer: Viewer,
    window: Window | None,
    chosen: Mapping[str, str],
    variables: Mapping[str, str | None],
) -> str:
    """The HTML of the page for ``window``, by default the latest one.

    ``chosen`` holds thresholds by name; the campaign's own stand in for missing ones. ``variables`` are the Airflow
    Variables' current thresholds, for a viewer who may change them.

    Raises:
        NotReady: the window has no buckets yet.
        SettingsError: a threshold is not allowed.
    """
    with engine.begin() as conn:
        connection.tune(conn)
        windows = campaign.latest_windows(conn, bucketed=True, limit=SHOWN)
        if window is None and not windows:
            raise NotReady(f"No campaign has put customers in buckets yet: trigger a run of {DAG_ID} first.")
        window = window or windows[0]
        found = what_if(conn, window, chosen)
        spread = distribution(conn, window, found.computed)
    return html(
        "what_if.html",
        viewer=viewer,
        window=window,
        windows=windows if window in windows else [window, *windows],
        found=found,
        reach=_reach(spread),
        variables=variables,
        prefix=PREFIX,
        names=THRESHOLDS,
        **_shown(found),
    )


def counts(engine: sa.Engine, window: Window, chosen: Mapping[str, str]) -> str:
    """The HTML of the part that depends on the thresholds.

    Raises:
        NotReady: the window has no buckets yet.
        SettingsError: a threshold is not allowed.
    """
    with engine.begin() as conn:
        connection.tune(conn)
        found = what_if(conn, window, chosen)
    return html("what_if_counts.html", found=found, **_shown(found))


def _shown(found: WhatIf) -> dict[str, object]:
    return {"buckets": BUCKETS, "before": found.before, "after": found.after}


def _reach(spread: Distribution) -> dict[str, float]:
    """The upper end of each slider: beyond it there are few customers."""
    axes = zip(THRESHOLDS, (spread.spend, spread.sessions), strict=True)
    return {name: axis.edge(axis.bins) for name, axis in axes}
