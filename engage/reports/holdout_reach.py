"""Before a campaign: which effect its holdout could find, and which holdout would find 10% more buyers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from engage import formats
from engage.campaigns import campaign, measured_arms, window_customers
from engage.experiments import power
from engage.reports.lift_words import percent
from engage.reports.segment_lift import TENTH
from engage.segments import sql
from engage.settings import Settings
from engage.window import Window

SAMPLE = 20_000
"""About how many customers of a window are looked at for the share that bought."""
LOOK_BACK = 13
"""Campaigns among which the last measured one is looked for."""


@dataclass(frozen=True)
class HoldoutReach:
    """What a holdout could find about one segment.

    ``texted`` and ``held_out`` are customers. ``share`` is the part of customers who buy in a window, which the rest
    rests on; ``measured`` is the campaign whose customers bought so, None if it is that of the window itself.
    """

    segment: str
    texted: int
    held_out: int
    share: float
    measured: Window | None

    @property
    def detectable(self) -> float | None:
        """The smallest rise of ``share`` that would be found in 4 of 5 campaigns; None if none would."""
        return power.detectable_share(self.texted, self.held_out, self.share)

    @property
    def for_tenth(self) -> float | None:
        """The smallest holdout, as a share, that would find 10% more buyers; None if none up to a half would."""
        return power.holdout_for_share(self.texted + self.held_out, self.share, TENTH * self.share)

    @property
    def sentence(self) -> str:
        """What the holdout could find, and what would find 10% more."""
        rests_on = f"{percent(self.share)} bought in this window"
        if self.measured:
            days = formats.days(self.measured.start, self.measured.end)
            rests_on = f"{percent(self.share)} bought again after the campaign of {days}"
        rise = self.detectable
        if not self.held_out:
            found = f"{self.segment}: no holdout, so no effect can be told"
        elif rise is None:
            found = f"{self.segment}: this holdout finds no effect"
        else:
            points = formats.number(100 * rise, 1)
            found = f"{self.segment}: finds a rise of {points} points or more in 4 of 5 campaigns"
        tenth = self.for_tenth
        would = f"A holdout of {percent(tenth)} would" if tenth else "No holdout up to a half would"
        return f"{found} ({rests_on}). {would} find 10% more buyers."


def reaches(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    customers: Mapping[str, tuple[int, int]],
) -> list[HoldoutReach]:
    """What the holdout of a campaign of ``window`` could find. ``customers``: texted and held out, by segment.

    The share of buyers is that of the last measured campaign of the segment. Without one, a sample of the window's
    customers gives it. A segment without customers, or without any buyer, is left out.
    """
    wanted = [name for name in settings.texted if sum(customers.get(name, (0, 0)))]
    known = _measured(conn, wanted)
    if missing := [name for name in wanted if name not in known]:
        known |= {name: (share, None) for name, share in _sampled(conn, window, settings, missing).items()}
    return [HoldoutReach(name, *customers[name], *known[name]) for name in wanted if name in known and known[name][0]]


def _measured(conn: sa.Connection, segments: Collection[str]) -> dict[str, tuple[float, Window | None]]:
    """The share of buyers in the last measured campaign of each segment."""
    windows = campaign.latest_windows(conn, limit=LOOK_BACK)
    arms = measured_arms.of_windows(conn, windows)
    found: dict[str, tuple[float, Window | None]] = {}
    for window in windows:
        for name in set(segments) - set(found):
            buyers = [one.buyers for one in arms[window] if one.segment == name]
            if everyone := sum(one.customers for one in buyers):
                found[name] = sum(one.bought for one in buyers) / everyone, window
    return found


def _sampled(conn: sa.Connection, window: Window, settings: Settings, segments: Collection[str]) -> dict[str, float]:
    """The share of a segment's customers who bought in the window, by a sample that is the same each time."""
    found = window_customers.find(conn, window)
    if found is None:
        return {}
    part = min(100.0, 100 * SAMPLE / max(1, found.customers))
    sample = sa.tablesample(found.rows, sa.func.system(part), seed=sa.literal(1))
    segment = sql.segment(settings.rules, sample, window.end)
    query = sa.select(segment, sa.func.count(), sa.func.count().filter(sample.c.purchases > 0)).group_by(segment)
    return {name: bought / all_ for name, all_, bought in conn.execute(query) if name in segments}
