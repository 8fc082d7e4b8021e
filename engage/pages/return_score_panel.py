"""The panel *Return score* of the page *Segments*: whether it is in use, how well it ranks, what it has learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from engage import formats
from engage.campaigns import window_customers
from engage.pages import charts
from engage.pages.chart_svg import Frame, Scale
from engage.pages.charts import Chart
from engage.reports import return_score
from engage.reports.return_score import Overview
from engage.return_score.features import FEATURES
from engage.return_score.verdict import Bin
from engage.window import Window


@dataclass(frozen=True)
class Panel:
    """What the panel shows. ``scored``: whether the customers of the page's window have scores."""

    overview: Overview
    ranking: str
    calibration: Chart | None
    coefficients: Sequence[tuple[str, str, str]]
    """Each feature with its coefficient and standard error, as shown; a dash for one that is left out."""
    scored: bool


def panel(conn: sa.Connection, window: Window) -> Panel:
    """The panel, beside the customers of ``window``."""
    found = return_score.overview(conn)
    computed = window_customers.find(conn, window)
    model = found.trained.model if found.trained else None
    return Panel(
        overview=found,
        ranking=return_score.ranking(model.evaluation) if model else "",
        calibration=calibration(model.evaluation.calibration) if model and model.evaluation.calibration else None,
        coefficients=[(FEATURES[one.feature].label, _three(one.value), _three(one.error)) for one in model.coefficients]
        if model
        else (),
        scored=computed is not None and computed.scored,
    )


def calibration(bins: Sequence[Bin]) -> Chart:
    """The share of returns in each tenth of the scores, with a line at the share that the score expected."""
    shown = [(100 * one.actual, 100 * one.expected) for one in bins]
    ticks = [(value, f"{text}%") for value, text in charts.number_ticks(max(max(pair) for pair in shown))]
    places = [(n + 0.5, str(n + 1)) for n in range(len(bins))]
    across = Scale("From the lowest scores to the highest", 0, len(bins), places)
    frame = Frame(charts.LOW, across, Scale("Bought in the next window", 0, ticks[-1][0], ticks))
    rows = [
        [
            f"Tenth {n}",
            formats.number(one.customers),
            formats.share(one.expected, 1),
            formats.share(one.actual, 1),
        ]
        for n, one in enumerate(bins, 1)
    ]
    described_bins = [
        {
            "from": n + charts.COLUMN_GAP,
            "to": n + 1 - charts.COLUMN_GAP,
            "name": f"Tenth {n + 1}: expected {rows[n][2]}",
            "gap": None,
            "parts": [{"name": "Bought", "tone": "info", "value": shown[n][0], "text": rows[n][3]}],
        }
        for n in range(len(bins))
    ]
    levels = [{"from": n, "to": n + 1, "y": expected} for n, (_, expected) in enumerate(shown)]
    lines = [frame.level(one["y"], one["from"], one["to"]) for one in levels]
    title = "Expected and actual returns"
    described = charts.spec("columns", frame) | {"bins": described_bins, "levels": levels}
    words = f"{title}, in ten groups of customers from the lowest score to the highest."
    columns: charts.Columns = [
        "Customers by score",
        *((name, "number") for name in ("Customers", "Expected", "Bought")),
    ]
    return Chart(title, frame.draw(words, [*charts.stacks(frame, described_bins), *lines]), described, columns, rows)


def _three(number: float) -> str:
    """A coefficient, or a dash for one that is left out."""
    return formats.number(number, 3) if number else formats.NOTHING
