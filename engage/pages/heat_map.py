"""The heat map of a campaign: customers by spend and weekly sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from engage import formats
from engage.campaigns.distribution import Distribution
from engage.pages.chart_svg import BOTTOM, TOP, Frame
from engage.pages.charts import Chart, Columns, Place, Tones, amount, axis_scale, bin_names, places, spec
from engage.pages.threshold_words import RuleLine

HEIGHT = 400
"""In pixels."""
FAINTEST = 0.15
CORNERS = {"left": "start", "right": "end"}


def heat_map(
    spread: Distribution, tones: Tones, low: RuleLine | None, high: RuleLine | None, *, regions: bool
) -> Chart:
    """Customers by spend and sessions: a stronger colour means more customers. The largest segment colours a place.

    ``low``, ``high``: the lines. ``regions``: whether the lines divide the picture as the default rules do: BOOST at
    the left, REWARD at the top right, and all others.
    """
    across = axis_scale("Spend over the 8 weeks", spread.spend, money=True)
    frame = Frame(HEIGHT, across, axis_scale("Sessions a week", spread.sessions, money=False))
    parts_of = places(spread)
    most = max((sum(parts.values()) for parts in parts_of.values()), default=0)
    spend, sessions = bin_names(spread.spend, money=True), bin_names(spread.sessions, money=False)
    cells = [
        _cell(spread, place, parts, tones, f"{spend[place[0]]}, {sessions[place[1]]}")
        | {"strength": round(FAINTEST + (1 - FAINTEST) * sqrt(sum(parts.values()) / most), 3)}
        for place, parts in sorted(parts_of.items())
    ]
    shapes = [frame.box(one["tone"], one["x"], one["y"], one["name"], opacity=one["strength"]) for one in cells]
    thresholds = _lines(spread, low, high, divided=regions)
    names = _regions(spread, [*tones]) if regions else []
    if "x" in thresholds:
        shapes.append(frame.upright(thresholds["x"], thresholds["label"]))
    if "y" in thresholds:
        shapes.append(frame.level(thresholds["y"], thresholds["from"]))
    for region in names:
        edge, side = region["at"].split()
        y = TOP + 14 if edge == "top" else HEIGHT - BOTTOM - 8
        shapes.append(frame.label(100 if side == "right" else 0, y, region["name"], CORNERS[side]))
    lines = [line.words(form) for line, form in ((low, amount), (high, formats.number)) if line]
    words = f"Customers by spend and weekly sessions. {', '.join(lines)}{'.' if lines else ''}".strip()
    rows = [
        [spend[x], sessions[y], name, formats.number(parts[name])]
        for (x, y), parts in sorted(parts_of.items())
        for name in tones
        if name in parts
    ]
    table: Columns = ["Spend", "Sessions a week", "Segment", ("Customers", "number")]
    described = spec("heat", frame) | {"cells": cells, "thresholds": thresholds, "regions": names}
    return Chart("Customers by spend and weekly sessions", frame.draw(words, shapes), described, table, rows, tall=True)


def _cell(spread: Distribution, place: Place, parts: Mapping[str, int], tones: Tones, words: str) -> dict[str, Any]:
    column, row = place
    largest = max((name for name in tones if name in parts), key=lambda name: parts[name])
    named = ", ".join(f"{formats.counted(parts[name], 'customer')} in {name}" for name in tones if name in parts)
    return {
        "x": spread.spend.span(column),
        "y": spread.sessions.span(row),
        "column": column,
        "row": row,
        "tone": tones[largest],
        "name": f"{named}\n{words} sessions a week",
    }


def _lines(spread: Distribution, low: RuleLine | None, high: RuleLine | None, *, divided: bool) -> dict[str, Any]:
    """The lines in view. ``divided``: the one up stops at the one across."""
    spend, sessions = spread.spend, spread.sessions
    lines: dict[str, Any] = {}
    if low and spend.in_view:
        at = spend.edge(spend.below)
        lines = {"x": at, "label": amount(at)}
    if high and sessions.in_view and (lines or not divided):
        lines |= {"y": sessions.edge(sessions.below), "from": lines["x"] if divided else spend.span(0)[0]}
    return lines


def _regions(spread: Distribution, names: Sequence[str]) -> list[dict[str, str]]:
    """Where the names of the default rules' segments stand."""
    left, top, rest = names
    if not spread.spend.in_view:
        return [{"name": left, "at": "bottom left"}]
    regions = [{"name": left, "at": "bottom left"}, {"name": rest, "at": "bottom right"}]
    return [*regions, {"name": top, "at": "top right"}] if spread.sessions.in_view else regions
