"""The guard: stops a campaign before any message is sent, if its data look wrong compared with the last window's.

``extract`` checks the events and ``bucket`` the shares of the segments; the campaign row keeps their findings. A run
that may text customers stops at ``extract``. While a finding stands, ``approve`` and ``message`` stop as well, so
a task that runs alone does not bypass it. A run that sends no messages only reports the findings. Without a campaign
of the previous window, only the age of the events, the rows of their source and single days are checked.

A finding about days (``odd_days``) stops a campaign only if the setting says so. It no longer counts once a reason for
each of its days is known (``explained_days``): these are read with the campaign, so no step has to run again for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from engage.campaigns import refunds, valid_events
from engage.campaigns.explained_days import ExplainedDay
from engage.errors import GuardStop
from engage.segments import Relative
from engage.segments.words import rounded, with_share
from engage.settings import Settings
from engage.statuses import GuardCheck
from engage.storage.schema import campaign
from engage.window import Window

EXPLAIN = "If there is a reason for a day, such as a holiday, explain it on the report's page. "


@dataclass(frozen=True)
class Finding:
    """A value beyond its limit: both are percent, days, percentage points, rows, or deviations from the usual."""

    check: GuardCheck
    of: str
    found: float
    limit: float
    sentence: str
    stops: bool = True
    """Whether it stops a campaign, or only tells."""
    days: tuple[str, ...] = ()
    """The days that it is about, if it is about single days."""

    def newest(self, window: Window) -> datetime | None:
        """The time of the window's newest event, if the finding is about it."""
        return window.end - timedelta(days=self.found) if self.check is GuardCheck.FRESHNESS else None

    def explained(self, reasons: Collection[ExplainedDay]) -> bool:
        """Whether it is about days, and there is a reason for each of them."""
        known = {one.day.isoformat() for one in reasons if one.covers(self.of)}
        return bool(self.days) and known.issuperset(self.days)


@dataclass(frozen=True)
class Guard:
    """What was found about a campaign, and the run that ignores it, if one does."""

    found: tuple[Finding, ...] = ()
    """All that was found, explained days too."""
    ignored_by: str | None = None
    uncompared: tuple[str, ...] = ()
    """Segments that it could not compare with the window before, as a rule has changed since."""
    reasons: tuple[ExplainedDay, ...] = ()
    """The explained days of the window."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What counts of that: without findings whose days are all explained."""
        return tuple(one for one in self.found if not one.explained(self.reasons))

    @property
    def stopping(self) -> tuple[Finding, ...]:
        """The findings that stop a run, unless it ignores them."""
        return tuple(one for one in self.findings if one.stops)

    @property
    def about_days(self) -> bool:
        """Whether a finding is about single days."""
        return any(one.days for one in self.findings)

    @property
    def note(self) -> str:
        """All findings, as one sentence without its full stop; empty if there are none."""
        return _listed(self.findings)

    @property
    def stands(self) -> bool:
        """Whether a finding stops every run that may text."""
        return bool(self.stopping) and self.ignored_by is None

    @property
    def remark(self) -> str:
        """What it found and what came of that, as sentences; empty if it found nothing."""
        telling = [one for one in self.findings if not one.stops]
        ignored = f"The guard has findings, and a run ignored them: {_listed(self.stopping)}." if self.stopping else ""
        told = f"The guard tells, without stopping a run: {_listed(telling)}." if telling else ""
        return f"{ignored} {told}".strip()

    @property
    def caveat(self) -> str:
        """What it did not check, as a clause; empty if it checked everything."""
        names = ", ".join(self.uncompared)
        return f"{names} not compared with the window before, as a rule has changed" if names else ""

    def with_buckets(self, findings: tuple[Finding, ...], uncompared: tuple[str, ...]) -> Guard:
        """The findings of ``extract``, with these about the buckets in place of earlier ones."""
        others = tuple(each for each in self.found if each.check is not GuardCheck.MIX)
        return replace(self, found=others + findings, uncompared=uncompared)

    def enforce(self, window: Window) -> None:
        """Stop the campaign while a finding stands, unless a run ignores it.

        Raises:
            GuardStop: a finding stands.
        """
        if self.stands:
            days = any(one.days for one in self.stopping)
            raise GuardStop(
                f"The guard has stopped the campaign of the window {window}, and no message was sent: "
                f"{_listed(self.stopping)}. "
                f"Look at `engage report --window-start {window.start:%Y-%m-%d}`, and whether the app's events "
                f"arrive. {EXPLAIN if days else ''}If the data are right, trigger a run of this window with "
                "ignore_guard. If the limit is wrong, change the Variable and clear extract with everything downstream."
            )

    def to_json(self) -> dict[str, Any]:
        """As the campaign row keeps it; ``from_json`` reads it back."""
        findings = [asdict(one) for one in self.found]
        return {"findings": findings, "ignored_by": self.ignored_by, "uncompared": self.uncompared}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any] | None) -> Guard:
        """Read what a campaign row keeps; campaigns older than the guard keep nothing."""
        if kept is None:
            return cls()
        found = tuple(_finding(each) for each in kept["findings"])
        return cls(found, kept["ignored_by"], tuple(kept.get("uncompared", ())))


def _listed(findings: Iterable[Finding]) -> str:
    return "; ".join(one.sentence for one in findings)


def _finding(kept: Mapping[str, Any]) -> Finding:
    """A finding as the row keeps it; those of versions before 0029 stop, and are about no days."""
    return Finding(**{**kept, "check": GuardCheck(kept["check"]), "days": tuple(kept.get("days", ()))})


