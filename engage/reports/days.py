"""A window's days: those that are odd, those for which a reason is known, and what the check cannot say yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import sqlalchemy as sa

from engage.campaigns import odd_days
from engage.campaigns.campaign import Campaign
from engage.campaigns.explained_days import ExplainedDay
from engage.campaigns.odd_days import JudgedDays
from engage.campaigns.rhythm import FULL, LEAST, Rhythm
from engage.campaigns.valid_events import DAY
from engage.formats import NOTHING, counted, day, number
from engage.statuses import DaySource


@dataclass(frozen=True)
class DayRow:
    """Days that follow each other, odd in the same kinds of events and explained for the same reasons.

    ``sources``: what they are odd in; empty if they are only explained. ``unexplained``: those of them without a
    reason. ``events`` and ``usual``: a text for each of ``sources``.
    """

    first: date
    last: date
    sources: tuple[DaySource, ...]
    unexplained: tuple[DaySource, ...]
    reasons: tuple[ExplainedDay, ...]
    """As given for the first day."""
    events: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()

    @property
    def days(self) -> int:
        """How many days they are."""
        return (self.last - self.first).days + 1

    @property
    def words(self) -> str:
        """The days in words."""
        if self.first == self.last:
            return f"{self.first:%A}, {day(self.first)}"
        return f"{self.first:%a}, {day(self.first)} – {self.last:%a}, {day(self.last)}"


@dataclass(frozen=True)
class DaysReport:
    """The days of a campaign's window.

    ``odd``: by kind of event, explained ones too. ``remark``: what was not checked, and why; empty if all was.
    """

    judged: JudgedDays
    odd: dict[DaySource, set[date]]
    rows: list[DayRow]
    remark: str

    @property
    def unexplained(self) -> int:
        """How many odd days lack a reason."""
        return sum(row.days for row in self.rows if row.unexplained)

    def explained(self, source: DaySource) -> set[date]:
        """The days whose events of a kind are explained."""
        return {one.day for one in self.judged.reasons if one.covers(source)}


def of(conn: sa.Connection, record: Campaign) -> DaysReport | None:
    """The days of a campaign's window; None if they were never counted, as a version before 0029 computed it."""
    found = odd_days.judged(conn, record.window)
    if found is None:
        return None
    odd = {source: _odd(found, record, source) for source in DaySource}
    return DaysReport(found, odd, list(_rows(found, odd)), _remark(found, record))


def _odd(found: JudgedDays, record: Campaign, source: DaySource) -> set[date]:
    """The days that the guard found, and those that look odd by what is known now."""
    kept = {date.fromisoformat(one) for each in record.guard.found if each.of == source for one in each.days}
    return kept | {one for run in found.runs(source) for one, _ in run}


def _rows(found: JudgedDays, odd: dict[DaySource, set[date]]) -> Iterator[DayRow]:
    singles = (
        DayRow(
            one,
            one,
            sources := tuple(source for source in DaySource if one in odd[source]),
            tuple(source for source in sources if not any(reason.covers(source) for reason in reasons)),
            reasons,
        )
        for one in found.days
        if (reasons := tuple(reason for reason in found.reasons if reason.day == one))
        or any(one in days for days in odd.values())
    )
    row: DayRow | None = None
    for single in singles:
        if row and single.first == row.last + DAY and _alike(row) == _alike(single):
            row = replace(row, last=single.last)
            continue
        if row:
            yield _in_words(found, row)
        row = single
    if row:
        yield _in_words(found, row)


def _alike(row: DayRow) -> tuple[object, ...]:
    """What days have to share to stand in one row."""
    return row.sources, row.unexplained, [(one.source, one.reason, one.by) for one in row.reasons]


def _in_words(found: JudgedDays, row: DayRow) -> DayRow:
    first = found.days.index(row.first)
    events, usual = [], []
    for source in row.sources:
        mine = found.rhythms[source].days[first : first + row.days]
        events.append(counted(sum(one.events for one in mine), source.removesuffix("s")))
        expected = [one.usual for one in mine if one.usual is not None]
        usual.append(f"about {number(odd_days.rounded(sum(expected)))}" if len(expected) == len(mine) else NOTHING)
    return replace(row, events=tuple(events), usual=tuple(usual))


def _remark(found: JudgedDays, record: Campaign) -> str:
    if record.settings and record.settings.guard_rhythm == "off":
        return "The guard did not look for odd days, as engage_guard_rhythm was off."
    known = max((one for one in found.rhythms.values()), key=lambda one: one.known)
    if known.limit is None:
        return _too_short(known)
    if known.known < FULL:
        return (
            f"Engage knows {counted(known.known, 'day')} before this window. With {FULL} it also sees days that are "
            "less far from the usual."
        )
    return ""


def _too_short(known: Rhythm) -> str:
    return (
        f"What is usual for a day is known after {LEAST} days with events before a window. Engage knows "
        f"{known.known}, so {known.missing} are missing, and no day of this window was checked."
    )
