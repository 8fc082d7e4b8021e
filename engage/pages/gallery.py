"""Every macro in every state on one page, for contributors. All names and numbers are made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import exp

from engage.campaigns.distribution import Axis, Distribution
from engage.pages import charts, heat_map
from engage.pages.happenings import Happening, Kind
from engage.pages.render import html
from engage.pages.segment_tones import FURTHER, tones
from engage.pages.threshold_words import RuleLine
from engage.pages.viewer import NextRun, Viewer
from engage.segments import DEFAULT
from engage.window import ANCHOR, Window

AT = datetime(2026, 11, 26, 14, 8, 2, tzinfo=UTC)
TONES = ("success", "running", "queued", "awaiting_input", "warning", "upstream_failed", "up_for_retry", "failed",
         "skipped", "deferred", "info", "none")  # fmt: skip
COLOURS = tones(DEFAULT.names)
MANY = tones((*DEFAULT.named, *(f"SEGMENT_{n}" for n in range(1, len(FURTHER) + 1)), DEFAULT.otherwise))
"""As many segments as there are colours."""
SHARES = ((570, 910), (2160, 3660), (990, 4190), (1850, 3760), (2410, 6140), (980, 4080), None, (955, 4150))
"""Customers in BOOST and REWARD of each campaign, of 10,000. None: the campaign was not computed."""


def gallery(viewer: Viewer) -> str:
    """The HTML of the gallery."""
    spread = _spread()
    return html(
        "gallery.html",
        viewer=viewer,
        at=AT,
        window=Window(ANCHOR).next(),
        pills=TONES,
        tones=MANY,
        many={name: 100 + 40 * (n % 4) for n, name in enumerate(MANY)},
        happenings=(
            Happening(AT, Kind.SETTINGS, "info", "changed", "ada", settings={"message_boost": "set"}),
            Happening(AT, Kind.CAMPAIGNS, "failed", "halted the campaign", "ada", "a typo", Window(ANCHOR)),
        ),
        next_runs=(
            NextRun(AT + timedelta(days=38), AT),
            NextRun(AT, AT),
            NextRun(None, AT),
            NextRun(AT, AT, paused=True),
        ),
        charts=(
            _columns(),
            charts.histogram(
                "Spend over the 8 weeks",
                spread.spend,
                spread.spend_by_bucket(),
                COLOURS,
                money=True,
                threshold="BOOST below $100",
            ),
            charts.histogram(
                "Sessions a week", spread.sessions, spread.sessions_by_bucket(), COLOURS, threshold="REWARD above 5"
            ),
            heat_map.heat_map(
                spread,
                COLOURS,
                RuleLine("BOOST below", Decimal(100)),
                RuleLine("REWARD above", Decimal(5)),
                regions=True,
            ),
        ),
    )


def _columns() -> charts.Chart:
    """The customers by bucket over time, with one campaign that was not computed."""
    windows = [Window(ANCHOR)]
    for _ in SHARES[1:]:
        windows.append(windows[-1].next())
    customers = [dict(zip(COLOURS, (*one, 10_000 - sum(one)), strict=True)) if one else None for one in SHARES]
    series = [
        charts.Series(
            name,
            tone,
            [one[name] / 100 if one else None for one in customers],
            [f"{one[name]:,} ({one[name] / 100:.1f}%)" if one else "not computed" for one in customers],
        )
        for name, tone in COLOURS.items()
    ]
    names = [(f"{window.start.day} {window.start:%b}", str(window)) for window in windows]
    return charts.columns("Customers by bucket", names, series, percent=True, gaps={SHARES.index(None): "guard"})


def _spread() -> Distribution:
    """A hill of customers over spend and sessions."""
    spend = Axis(border=100_00, width=25_00, below=4, bins=32, closed=False, unit=100)
    sessions = Axis(border=40, width=2, below=21, bins=36, closed=True, unit=8)
    cells = {
        (x, y, "BOOST" if x < spend.below else "REWARD" if y >= sessions.below else "NONE"): count
        for x in range(spend.bins)
        for y in range(sessions.bins)
        if (count := round(90 * exp(-(((x - 9) / 7) ** 2) - ((y - 20) / 5) ** 2)))
    }
    return Distribution(spend, sessions, cells)
