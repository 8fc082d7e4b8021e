"""Draws charts as SVG without a script. Places across are shares of the width, so that text keeps its size on a phone.

A shape has its size and place as attributes and its colour as a class, because the pages allow no inline style.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

MARGIN, TOP, BOTTOM = 54, 40, 44
"""Pixels for the numbers at the left, for a threshold's label above, and for the numbers and the title below."""
BEYOND = 60
"""Percent of the width from which a label stands at the left of its line."""

_BOX = Markup(
    '<rect class="fill tone-%s" x="%.3f%%" y="%.2f" width="%.3f%%" height="%.2f" fill-opacity="%.3g">'
    "<title>%s</title></rect>"
)
"""Filled with ``%``, which takes a third of the time of ``format``: a heat map has up to two thousand."""

_BAND = Markup('<rect class="band" x="%.3f%%" y="%.2f" width="%.3f%%" height="%.2f"/>')

Tick = tuple[float, str]
"""A place on a scale, and its text."""
Span = tuple[float, float]
"""From one value to another."""


@dataclass(frozen=True)
class Scale:
    """The numbers along one side of a chart, from ``least`` to ``most``."""

    title: str
    least: float
    most: float
    ticks: Sequence[Tick]

    def part(self, value: float) -> float:
        """Where a value stands, from 0 to 1."""
        return (value - self.least) / (self.most - self.least)


@dataclass(frozen=True)
class Frame:
    """The room of a chart: ``height`` pixels, and a scale along each side."""

    height: int
    across: Scale
    up: Scale

    @property
    def floor(self) -> float:
        """Pixels from the top to the horizontal axis."""
        return self.height - BOTTOM

    def x(self, value: float) -> float:
        """Percent of the width."""
        return 100 * self.across.part(value)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return self.floor - (self.floor - TOP) * self.up.part(value)

    def box(self, tone: str, across: Span, up: Span, words: str, *, opacity: float = 1) -> Markup:
        """A filled rectangle between values, with words for a pointer that rests on it."""
        (left, right), (bottom, top) = across, up
        x, y = self.x(left), self.y(top)
        width, height = self.x(right) - x, max(0, self.y(bottom) - y)
        return _BOX % (tone, x, y, width, height, opacity, words)

    def band(self, across: Span, up: Span) -> Markup:
        """What is usual for a column, in front of it. The table behind the chart says it in numbers."""
        (left, right), (low, high) = across, up
        x, y = self.x(left), self.y(high)
        return _BAND % (x, y, self.x(right) - x, max(0, self.y(low) - y))

    def upright(self, value: float, label: str) -> Markup:
        """A threshold across, with its label."""
        x = self.x(value)
        side, gap = ("end", -5) if x > BEYOND else ("start", 5)
        return _line("threshold", x, TOP - 8, x, self.floor) + _text(x, TOP - 8, label, side, kind="strong", shift=gap)

    def level(self, value: float, start: float, end: float | None = None) -> Markup:
        """A threshold up, from a value across to another one, by default to the right edge."""
        return _line("threshold", self.x(start), self.y(value), 100 if end is None else self.x(end), self.y(value))

    def label(self, x: float, y: float, text: str, side: str) -> Markup:
        """A word in a corner: ``x`` in percent, ``y`` in pixels."""
        return _text(x, y, text, side, kind="strong", shift=6 if side == "start" else -6)

    def draw(self, words: str, shapes: Iterable[Markup]) -> Markup:
        """The chart with its scales; ``words`` say to a screen reader what it shows."""
        numbers = [_number(self.y(value) + 4, text) for value, text in self.up.ticks]
        numbers.append(Markup('<text x="0" y="12">{}</text>').format(self.up.title))
        lines = [_line("grid-line", 0, self.y(value), 100, self.y(value)) for value, _ in self.up.ticks]
        places = [(self.x(value), text) for value, text in self.across.ticks]
        below = [_text(x, self.floor + 16, text, "end" if x > 94 else "middle") for x, text in places]
        title = _text(50, self.height - 6, self.across.title, "middle")
        axis = Markup('<svg class="axis" width="{}" height="{}" aria-hidden="true">{}</svg>').format(
            MARGIN, self.height, Markup("").join(numbers)
        )
        area = Markup('<svg class="area" width="100%" height="{}" role="img" aria-label="{}">{}</svg>').format(
            self.height, words, Markup("").join([*lines, *shapes, *below, title])
        )
        return Markup('<div class="drawn">{}{}</div>').format(axis, area)


def _number(y: float, text: str) -> Markup:
    return Markup('<text x="{}" y="{:.2f}" text-anchor="end">{}</text>').format(MARGIN - 6, y, text)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{:.3f}%" y1="{:.2f}" x2="{:.3f}%" y2="{:.2f}"/>').format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, anchor: str, *, kind: str = "", shift: float = 0) -> Markup:
    return Markup('<text class="{}" x="{:.3f}%" y="{:.2f}" dx="{}" text-anchor="{}">{}</text>').format(
        kind, x, y, shift, anchor, text
    )
