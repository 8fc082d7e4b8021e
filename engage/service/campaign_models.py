"""The JSON of what a campaign's texts did."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from engage.reports.lift import Stage
from engage.statuses import Metric


class BuyersView(BaseModel):
    """A group of customers, and those who bought again in the next window."""

    customers: int = Field(examples=[9000])
    bought_again: int | None = Field(
        description="None if the groups are unsound: one has lost or gained customers.", examples=[2790]
    )


class RelativeView(BaseModel):
    """A difference as a share of the holdout's mean, with its 95% interval. 0.1 is 10% more."""

    ratio: float = Field(examples=[0.107])
    low: float = Field(examples=[0.01])
    high: float = Field(examples=[0.215])


class MetricView(BaseModel):
    """One metric of the texted customers against the holdout's: shares of 1, cents or sessions per customer."""

    finding: str | None = Field(
        description="more, less, not_shown, too_few or unsound; None for a metric that does not decide.",
        examples=["more"],
    )
    texted: float | None = Field(examples=[0.31])
    holdout: float | None = Field(examples=[0.28])
    difference: float | None = Field(description="None if no lift may be shown.", examples=[0.03])
    low: float | None = Field(description="Where the 95% interval begins.", examples=[0.002])
    high: float | None = Field(description="Where the 95% interval ends.", examples=[0.058])
    p: float | None = Field(examples=[0.04])
    corrected_p: float | None = Field(
        description="Corrected for all segments; of the metric that decides.", examples=[0.04]
    )
    relative: RelativeView | None
    detectable: float | None = Field(
        description="The smallest effect that these groups find in 4 of 5 campaigns.", examples=[0.042]
    )
    holdout_for_10_percent: float | None = Field(
        description="The holdout that would find 10% more, as a share of the customers.", examples=[0.14]
    )
    holdout_for_100_buyers: float | None = Field(
        description="If there are too few to tell of spend: the holdout that would do.", examples=[None]
    )


class MetricsView(BaseModel):
    """Each metric: the share who bought again, cents of spend, sessions."""

    bought_again: MetricView
    spend: MetricView
    sessions: MetricView


class TextView(BaseModel):
    """What one of a segment's texts did."""

    variant: str | None = Field(examples=["a"])
    texted: BuyersView
    metrics: MetricsView


class SegmentLiftView(BaseModel):
    """What the texts of one segment did."""

    segment: str = Field(examples=["BOOST"])
    texted: BuyersView
    holdout: BuyersView
    planned_holdout: float = Field(description="The share of the customers that was planned.", examples=[0.1])
    sample_ratio_p: float | None = Field(
        description="How often chance alone gives groups this far from plan. Below 0.001 they are unsound.",
        examples=[0.4],
    )
    metrics: MetricsView
    cost: str | None = Field(description="Of the segment's texts; None without a price.", examples=["71.10"])
    additional_buyers: float | None = Field(
        description="Customers who bought again because of the texts; None if no effect is shown.", examples=[270.0]
    )
    cost_per_additional_buyer: str | None = Field(examples=["0.263333"])
    texts: list[TextView] = Field(description="Each text, if the segment has several.")


class RedemptionsView(BaseModel):
    """The offer codes of one segment and text."""

    segment: str = Field(examples=["BOOST"])
    variant: str = Field(examples=["a"])
    given: int = Field(examples=[9000])
    redeemed: int = Field(examples=[412])


class LiftView(BaseModel):
    """What a campaign's texts did in the next window, compared with its holdout."""

    stage: str = Field(
        description=f"One of {', '.join(Stage)}. Only a measured campaign has segments with a lift.",
        examples=["measured"],
    )
    primary_metric: str = Field(
        description=f"The metric that decides: one of {', '.join(Metric)}.", examples=["bought_again"]
    )
    measured_at: datetime | None
    currency: str = Field(description="Of every amount and cost, as an ISO 4217 code.", examples=["USD"])
    segments: list[SegmentLiftView]
    redemptions: list[RedemptionsView]
