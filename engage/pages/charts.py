"""Charts as SVG, drawn on the server without a script, each with a description in words for screen readers.

A shape has its size and place as attributes and its colour as a class, because the pages allow no inline style.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from markupsafe import Markup

from engage.campaigns.segments import BOOST, NONE, REWARD
from engage.pages.render import number, share
from engage.reports.distribution import Axis, Distribution

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 22, 40
"""The margins around a chart's plot, for labels."""
TICKS = 7


def bar(parts: Mapping[str, int]) -> Markup:
    """One bar divided into parts, such as the customers by bucket."""
    whole = sum(parts.values())
    words = ", ".join(f"{name} {share(part, whole)}" for name, part in parts.items())
    shapes, left = [], 0.0
    for name, part in parts.items():
        width = 100 * part / whole if whole else 0
        shapes.append(_rectangle(f"fill-{name.lower()}", left, 0, width, 10))
        left += width
    return _svg("share", 100, 10, words, shapes, stretch=True)


def length(part: float, whole: float, words: str) -> Markup:
    """A bar whose length is the part's share of the whole."""
    width = 100 * part / whole if whole else 0
    shapes = [_rectangle("fill-track", 0, 0, 100, 10), _rectangle("fill-plain", 0, 0, width, 10)]
    return _svg("share", 100, 10, words, shapes, stretch=True)


@dataclass(frozen=True)
class Plot:
    """The place of the bins in a chart."""

    height: int
    across: Axis

    @property
    def step(self) -> float:
        return (WIDTH - LEFT - RIGHT) / self.across.bins

    @property
    def floor(self) -> float:
        return self.height - BOTTOM

    def x(self, number: float) -> float:
        """The left edge of a bin."""
        return LEFT + number * self.step


def histogram(axis: Axis, counts: Sequence[int], title: str, threshold: str) -> Markup:
    """Customers by bin, with a line at the threshold."""
    plot, most = Plot(HEIGHT, axis), max(counts, default=0) or 1
    room = plot.floor - TOP
    shapes = [
        _rectangle("fill-plain", plot.x(n) + 0.5, plot.floor - room * count / most, plot.step - 1, room * count / most)
        for n, count in enumerate(counts)
    ]
    shapes += [_line("rule", LEFT, plot.floor, WIDTH - RIGHT, plot.floor), *_ticks_across(plot, title)]
    shapes.append(_text(LEFT - 6, TOP + 4, number(most), "end"))
    below = sum(counts[: axis.below])
    words = f"{title}, of {number(sum(counts))} customers. Most in one bin: {number(most)}."
    if axis.in_view:
        shapes += _threshold(plot.x(axis.below), plot.floor, threshold)
        words += f" Threshold {threshold}: {number(below)} up to it, {number(sum(counts) - below)} beyond."
    return _svg("chart", WIDTH, plot.height, words, shapes)


def heat_map(spread: Distribution, low_spend: str, high_activity: str) -> Markup:
    """Customers by spend and sessions: a darker cell has more customers, and lines separate the buckets."""
    across, up, most = spread.spend, spread.sessions, max(spread.cells.values(), default=0) or 1
    plot = Plot(360, across)
    step = (plot.floor - TOP) / up.bins

    def y(row: float) -> float:
        return plot.floor - row * step

    shapes = [
        _rectangle("fill-plain", plot.x(n), y(row + 1), plot.step, step, opacity=0.08 + 0.92 * sqrt(count / most))
        for (n, row), count in sorted(spread.cells.items())
    ]
    shapes += [
        _line("rule", LEFT, plot.floor, WIDTH - RIGHT, plot.floor),
        _line("rule", LEFT, TOP, LEFT, plot.floor),
        *_ticks_across(plot, "Spend over the 8 weeks"),
        *(_text(LEFT - 6, y(row) + 4, f"{up.edge(row):g}", "end") for row in _ticks(up)),
        _text(LEFT, TOP - 8, "Sessions a week", "start"),
    ]
    if across.in_view:
        shapes.append(_line("threshold", plot.x(across.below), TOP, plot.x(across.below), plot.floor))
    if up.in_view:
        left = plot.x(across.below) if across.in_view else LEFT
        shapes.append(_line("threshold", left, y(up.below), WIDTH - RIGHT, y(up.below)))
    if across.in_view and up.in_view:
        shapes.append(_text(LEFT + 6, plot.floor - 8, BOOST, "start", "region"))
        shapes.append(_text(WIDTH - RIGHT - 4, TOP + 12, REWARD, "end", "region"))
        shapes.append(_text(WIDTH - RIGHT - 4, plot.floor - 8, NONE, "end", "region"))
    words = (
        f"Customers by spend and weekly sessions. Left of a spend of {low_spend} is BOOST; right of it, above "
        f"{high_activity} sessions a week is REWARD, and the rest is NONE."
    )
    return _svg("chart", WIDTH, plot.height, words, shapes)


def _ticks(axis: Axis) -> range:
    """The bins whose lower edges are labelled, always with the threshold among them."""
    every = max(1, -(-axis.bins // TICKS))
    return range(axis.below % every, axis.bins + 1, every)


def _ticks_across(plot: Plot, title: str) -> Iterable[Markup]:
    for n in _ticks(plot.across):
        yield _text(plot.x(n), plot.floor + 15, f"{plot.across.edge(n):,g}", "middle")
    yield _text((LEFT + WIDTH - RIGHT) / 2, plot.height - 6, title, "middle")


def _threshold(x: float, bottom: float, label: str) -> list[Markup]:
    return [_line("threshold", x, TOP - 4, x, bottom), _text(x, TOP - 8, label, "middle", "label")]


def _svg(kind: str, width: int, height: int, words: str, shapes: Iterable[Markup], *, stretch: bool = False) -> Markup:
    aspect = Markup(' preserveAspectRatio="none"') if stretch else ""
    return Markup('<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}"{}>{}</svg>').format(
        kind, width, height, words, aspect, Markup("").join(shapes)
    )


def _rectangle(kind: str, x: float, y: float, width: float, height: float, *, opacity: float = 1) -> Markup:
    faint = Markup(' fill-opacity="{:.3f}"').format(opacity) if opacity < 1 else ""
    return Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"{}/>').format(
        kind, x, y, max(0, width), height, faint
    )


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{:.2f}" y1="{:.2f}" x2="{:.2f}" y2="{:.2f}"/>').format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> Markup:
    return Markup('<text class="{}" x="{:.2f}" y="{:.2f}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, text)
