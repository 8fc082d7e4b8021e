"""The charts: each has a drawing without a script, a description for ``charts.js``, and the table behind both.

The description holds every text as it is shown, so that numbers are formatted in one place. Its fields:

- ``kind``: ``columns`` (stacked columns over time), ``histogram`` or ``heat``
- ``x``, ``y``: ``title``, ``least``, ``most`` and ``ticks``, which are pairs of a value and its text
- ``bins`` of columns and of a histogram: ``from`` and ``to`` across, ``name``, and ``parts`` from below, each with its
  ``name``, ``tone``, ``value`` and ``text``; ``gap`` says why there is nothing
- ``cells`` of a heat map: ``x`` and ``y`` (from, to), ``column``, ``row``, ``tone``, ``strength`` from 0 to 1, ``name``
- ``thresholds``: ``x`` with its ``label``, and ``y`` with the value ``from`` which it holds across
- ``levels`` of columns: a threshold for each column, as ``from`` and ``to`` across and its height ``y``
- ``bands`` of columns: what is usual for each column, as ``from`` and ``to`` across, ``low`` and ``high``
- ``regions``: a ``name`` at a corner such as ``bottom left``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import ceil, floor, log10
from typing import Any

from markupsafe import Markup

from engage import formats
from engage.campaigns.distribution import Axis, Distribution
from engage.currency import currency
from engage.pages.chart_svg import Frame, Scale, Tick

LOW = 256
"""Height in pixels."""
TICKS = 8
"""Most numbers across."""
UP = 5
"""Most steps between numbers at the left."""
WORD_TICKS = 7
"""Most names below columns, for a phone."""
COLUMN_GAP = 0.15
"""Half the room between two columns, of a column's own room."""

Columns = Sequence[str | tuple[str, str]]
Place = tuple[int, int]
"""A column and a row of the heat map."""
Tones = Mapping[str, str]
"""The tone of each segment, in order, as ``segment_tones.tones`` gives them."""


@dataclass(frozen=True)
class Chart:
    """One chart. ``columns`` and ``rows`` are the table behind it; a column is a name, or a name and ``number``."""

    title: str
    svg: Markup
    spec: Mapping[str, Any]
    columns: Columns
    rows: Sequence[Sequence[str]]
    tall: bool = False
    legend: Sequence[tuple[str, str]] = ()
    """The names of the parts, and their tones."""


@dataclass(frozen=True)
class Point:
    """One campaign of a customer: its short and long name, the value, the bucket, and the campaign's threshold."""

    short: str
    name: str
    value: float
    bucket: str
    threshold: float | None
    """None if the campaign's rules have no such threshold."""


@dataclass(frozen=True)
class Series:
    """One part of every column, with a value and a text for each column; None where there is no value."""

    name: str
    tone: str
    values: Sequence[float | None]
    texts: Sequence[str]


def columns(
    title: str,
    names: Sequence[tuple[str, str]],
    series: Sequence[Series],
    *,
    percent: bool = False,
    gaps: Mapping[int, str] | None = None,
) -> Chart:
    """Stacked columns over time.

    ``names``: a short and a long name of each column. ``gaps``: why a column has no values, by its number from 0.
    ``percent``: the values are shares of 100.
    """
    most = max((sum(one.values[n] or 0 for one in series) for n in range(len(names))), default=0)
    ticks = [(float(value), f"{value}%") for value in (0, 25, 50, 75, 100)] if percent else number_ticks(most)
    every = max(1, ceil(len(names) / WORD_TICKS))
    places = [(n + 0.5, short) for n, (short, _) in enumerate(names)]
    frame = Frame(LOW, Scale("", 0, max(1, len(names)), places[::every]), Scale("", 0, ticks[-1][0], ticks))
    bins = [
        {
            "from": n + COLUMN_GAP,
            "to": n + 1 - COLUMN_GAP,
            "name": long,
            "gap": (gaps or {}).get(n),
            "parts": [_part(one, n) for one in series if one.values[n]],
        }
        for n, (_, long) in enumerate(names)
    ]
    described = spec("columns", frame) | {"bins": bins}
    described["x"]["ticks"] = places  # the script leaves out those that have no room
    rows = [[long, *(one.texts[n] for one in series)] for n, (_, long) in enumerate(names)]
    table: Columns = ["Campaign", *((one.name, "number") for one in series)]
    legend = [(one.name, one.tone) for one in series]
    return Chart(title, frame.draw(title, stacks(frame, bins)), described, table, rows, legend=legend)


def by_campaign(
    title: str, points: Sequence[Point], tones: Tones, *, money: bool = False, threshold: str | None
) -> Chart:
    """A customer's value in each campaign, in the colour of the bucket, with a line at each campaign's threshold.

    ``threshold``: what the lines mean, such as *BOOST below*; None if there is no line.
    """
    most = max((max(one.value, one.threshold or 0) for one in points), default=0)
    ticks = [(value, _short(value, money=money)) for value, _ in number_ticks(most)]
    every = max(1, ceil(len(points) / WORD_TICKS))
    places = [(n + 0.5, one.short) for n, one in enumerate(points)]
    frame = Frame(LOW, Scale("", 0, max(1, len(points)), places[::every]), Scale(title, 0, ticks[-1][0], ticks))
    texts = [formats.money(one.value, currency()) if money else formats.number(one.value) for one in points]
    bins = [
        {
            "from": n + COLUMN_GAP,
            "to": n + 1 - COLUMN_GAP,
            "name": one.name,
            "gap": None,
            "parts": [{"name": one.bucket, "tone": tones[one.bucket], "value": one.value, "text": texts[n]}],
        }
        for n, one in enumerate(points)
    ]
    levels = [{"from": n, "to": n + 1, "y": one.threshold} for n, one in enumerate(points) if one.threshold is not None]
    lines = [frame.level(one["y"], one["from"], one["to"]) for one in levels]
    described = spec("columns", frame) | {"bins": bins, "levels": levels}
    described["x"]["ticks"] = places
    rows = [[one.name, texts[n], *_limit(one, threshold, money=money), one.bucket] for n, one in enumerate(points)]
    limit = [(threshold, "number")] if threshold else []
    table: Columns = ["Campaign", (title, "number"), *limit, "Segment"]
    lines_at = f", with a line at {threshold}" if threshold else ""
    words = f"{title} in {formats.counted(len(points), 'campaign')}{lines_at}."
    return Chart(title, frame.draw(words, [*stacks(frame, bins), *lines]), described, table, rows)


