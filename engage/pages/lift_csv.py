"""The CSV file of what texts did: a row for each segment, text and metric."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import sqlalchemy as sa

from engage import formats
from engage.currency import currency
from engage.pages.csv_download import safe_cell
from engage.reports import lift, report
from engage.reports.lift import CampaignLift
from engage.reports.segment_lift import SegmentLift, TextLift
from engage.statuses import Metric
from engage.window import Window

COLUMNS = (
    "window_start", "segment", "text", "metric", "decides", "finding", "unit", "texted_customers", "holdout_customers",
    "planned_holdout", "texted_bought_again", "holdout_bought_again", "texted", "holdout", "difference", "low", "high",
    "p", "corrected_p", "relative", "relative_low", "relative_high", "smallest_effect", "holdout_for_10_percent",
    "holdout_for_100_buyers", "sample_ratio_p", "codes_given", "codes_redeemed", "cost", "additional_buyers",
    "cost_per_additional_buyer", "measured_at", "currency",
)  # fmt: skip
ALL_TEXTS = "all"


def lift_csv(engine: sa.Engine, window: Window | None = None) -> str:
    """The text of the file, of one campaign or of all measured ones, the newest first. It may have no rows.

    Amounts are in the installation's currency, shares are parts of 1, and an empty cell is a number that there is not.

    Raises:
        NotReady: the window has no campaign.
    """
    with engine.begin() as conn:
        found = [report.of(conn, window).lift] if window else lift.of_measured(conn)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([safe_cell(cell) for cell in row] for one in found if one for row in _rows(one))
    return text.getvalue()


def _rows(found: CampaignLift) -> Iterator[tuple[object, ...]]:
    for one in found.measured:
        for text in one.texts:
            for metric in found.metrics:
                yield _row(found, one, text, metric)


def _row(found: CampaignLift, one: SegmentLift, text: TextLift, metric: Metric) -> tuple[object, ...]:
    about, lift = text.metrics[metric], text.metrics[metric].lift
    whole = text.variant is None
    decides = whole and metric is found.primary
    codes = [code for code in found.redemptions if code.segment == one.segment and text.variant in {None, code.variant}]
    cost = found.costs.get(one.segment) if whole else None
    each = text.cost_per_buyer(cost)
    per = 100 if metric is Metric.SPEND else 1
    relative = lift.relative if lift else None
    return (
        formats.iso_day(found.window.start),
        one.segment,
        ALL_TEXTS if whole else text.variant,
        metric,
        "yes" if decides else "no",
        about.verdict.finding if decides or lift is None else None,
        {Metric.BOUGHT_AGAIN: "share", Metric.SPEND: currency(), Metric.SESSIONS: "sessions"}[metric],
        text.texted.customers,
        one.holdout.customers,
        one.planned_holdout,
        text.texted.bought if one.sound else None,
        one.holdout.bought if one.sound else None,
        about.texted and about.texted / per,
        about.holdout and about.holdout / per,
        *((lift.difference / per, lift.low / per, lift.high / per) if lift else (None, None, None)),
        lift and lift.p,
        about.verdict.p if decides else None,
        *((relative.ratio, relative.low, relative.high) if relative else (None, None, None)),
        None if about.detectable is None else about.detectable / per,
        about.holdout_for_tenth,
        about.verdict.holdout_needed,
        one.sample_ratio_p,
        sum(code.given for code in codes) if codes else None,
        sum(code.redeemed for code in codes) if codes else None,
        cost,
        text.additional_buyers,
        None if each is None else f"{each:.6f}",
        found.measured_at and formats.iso(found.measured_at),
        currency(),
    )
