"""Draws lifts as whiskers on one scale, a row each: a dot for the lift, and a line for its 95% interval.

Places across are shares of the width, and colours are classes, as in ``chart_svg``. Each drawing stands in a row of a
table that has the same numbers as text, so screen readers skip it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor

from markupsafe import Markup

from engage.experiments.lift import Lift
from engage.pages.chart_svg import Tick
from engage.pages.charts import round_step

HEIGHT, AXIS = 26, 18
"""Pixels of a row, and of the numbers below the rows."""
CAP, DOT = 5, 4.5
"""Pixels from the middle to the end of a cap, and the radius of a dot."""
STEPS = 4
"""About how many steps a scale has."""
EDGE = 8
"""Percent of the width from which a number stands inside of its place."""


@dataclass(frozen=True)
class WhiskerScale:
    """The scale of all rows. It has 0 in it."""

    least: float
    most: float
    ticks: Sequence[Tick]

    def x(self, value: float) -> float:
        """Percent of the width."""
        return 100 * (value - self.least) / (self.most - self.least)


def scale(lifts: Sequence[Lift], words: Callable[[float], str]) -> WhiskerScale:
    """A scale that holds every interval and 0. ``words``: the text of a value."""
    low, high = min([0.0, *(one.low for one in lifts)]), max([0.0, *(one.high for one in lifts)])
    step = round_step((high - low or 1.0) / STEPS)
    first, last = floor(low / step), max(ceil(high / step), floor(low / step) + 1)
    return WhiskerScale(first * step, last * step, [(n * step, words(n * step)) for n in range(first, last + 1)])


def whisker(scale: WhiskerScale, lift: Lift | None, tone: str) -> Markup:
    """One row: the lines of the scale, and the lift if there is one."""
    middle = HEIGHT / 2
    shapes = [_line("zero" if not value else "grid-line", scale.x(value), 0, HEIGHT) for value, _ in scale.ticks]
    if lift:
        low, high = scale.x(lift.low), scale.x(lift.high)
        shapes.append(_line("span", low, middle, middle, high))
        shapes += [_line("span", end, middle - CAP, middle + CAP) for end in (low, high)]
        dot = Markup('<circle class="fill" cx="{:.3f}%" cy="{}" r="{}"/>')
        shapes.append(dot.format(scale.x(lift.difference), middle, DOT))
    return _svg(HEIGHT, f"whisker tone-{tone}", shapes)


def axis(scale: WhiskerScale) -> Markup:
    """The numbers of the scale, below all rows."""
    text = Markup('<text x="{:.3f}%" y="13" text-anchor="{}">{}</text>')
    return _svg(AXIS, "whisker", [text.format(scale.x(at), _anchor(scale.x(at)), words) for at, words in scale.ticks])


def _anchor(x: float) -> str:
    if x < EDGE:
        return "start"
    return "end" if x > 100 - EDGE else "middle"


def _line(kind: str, x: float, top: float, bottom: float, end: float | None = None) -> Markup:
    return Markup('<line class="{}" x1="{:.3f}%" y1="{}" x2="{:.3f}%" y2="{}"/>').format(
        kind, x, top, x if end is None else end, bottom
    )


def _svg(height: int, kind: str, shapes: Sequence[Markup]) -> Markup:
    return Markup('<svg class="{}" width="100%" height="{}" aria-hidden="true">{}</svg>').format(
        kind, height, Markup("").join(shapes)
    )
