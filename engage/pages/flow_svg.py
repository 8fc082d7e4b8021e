"""Draws how customers move between the buckets: a bar for each bucket at both sides, and a band for each move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from engage import formats

WIDTH, HEIGHT, BAR, GAP = 300, 190, 9, 14
LEFT, RIGHT = 62, WIDTH - 62 - BAR
"""Where the bars stand; beside them stand the names."""
TOP = 20
LEAST = 2.0
"""Pixels of the smallest bar."""

Moves = Mapping[tuple[str, str], int]


def flows(tones: Mapping[str, str], moves: Moves, words: str) -> Markup:
    """The drawing of ``moves``: customers by their segment now and then. Only those who move have a band.

    ``tones``: all segments in order, each with its tone.
    """
    buckets = list(tones)
    scale = (HEIGHT - TOP - GAP * len(buckets)) / max(1, sum(moves.values()))
    sides = (_tops(buckets, moves, 0, scale), _tops(buckets, moves, 1, scale))
    shapes = [
        _bar(x, tones[name], *side[name]) for x, side in ((LEFT, sides[0]), (RIGHT, sides[1])) for name in buckets
    ]
    shapes += [_name(LEFT - 6, sides[0][name], name, "end") for name in buckets]
    shapes += [_name(RIGHT + BAR + 6, sides[1][name], name, "start") for name in buckets]
    at = [{name: side[name][0] for name in buckets} for side in sides]
    labels = []
    for now in buckets:
        for then in buckets:
            customers = moves.get((now, then), 0)
            if now == then or not customers:
                continue
            height = customers * scale
            shapes.append(
                _band(at[0][now], at[1][then], height, tones[then], f"{now} to {then}: {formats.number(customers)}")
            )
            labels.append(_count((at[0][now] + at[1][then] + height) / 2, customers))
            at[0][now] += height
            at[1][then] += height
    heads = [_head(LEFT + BAR / 2, "now"), _head(RIGHT + BAR / 2, "then")]
    return Markup('<svg class="flows" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, words, Markup("").join([*heads, *shapes, *labels])
    )


def _tops(buckets: Sequence[str], moves: Moves, side: int, scale: float) -> dict[str, tuple[float, float]]:
    """The top and the height of each bucket's bar."""
    found, top = {}, float(TOP)
    for name in buckets:
        customers = sum(count for move, count in moves.items() if move[side] == name)
        height = max(LEAST, customers * scale)
        found[name] = (top, height)
        top += height + GAP
    return found


def _bar(x: float, tone: str, top: float, height: float) -> Markup:
    return Markup('<rect class="fill tone-{}" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
        tone, x, top, BAR, height
    )


def _name(x: float, place: tuple[float, float], name: str, anchor: str) -> Markup:
    top, height = place
    return Markup('<text x="{}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, top + height / 2 + 4, anchor, name)


def _head(x: float, text: str) -> Markup:
    return Markup('<text x="{}" y="11" text-anchor="middle">{}</text>').format(x, text)


def _band(left: float, right: float, height: float, tone: str, words: str) -> Markup:
    start, end = LEFT + BAR, RIGHT
    middle = (start + end) / 2
    path = (
        f"M{start} {left:.1f}C{middle} {left:.1f} {middle} {right:.1f} {end} {right:.1f}v{height:.1f}"
        f"C{middle} {right + height:.1f} {middle} {left + height:.1f} {start} {left + height:.1f}z"
    )
    return Markup('<path class="fill tone-{}" d="{}"><title>{}</title></path>').format(tone, path, words)


def _count(y: float, customers: int) -> Markup:
    text = formats.number(customers)
    return Markup('<text class="strong" x="{}" y="{:.1f}" text-anchor="middle">{}</text>').format(
        WIDTH / 2, y + 4, text
    )
