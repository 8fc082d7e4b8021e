"""The guard's check ``rhythm``: days of the window with far more or far fewer events than usual, as findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import floor, log10

import sqlalchemy as sa

from engage.campaigns import daily_volume, explained_days, rhythm
from engage.campaigns.daily_volume import DayCounts
from engage.campaigns.explained_days import ExplainedDay
from engage.campaigns.guard import Finding
from engage.campaigns.rhythm import Day, Rhythm
from engage.campaigns.valid_events import DAY
from engage.settings import Settings
from engage.statuses import DaySource, GuardCheck
from engage.window import Window

SHOWN = 4
"""Runs of odd days with a finding each, of one kind of event. One more finding is about all later runs."""

Run = Sequence[tuple[date, Day]]
"""Odd days that follow each other, all with too many or all with too few events."""


@dataclass(frozen=True)
class JudgedDays:
    """The window's days beside what is usual, by kind of event, and the reasons that are known for some of them."""

    counts: DayCounts
    rhythms: Mapping[DaySource, Rhythm]
    reasons: Sequence[ExplainedDay]

    @property
    def days(self) -> Sequence[date]:
        """The days of the window."""
        return self.counts.days[self.counts.history :]

    def runs(self, source: DaySource) -> list[Run]:
        """The odd days, explained ones too."""
        found: list[list[tuple[date, Day]]] = []
        for day, judged in zip(self.days, self.rhythms[source].days, strict=True):
            if not judged.odd:
                continue
            last_day, last = found[-1][-1] if found else (None, judged)
            if last_day == day - DAY and (last.off > 0) == (judged.off > 0):
                found[-1].append((day, judged))
            else:
                found.append([(day, judged)])
        return [tuple(run) for run in found]


def judged(conn: sa.Connection, window: Window) -> JudgedDays | None:
    """The window's days as they look by what is known now; None if they were not counted."""
    counts = daily_volume.of(conn, window)
    return None if counts is None else _judged(conn, window, counts)


def _judged(conn: sa.Connection, window: Window, counts: DayCounts) -> JudgedDays:
    reasons = explained_days.between(conn, counts.days[0], counts.days[-1])
    rhythms = {}
    for source, events in counts.events.items():
        explained = [(one.day - counts.days[0]).days for one in reasons if one.covers(source)]
        rhythms[source] = rhythm.judge(events, counts.history, explained)
    return JudgedDays(counts, rhythms, [one for one in reasons if one.day >= window.start.date()])


def findings(conn: sa.Connection, window: Window, settings: Settings) -> tuple[Finding, ...]:
    """The findings about the days that ``daily_volume.keep`` has counted; explained ones too, as ``Guard`` knows them.

    Days that were counted of a part of the customers are counted again first if they look odd.
    """
    if settings.guard_rhythm == "off":
        return ()
    found = judged(conn, window)
    if found and (scaled := _odd_and_scaled(found)):
        for source, days in scaled.items():
            daily_volume.count_again(conn, window, source, days)
        found = judged(conn, window)
    stops = settings.guard_rhythm == "stop"
    return tuple(one for source in DaySource for one in _of(found, source, stops=stops)) if found else ()


def findings_so_far(
    conn: sa.Connection, window: Window, settings: Settings, events: Mapping[str, int], *, as_of: datetime
) -> tuple[Finding, ...]:
    """The findings about the days of a running window that are over; they only tell, and nothing is kept.

    ``events``: the window's valid events until ``as_of``, by kind.
    """
    counts = daily_volume.so_far(conn, window, events, as_of=as_of)
    if settings.guard_rhythm == "off" or not counts.own:
        return ()
    for source, days in _odd_and_scaled(_judged(conn, window, counts)).items():
        counts = counts.corrected(source, daily_volume.exact(conn, window, source, days))
    found = _judged(conn, window, counts)
    return tuple(one for source in DaySource for one in _of(found, source, stops=False))


def _odd_and_scaled(found: JudgedDays) -> dict[DaySource, list[date]]:
    odd = {source: [day for run in found.runs(source) for day, _ in run] for source in DaySource}
    scaled = {source: [day for day in days if (source, day) in found.counts.scaled] for source, days in odd.items()}
    return {source: days for source, days in scaled.items() if days}


def _of(found: JudgedDays, source: DaySource, *, stops: bool) -> Iterator[Finding]:
    runs, limit = found.runs(source), found.rhythms[source].limit or 0.0
    for run in runs[:SHOWN]:
        yield _finding(source, run, limit, _sentence(source, run), stops=stops)
    if later := [one for run in runs[SHOWN:] for one in run]:
        sentence = f"the {source} of {len(later)} later days are odd too, first on {_named(later[0][0])}"
        yield _finding(source, later, limit, sentence, stops=stops)


def _finding(source: DaySource, run: Run, limit: float, sentence: str, *, stops: bool) -> Finding:
    furthest = max(abs(judged.off) for _, judged in run)
    days = tuple(day.isoformat() for day, _ in run)
    return Finding(GuardCheck.RHYTHM, source, round(furthest, 1), limit, sentence, stops=stops, days=days)


def _sentence(source: DaySource, run: Run) -> str:
    events, usual = sum(one.events for _, one in run), sum(one.usual or 0.0 for _, one in run)
    (first, _), (last, _) = run[0], run[-1]
    there = f"there was 1 {source.removesuffix('s')}" if events == 1 else f"there were {events:,} {source}"
    if first == last:
        return f"on {_named(first)} {there}, and {about(usual)} usual for a {first:%A} then"
    return f"from {_named(first)} to {_named(last)} {there}, and {about(usual)} usual for these days then"


def _named(day: date) -> str:
    return f"{day:%A %Y-%m-%d}"


def about(usual: float) -> str:
    """A usual number with its verb, such as *about 5,700 are*."""
    number = rounded(usual)
    return f"about {number:,} {'is' if number == 1 else 'are'}" if number else "none is"


def rounded(usual: float) -> int:
    """A usual number to two digits."""
    if usual < 0.5:
        return 0
    size: int = 10 ** max(0, floor(log10(usual)) - 1)
    return round(usual / size) * size