def of_events(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    counts: dict[str, int],
    *,
    newest: datetime | None = None,
) -> tuple[Finding, ...]:
    """What is wrong with the window's valid events: too few of a kind (``counts``, by kind), or none for too long.

    ``newest``: the time of the last one, if Postgres has none of them itself.
    """
    return (*_volume(conn, window, settings, counts), *_freshness(conn, window, settings, newest=newest))


def of_events_so_far(
    conn: sa.Connection, window: Window, settings: Settings, expected: dict[str, int] | None, as_of: datetime
) -> tuple[Finding, ...]:
    """As ``of_events``, of a running window. ``expected``: its events at its end by kind; None if they are not known.

    These findings only tell.
    """
    words = "at this pace there will be"
    volume = () if expected is None else _volume(conn, window, settings, expected, words)
    return told([*volume, *_freshness(conn, window, settings, as_of=as_of)])


def told(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings as ones that stop nothing."""
    return tuple(replace(one, stops=False) for one in findings)


def _volume(
    conn: sa.Connection, window: Window, settings: Settings, counts: dict[str, int], there_are: str = "there are"
) -> Iterator[Finding]:
    limit = settings.guard_min_volume_percent
    for kind, before in _of_previous_window(conn, window, campaign.c.events).items():
        now = counts.get(kind, 0)
        if kind != refunds.KIND and now * 100 < before * limit:  # fewer refunds are no fault
            percent = 100 * now / before
            sentence = (
                f"{there_are} {now:,} {kind}, {percent:.1f}% of the {before:,} of the window before, and "
                f"engage_guard_min_volume_percent is {limit.normalize():f}"
            )
            yield Finding(GuardCheck.VOLUME, kind, percent, float(limit), sentence)


def _freshness(
    conn: sa.Connection,
    window: Window,
    settings: Settings,
    *,
    newest: datetime | None = None,
    as_of: datetime | None = None,
) -> Iterator[Finding]:
    limit, end = settings.guard_max_quiet_days, as_of or window.end
    quiet_since = end - timedelta(days=limit)
    if not limit or (newest >= quiet_since if newest else valid_events.any_since(conn, window, quiet_since, as_of)):
        return
    if newest := newest or valid_events.newest(conn, window, as_of):
        days = (end - newest) / timedelta(days=1)
        before = "ago" if as_of else "before the window's end"
        sentence = (
            f"the newest event is of {newest:%Y-%m-%d %H:%M} UTC, {days:.1f} days {before}, and "
            f"engage_guard_max_quiet_days is {limit}"
        )
        yield Finding(GuardCheck.FRESHNESS, "events", days, limit, sentence)


def of_buckets(conn: sa.Connection, window: Window, settings: Settings, buckets: dict[str, int]) -> tuple[Finding, ...]:
    """Which segments have moved too far from their share of the customers in the previous window's campaign.

    A segment that the rules of then lack, or write in another way, is not compared: its share was meant to change.
    """
    last = _of_previous_window(conn, window, campaign.c.buckets)
    return tuple(_mix(last, _settings_before(conn, window), settings, buckets)) if last else ()


def uncompared(conn: sa.Connection, window: Window, settings: Settings) -> tuple[str, ...]:
    """The segments that the window before lacks, or writes in another way; none if it has no segments at all."""
    if not _of_previous_window(conn, window, campaign.c.buckets):
        return ()
    compared = settings.segments.shared(_settings_before(conn, window).segments)
    return tuple(name for name in settings.segments.names if name not in compared)


def _settings_before(conn: sa.Connection, window: Window) -> Settings:
    resolved = _of_previous_window(conn, window, campaign.c.resolved)
    return Settings.from_snapshot(_of_previous_window(conn, window, campaign.c.settings), resolved)


def _mix(last: dict[str, int], before: Settings, settings: Settings, buckets: dict[str, int]) -> Iterator[Finding]:
    limit, customers, customers_before = settings.guard_max_shift_points, sum(buckets.values()), sum(last.values())
    if not customers or not customers_before:
        return
    for name in settings.segments.shared(before.segments):
        now = buckets.get(name, 0)
        moved = Fraction(100 * now, customers) - Fraction(100 * last.get(name, 0), customers_before)
        if abs(moved) > Fraction(limit):
            points = float(abs(moved))
            sentence = (
                f"{name} has {100 * now / customers:.1f}% of the customers, {points:.1f} points "
                f"{'more' if moved > 0 else 'less'} than in the window before, and engage_guard_max_shift_points is "
                f"{limit.normalize():f}{_edited(before, settings)}"
            )
            yield Finding(GuardCheck.MIX, name, points, float(limit), sentence)


def _edited(before: Settings, settings: Settings) -> str:
    """The thresholds that both rules name and that have changed, as the end of a sentence; empty if none has."""
    pairs = ((name, before.thresholds.get(name), now) for name, now in settings.thresholds.items())
    changed = [
        f"engage_{name} is {_shown(settings, name)} and was {_shown(before, name)}"
        for name, then, now in pairs
        if then is not None and then != now
    ]
    return f" ({', '.join(changed)})" if changed else ""


def _shown(settings: Settings, name: str) -> str:
    """A threshold, and the number that it became if it is a share of the customers."""
    value, found = settings.threshold(name), settings.resolved.get(name)
    if isinstance(value, Relative):
        return with_share(value, f"{rounded(found.number):f}") if found else value.text
    return f"{value.normalize():f}"


def _of_previous_window(conn: sa.Connection, window: Window, column: sa.Column[Any]) -> dict[str, Any]:
    """What the previous window's campaign has in a column of counts or settings; empty if there is none."""
    query = sa.select(column).where(campaign.c.window_start == window.previous().start)
    return conn.execute(query).scalar_one_or_none() or {}
