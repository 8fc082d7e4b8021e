"""What the texts of all measured campaigns did, for the page *Campaigns*: one sentence, and a whisker for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from markupsafe import Markup

from engage.campaigns.campaign import Campaign
from engage.currency import currency
from engage.experiments.lift import Lift
from engage.formats import NOTHING
from engage.pages import whisker_svg
from engage.pages.lift_section import tick
from engage.reports import lift
from engage.reports import lift_words as words
from engage.statuses import Metric
from engage.window import Window

SHOWN = 13
"""Two years of campaigns."""


@dataclass(frozen=True)
class Line:
    """One campaign, or all together if ``window`` is None."""

    window: Window | None
    difference: str
    interval: str
    whisker: Markup


@dataclass(frozen=True)
class LiftOverTime:
    """The card, as text and drawings. The lines are the newest first."""

    metric: str
    sentence: str
    lines: list[Line]
    axis: Markup


def over_time(conn: sa.Connection, campaigns: Sequence[Campaign]) -> LiftOverTime | None:
    """The lifts of the latest measured campaigns; None if fewer than two have one. ``campaigns``: the newest first."""
    found = lift.over_time(conn, campaigns, limit=SHOWN)
    if not found:
        return None
    together, metric = found.pooled, found.metric
    lifts = [one.lift for one in found.points if one.lift]
    scale = whisker_svg.scale([*lifts, together.lift], lambda value: tick(metric, value))
    lines = [_line(one.window, one.lift, metric, scale, "info") for one in reversed(found.points)]
    return LiftOverTime(
        metric=words.NAMES[metric],
        sentence=words.over_time(together, metric, currency()),
        lines=[_line(None, together.lift, metric, scale, "none"), *lines],
        axis=whisker_svg.axis(scale),
    )


def _line(
    window: Window | None, found: Lift | None, metric: Metric, scale: whisker_svg.WhiskerScale, tone: str
) -> Line:
    if not found:
        return Line(window, NOTHING, NOTHING, whisker_svg.whisker(scale, None, tone))
    return Line(
        window,
        words.difference(metric, found, currency()),
        words.interval(metric, found, currency()),
        whisker_svg.whisker(scale, found, tone),
    )
