"""The guard: it stops a campaign whose data look wrong beside the last one's, before anybody is texted for it.

``extract`` looks at the events and ``bucket`` at the shares of the buckets; what they find is kept with the campaign.
A run that may text people stops at ``extract``, and as long as a finding stands ``message`` queues nothing: a task that
is run alone gets nobody past it. A run that texts nobody is in nobody's way, so it only tells. The last campaign is
that of the window before; without one only the events' age is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from engage.campaigns import valid_events
from engage.errors import GuardStop
from engage.settings import Settings
from engage.storage.schema import campaign
from engage.window import Window

VOLUME, FRESHNESS, MIX = "volume", "freshness", "mix"


@dataclass(frozen=True)
class Finding:
    """Something beyond its limit: ``found`` is a percentage, days, or points, as ``limit`` is."""

    check: str
    of: str
    found: float
    limit: float
    sentence: str


@dataclass(frozen=True)
class Guard:
    """What was found about a campaign, and the run that was told to ignore it."""

    findings: tuple[Finding, ...] = ()
    ignored_by: str | None = None

    @property
    def note(self) -> str:
        """Everything that was found, in words."""
        return "; ".join(finding.sentence for finding in self.findings)

    def with_buckets(self, findings: tuple[Finding, ...]) -> Guard:
        """As it was after ``extract``, and with what there is to say of the buckets."""
        return replace(self, findings=(*(each for each in self.findings if each.check != MIX), *findings))

    def enforce(self, window: Window) -> None:
        """Let nobody be texted while a finding stands that no run was told to ignore.

        Raises:
            GuardStop: there is one.
        """
        if self.findings and self.ignored_by is None:
            raise GuardStop(
                f"The guard has stopped the campaign of the window {window}, and nobody was texted: {self.note}. Look "
                f"at `python -m engage report --window-start {window.start:%Y-%m-%d}`, and whether the app's events "
                "arrive. If all is right, trigger a run of this window with ignore_guard; if the limit is wrong, "
                "change the Variable and clear extract with everything downstream."
            )

    def kept(self) -> dict[str, Any]:
        """As the campaign keeps it; ``from_kept`` reads it back."""
        return asdict(self)

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any] | None) -> Guard:
        """A campaign of before there was a guard has nothing to say."""
        if kept is None:
            return cls()
        return cls(tuple(Finding(**finding) for finding in kept["findings"]), kept["ignored_by"])


def of_events(conn: sa.Connection, window: Window, settings: Settings, counts: dict[str, int]) -> tuple[Finding, ...]:
    """What is wrong with the window's events: too few of a kind, or none for too long."""
    return (*_fallen(conn, window, settings, counts), *_quiet(conn, window, settings))


def _fallen(conn: sa.Connection, window: Window, settings: Settings, counts: dict[str, int]) -> Iterator[Finding]:
    limit = settings.guard_min_volume_percent
    for kind, before in _of_the_last(conn, window, campaign.c.events).items():
        now = counts.get(kind, 0)
        if now * 100 < before * limit:
            percent = 100 * now / before
            sentence = (
                f"there are {now:,} {kind}, {percent:.1f}% of the {before:,} of the window before, and "
                f"engage_guard_min_volume_percent is {limit.normalize():f}"
            )
            yield Finding(VOLUME, kind, percent, float(limit), sentence)


def _quiet(conn: sa.Connection, window: Window, settings: Settings) -> Iterator[Finding]:
    limit = settings.guard_max_quiet_days
    if not limit or valid_events.any_since(conn, window, window.end - timedelta(days=limit)):
        return
    if newest := valid_events.newest(conn, window):
        days = (window.end - newest) / timedelta(days=1)
        sentence = (
            f"the newest event is of {newest:%Y-%m-%d %H:%M} UTC, {days:.1f} days before the window's end, and "
            f"engage_guard_max_quiet_days is {limit}"
        )
        yield Finding(FRESHNESS, "events", days, limit, sentence)


def of_buckets(conn: sa.Connection, window: Window, settings: Settings, buckets: dict[str, int]) -> tuple[Finding, ...]:
    """Which buckets have another share of the customers than in the last campaign."""
    return tuple(_moved(_of_the_last(conn, window, campaign.c.buckets), settings, buckets))


def _moved(last: dict[str, int], settings: Settings, buckets: dict[str, int]) -> Iterator[Finding]:
    limit, customers, customers_before = settings.guard_max_shift_points, sum(buckets.values()), sum(last.values())
    if not customers or not customers_before:
        return
    for name, now in buckets.items():
        moved = Fraction(100 * now, customers) - Fraction(100 * last.get(name, 0), customers_before)
        if abs(moved) > Fraction(limit):
            points = float(abs(moved))
            sentence = (
                f"{name} has {100 * now / customers:.1f}% of the customers, {points:.1f} points "
                f"{'more' if moved > 0 else 'less'} than in the window before, and engage_guard_max_shift_points is "
                f"{limit.normalize():f}"
            )
            yield Finding(MIX, name, points, float(limit), sentence)


def _of_the_last(conn: sa.Connection, window: Window, column: sa.Column[Any]) -> dict[str, int]:
    """Counts of the campaign of the window before; empty if there is none."""
    query = sa.select(column).where(campaign.c.window_start == window.previous().start)
    return conn.execute(query).scalar_one_or_none() or {}
