"""The page *What if*: a past campaign's buckets with other thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import sqlalchemy as sa

from engage import formats
from engage.airflow_names import DAG_ID
from engage.campaigns import campaign, distribution
from engage.campaigns.distribution import Distribution
from engage.currency import currency
from engage.errors import NotReady
from engage.pages import charts, flow_svg
from engage.pages.render import html
from engage.pages.segment_tones import tones
from engage.pages.viewer import Viewer
from engage.reports.what_if import THRESHOLDS, WhatIf, what_if
from engage.settings import PREFIX, Settings, in_words, usable
from engage.storage import connection
from engage.window import Window

SHOWN = 26
"""Windows to choose from: four years."""
FIELDS = dict(zip(THRESHOLDS, ("low", "high"), strict=True))
"""The page's field of each threshold."""


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
        spread = distribution.of(conn, window, found.computed)
    return html(
        "what_if.html",
        viewer=viewer,
        window=window,
        windows=windows if window in windows else [window, *windows],
        reach=_reach(spread),
        charts=_charts(spread, found),
        spread=charts.spread_of(spread, tones(found.computed.segments.names)),
        prefix=PREFIX,
        **_shown(found, variables),
    )


def counts(
    engine: sa.Engine, window: Window, chosen: Mapping[str, str], variables: Mapping[str, str | None] | None = None
) -> str:
    """The HTML of the parts that depend on the thresholds.

    Raises:
        NotReady: the window has no buckets yet.
        SettingsError: a threshold is not allowed.
    """
    with engine.begin() as conn:
        connection.tune(conn)
        found = what_if(conn, window, chosen)
    return html("what_if_parts.html", **_shown(found, variables or {}))


def wrong_thresholds(chosen: Mapping[str, str]) -> str | None:
    """The HTML of the sentences about wrong thresholds, each for its field; None if all are right."""
    wrong = in_words(chosen)
    return html("what_if_wrong.html", wrong=wrong, fields=FIELDS) if wrong else None


def threshold_words(settings: Settings) -> str:
    """The thresholds of settings, in words."""
    low, high = settings.low_spend_threshold, settings.high_activity_threshold
    spend = formats.threshold(low, currency())
    return f"BOOST below {spend} and REWARD above {formats.number(high)} sessions a week"


def _shown(found: WhatIf, variables: Mapping[str, str | None]) -> dict[str, object]:
    names = found.settings.segments.names
    moved = {name: _points(found.before, found.after, name) for name in names}
    furthest = max(moved, key=lambda name: abs(moved[name]))
    return {
        "found": found,
        "buckets": names,
        "names": THRESHOLDS,
        "before": found.before,
        "after": found.after,
        "furthest": furthest,
        "shift": moved[furthest],
        "flows": flow_svg.flows(names, found.moves, f"{formats.counted(found.moved, 'customer')} would move."),
        "variables": variables,
        "changes_nothing": _set_to(variables) == found.settings.thresholds,
    }


def _points(before: Mapping[str, int], after: Mapping[str, int], name: str) -> float:
    """By how many points a bucket's share of the customers moves."""
    everyone = sum(before.values())
    return 100 * (after[name] - before[name]) / everyone if everyone else 0.0


def _set_to(variables: Mapping[str, str | None]) -> dict[str, Decimal]:
    """The thresholds that the next campaign takes. A wrong Variable stands for its default here."""
    return usable({name: value for name, value in variables.items() if value is not None}).thresholds


def _charts(spread: Distribution, found: WhatIf) -> dict[str, charts.Chart]:
    low, high = found.computed.low_spend_threshold, found.computed.high_activity_threshold
    colours = tones(found.computed.segments.names)
    return {
        "low": charts.histogram(
            "Spend over the 8 weeks",
            spread.spend,
            spread.spend_by_bucket(),
            colours,
            money=True,
            threshold=f"BOOST below {formats.threshold(low, currency())}",
        ),
        "high": charts.histogram(
            "Sessions a week",
            spread.sessions,
            spread.sessions_by_bucket(),
            colours,
            threshold=f"REWARD above {formats.number(high)}",
        ),
    }


def _reach(spread: Distribution) -> dict[str, float]:
    """The upper end of each slider: beyond it there are few customers."""
    axes = zip(THRESHOLDS, (spread.spend, spread.sessions), strict=True)
    return {name: axis.edge(axis.bins) for name, axis in axes}