def _limit(point: Point, threshold: str | None, *, money: bool) -> list[str]:
    """The cell of the table with a campaign's threshold, if the table has such cells."""
    if threshold is None:
        return []
    return [formats.NOTHING if point.threshold is None else _short(point.threshold, money=money)]


def histogram(
    title: str,
    axis: Axis,
    customers: Mapping[str, Sequence[int]],
    tones: Tones,
    *,
    money: bool = False,
    threshold: str | None = None,
) -> Chart:
    """Customers by bin in the colours of their segments, with a line at the threshold.

    ``customers``: in each bin, by segment. ``threshold``: the label of the line, such as *BOOST below $100*; None if
    the rules have no such threshold.
    """
    counts = {name: customers.get(name, [0] * axis.bins) for name in tones}
    totals = [sum(one[n] for one in counts.values()) for n in range(axis.bins)]
    names, most = bin_names(axis, money=money), max(totals, default=0)
    ticks = number_ticks(most)
    frame = Frame(LOW, axis_scale(title, axis, money=money), Scale("Customers", 0, ticks[-1][0], ticks))
    bins = [
        {
            "from": axis.span(n)[0],
            "to": axis.span(n)[1],
            "name": names[n],
            "parts": [_customers(name, tones[name], one[n]) for name, one in counts.items() if one[n]],
        }
        for n in range(axis.bins)
    ]
    shapes = stacks(frame, bins)
    words = f"{title}, of {formats.counted(sum(totals), 'customer')}. Most in one bin: {formats.number(most)}."
    thresholds: dict[str, Any] = {}
    if threshold and axis.in_view:
        thresholds = {"x": axis.edge(axis.below), "label": threshold}
        shapes.append(frame.upright(thresholds["x"], threshold))
        below = sum(totals[: axis.below])
        words += f" {threshold}: {formats.number(below)} up to the line, {formats.number(sum(totals) - below)} beyond."
    rows = [[names[n], *(formats.number(one[n]) for one in counts.values())] for n in range(axis.bins) if totals[n]]
    table: Columns = [title, *((name, "number") for name in counts)]
    described = spec("histogram", frame) | {"bins": bins, "thresholds": thresholds}
    return Chart(title, frame.draw(words, shapes), described, table, rows)


def places(spread: Distribution) -> dict[Place, dict[str, int]]:
    """Customers by segment in each place of the heat map."""
    places: dict[Place, dict[str, int]] = {}
    for (column, row, name), customers in spread.cells.items():
        places.setdefault((column, row), {})[name] = customers
    return places


def spec(kind: str, frame: Frame) -> dict[str, Any]:
    """The description of a chart's kind and scales."""
    return {"kind": kind, "x": _scale(frame.across), "y": _scale(frame.up)}


def _scale(scale: Scale) -> dict[str, Any]:
    return {"title": scale.title, "least": scale.least, "most": scale.most, "ticks": list(scale.ticks)}


def _customers(name: str, tone: str, count: int) -> dict[str, Any]:
    return {"name": name, "tone": tone, "value": count, "text": formats.number(count)}


def _part(series: Series, n: int) -> dict[str, Any]:
    return {"name": series.name, "tone": series.tone, "value": series.values[n], "text": series.texts[n]}


def stacks(frame: Frame, bins: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """The parts of all bins, drawn on top of each other."""
    shapes = []
    for one in bins:
        below = 0.0
        for part in one["parts"]:
            top = below + part["value"]
            words = f"{one['name']}: {part['name']} {part['text']}"
            shapes.append(frame.box(part["tone"], (one["from"], one["to"]), (below, top), words))
            below = top
    return shapes


def axis_scale(title: str, axis: Axis, *, money: bool) -> Scale:
    """The scale of an axis of bins."""
    most = axis.edge(axis.bins)
    step = round_step(most / TICKS)
    values = [n * step for n in range(floor(most / step) + 1)]
    ticks = [(value, _short(value, money=money)) for value in values]
    return Scale(title, axis.span(0)[0], most, ticks)


def number_ticks(most: float) -> list[Tick]:
    """Numbers from 0 to ``most`` or a little more."""
    step = max(1.0, round_step((most or 1) / UP))
    return [(n * step, formats.number(n * step)) for n in range(ceil((most or 1) / step) + 1)]


def round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, 50, … that is at least ``least``; also 0.1, 0.2, 0.5 and so on."""
    power = 10.0 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def amount(value: float | Decimal) -> str:
    """An amount as a scale shows it."""
    return formats.threshold(value, currency())


def _short(value: float, *, money: bool) -> str:
    return amount(value) if money else formats.number(value)


def bin_names(axis: Axis, *, money: bool) -> list[str]:
    """The names of an axis's bins, such as *$25 – $50*."""
    edges = [_short(axis.edge(n), money=money) for n in range(axis.bins + 1)]
    names = [low if low == high else f"{low} – {high}" for low, high in pairwise(edges)]
    return [*names[:-1], f"{edges[-2]} and more"]
