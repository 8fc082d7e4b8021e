"""A window's days: those that are odd, those for which a reason is known, and what the check cannot say yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    """Days that follow each other, odd in the same kind of event or explained for the same reason.

    ``source``: what they are odd in; None if they are only explained. ``reason``: None if there is none yet.
    """

    first: date
    last: date
    source: DaySource | None
    reason: ExplainedDay | None
    events: str
    usual: str

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
        """How many rows have no reason."""
        return sum(row.reason is None for row in self.rows)

    def explained(self, source: DaySource) -> set[date]:
        """The days whose events of a kind are explained."""
        return {one.day for one in self.judged.reasons if one.covers(source)}


def of(conn: sa.Connection, record: Campaign) -> DaysReport | None:
    """The days of a campaign's window; None if they were never counted, as a version before 0029 computed it."""
    found = odd_days.judged(conn, record.window)
    if found is None:
        return None
    odd = {source: _odd(found, record, source) for source in DaySource}
    rows = sorted(_rows(found, odd), key=lambda row: (row.first, row.source is None, row.source or ""))
    return DaysReport(found, odd, rows, _remark(found, record))


def _odd(found: JudgedDays, record: Campaign, source: DaySource) -> set[date]:
    """The days that the guard found, and those that look odd by what is known now."""
    kept = {date.fromisoformat(one) for each in record.guard.found if each.of == source for one in each.days}
    return kept | {one for run in found.runs(source) for one, _ in run}


def _reason(found: JudgedDays, source: DaySource, of: date) -> ExplainedDay | None:
    return next((one for one in found.reasons if one.day == of and one.covers(source)), None)


def _rows(found: JudgedDays, odd: dict[DaySource, set[date]]) -> Iterator[DayRow]:
    for source, days in odd.items():
        for run in _runs([(one, _reason(found, source, one)) for one in sorted(days)]):
            yield _row(found, source, run)
    shown = {one for days in odd.values() for one in days}
    others = [(one.day, one) for one in found.reasons if one.day not in shown]
    for run in _runs(others):
        yield DayRow(run[0][0], run[-1][0], None, run[0][1], NOTHING, NOTHING)


Reasoned = tuple[date, ExplainedDay | None]


def _runs(days: Sequence[Reasoned]) -> list[list[Reasoned]]:
    """Consecutive days with the same reason, or without one."""
    found: list[list[Reasoned]] = []
    for one in days:
        if found and _continues(found[-1][-1], one):
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _continues(before: Reasoned, one: Reasoned) -> bool:
    return one[0] == before[0] + DAY and _given(one[1]) == _given(before[1])


def _given(reason: ExplainedDay | None) -> tuple[object, ...]:
    return () if reason is None else (reason.source, reason.reason, reason.by)


def _row(found: JudgedDays, source: DaySource, run: Sequence[Reasoned]) -> DayRow:
    judged = dict(zip(found.days, found.rhythms[source].days, strict=True))
    mine = [judged[one] for one, _ in run]
    usual = sum(one.usual or 0.0 for one in mine)
    known = all(one.usual is not None for one in mine)
    return DayRow(
        run[0][0],
        run[-1][0],
        source,
        run[0][1],
        counted(sum(one.events for one in mine), str(source).removesuffix("s")),
        f"about {number(odd_days.rounded(usual))}" if known else NOTHING,
    )


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
