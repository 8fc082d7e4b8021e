"""The chart of a window's days: a column for each day, with the band of what is usual in front of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from math import ceil
from typing import Any

from engage import formats
from engage.campaigns.rhythm import Day
from engage.pages.chart_svg import Frame, Scale
from engage.pages.charts import COLUMN_GAP, LOW, Chart, Columns, number_ticks, spec, stacks
from engage.reports.days import DaysReport
from engage.statuses import DaySource

USUAL, ODD, EXPLAINED = "usual", "odd", "explained"
TONES = {USUAL: "info", ODD: "failed", EXPLAINED: "rest"}
WEEK = 7


def day_charts(found: DaysReport) -> list[Chart]:
    """A chart for each kind of event that there is any of."""
    rhythms = found.judged.rhythms
    return [
        _chart(source, found.judged.days, rhythms[source].days, found.odd[source], found.explained(source))
        for source, events in found.judged.counts.events.items()
        if any(events)
    ]


def _chart(
    source: DaySource, days: Sequence[date], judged: Sequence[Day], odd: Collection[date], explained: Collection[date]
) -> Chart:
    title = f"{source.capitalize()} a day"
    most = max(max(one.events, one.high if one.usual is not None else 0) for one in judged)
    ticks = number_ticks(ceil(most))
    places = [(n + 0.5, f"{day.day} {day:%b}") for n, day in enumerate(days) if n % WEEK == 0]
    frame = Frame(LOW, Scale("", 0, len(days), places), Scale(title, 0, ticks[-1][0], ticks))
    states = [EXPLAINED if day in explained else ODD if day in odd else USUAL for day in days]
    bins = [
        {
            "from": n + COLUMN_GAP,
            "to": n + 1 - COLUMN_GAP,
            "name": f"{day:%A}, {formats.day(day)}",
            "gap": None,
            "parts": [{"name": source, "tone": TONES[state], "value": one.events, "text": _words(one)}],
        }
        for n, (day, one, state) in enumerate(zip(days, judged, states, strict=True))
    ]
    bands = [
        {"from": n, "to": n + 1, "low": one.low, "high": one.high}
        for n, one in enumerate(judged)
        if one.usual is not None
    ]
    shapes = [*stacks(frame, bins), *(frame.band((b["from"], b["to"]), (b["low"], b["high"])) for b in bands)]
    described: dict[str, Any] = spec("columns", frame) | {"bins": bins, "bands": bands}
    rows = [
        [f"{day:%a}, {formats.day(day)}", formats.number(one.events), *_band(one), state]
        for day, one, state in zip(days, judged, states, strict=True)
    ]
    numbers = [(name, "number") for name in (source.capitalize(), "Usual", "From", "To")]
    table: Columns = ["Day", *numbers, "State"]
    words = f"{title}, {formats.days(days[0], days[-1])}. {formats.counted(states.count(ODD), 'odd day')}."
    legend = [(name, TONES[name]) for name in dict.fromkeys(states)]
    return Chart(title, frame.draw(words, shapes), described, table, rows, legend=legend)


def _words(one: Day) -> str:
    number = formats.number(one.events)
    return number if one.usual is None else f"{number}, about {formats.number(round(one.usual))} usual"


def _band(one: Day) -> list[str]:
    if one.usual is None:
        return [formats.NOTHING] * 3
    return [formats.number(value) for value in (round(one.usual), ceil(one.low), int(one.high))]
