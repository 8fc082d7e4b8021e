"""What a campaign's texts did, and all campaigns' together: computed from the measured arms when it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum, auto
from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.campaigns import campaign as campaign_record
from engage.campaigns import measured_arms, status
from engage.campaigns.campaign import Campaign
from engage.campaigns.measured_arms import MeasuredArm
from engage.campaigns.message_counts import MessageCounts
from engage.currency import currency
from engage.experiments.lift import Lift
from engage.experiments.pooling import PooledLift, pooled
from engage.experiments.share_lift import Buyers
from engage.reports import redemptions
from engage.reports.redemptions import Redemptions
from engage.reports.segment_lift import MetricLift, SegmentLift, TextLift, Weights, segment_lifts, whole_lifts
from engage.settings import Settings
from engage.statuses import Metric, SkipReason
from engage.storage.schema import campaign
from engage.window import Window


class Stage(StrEnum):
    """How far the measuring of a campaign has come."""

    NOT_TEXTED = auto()
    """It texts no customer, so there is nothing to measure."""
    NO_HOLDOUT = auto()
    """There is no group to compare the texted customers with."""
    WAITING = auto()
    """The next window is not measured yet."""
    MEASURED = auto()


@dataclass(frozen=True)
class CampaignLift:
    """What one campaign's texts did. ``segments`` are those measured, also without a holdout, in the rules' order.

    ``costs``: of the texts that the provider accepted, by segment; empty without a price. ``redemptions``: the offer
    codes by segment and text; empty if no message had one.
    """

    window: Window
    stage: Stage
    primary: Metric
    segments: tuple[SegmentLift, ...] = ()
    measured_at: datetime | None = None
    costs: Mapping[str, Decimal] = field(default_factory=dict)
    redemptions: tuple[Redemptions, ...] = ()
    overdue: bool = False
    """Whether it waits although the next window is computed."""

    @property
    def measured(self) -> tuple[SegmentLift, ...]:
        """The segments that have something to compare with."""
        return self.segments if self.stage is Stage.MEASURED else ()

    @property
    def metrics(self) -> list[Metric]:
        """All metrics, the one that decides first."""
        return [self.primary, *(metric for metric in Metric if metric is not self.primary)]

    def to_dict(self) -> dict[str, Any]:
        """The numbers for JSON: cents, sessions and shares of 1. What may not be shown is null."""
        return {
            "stage": self.stage,
            "primary_metric": self.primary,
            "measured_at": self.measured_at and formats.iso(self.measured_at),
            "currency": currency(),
            "segments": [self._segment(one) for one in self.segments],
            "redemptions": [
                {"segment": one.segment, "variant": one.variant, "given": one.given, "redeemed": one.redeemed}
                for one in self.redemptions
            ],
        }

    def _segment(self, one: SegmentLift) -> dict[str, Any]:
        cost = self.costs.get(one.segment)
        each = one.whole.cost_per_buyer(cost)
        return {
            "segment": one.segment,
            "holdout": _buyers(one, one.holdout),
            "planned_holdout": one.planned_holdout,
            "sample_ratio_p": one.sample_ratio_p,
            "cost": None if cost is None else f"{cost:f}",
            "additional_buyers": one.whole.additional_buyers,
            "cost_per_additional_buyer": None if each is None else f"{each:.6f}",
            **_text(one, one.whole, self.primary),
            "texts": [{"variant": text.variant, **_text(one, text, None)} for text in one.by_text],
        }


def _text(one: SegmentLift, text: TextLift, primary: Metric | None) -> dict[str, Any]:
    return {
        "texted": _buyers(one, text.texted),
        "metrics": {metric: _metric(found, decides=metric is primary) for metric, found in text.metrics.items()},
    }


def _buyers(one: SegmentLift, arm: Buyers) -> dict[str, Any]:
    return {"customers": arm.customers, "bought_again": arm.bought if one.sound else None}


def _metric(one: MetricLift, *, decides: bool) -> dict[str, Any]:
    """A metric for JSON. Only the one that decides has a finding in a word, and a corrected p."""
    lift, relative = one.lift, one.lift and one.lift.relative
    return {
        "finding": one.verdict.finding if decides or lift is None else None,
        "texted": one.texted,
        "holdout": one.holdout,
        "difference": lift and lift.difference,
        "low": lift and lift.low,
        "high": lift and lift.high,
        "p": lift and lift.p,
        "corrected_p": one.verdict.p if decides else None,
        "relative": relative and {"ratio": relative.ratio, "low": relative.low, "high": relative.high},
        "detectable": one.detectable,
        "holdout_for_10_percent": one.holdout_for_tenth,
        "holdout_for_100_buyers": one.verdict.holdout_needed,
    }


def of(conn: sa.Connection, found: Campaign, counts: MessageCounts | None) -> CampaignLift:
    """What the texts of a campaign did. ``counts``: its messages, None without a ledger."""
    window, settings = found.window, found.settings
    if settings is None or counts is None or not counts.eligible:
        return CampaignLift(window, Stage.NOT_TEXTED, settings.primary_metric if settings else Metric.BOUGHT_AGAIN)
    arms = measured_arms.of_windows(conn, [window])[window]
    segments = _segments(arms, settings, _weights(found)) if arms else ()
    if not (any(one.holdout.customers for one in segments) if arms else _held_out(counts) or settings.holdout_percent):
        stage = Stage.NO_HOLDOUT
    else:
        stage = Stage.MEASURED if arms else Stage.WAITING
    return CampaignLift(
        window=window,
        stage=stage,
        primary=settings.primary_metric,
        segments=segments,
        measured_at=max((one.measured_at for one in arms), default=None),
        costs=_costs(settings, counts),
        redemptions=tuple(redemptions.of(conn, window)),
        overdue=stage is Stage.WAITING and _is_computed(conn, window.next()),
    )


def _is_computed(conn: sa.Connection, window: Window) -> bool:
    query = sa.select(campaign.c.window_start).where(
        campaign.c.window_start == window.start, campaign.c.buckets.is_not(None)
    )
    return conn.execute(query).first() is not None


def _held_out(counts: MessageCounts) -> int:
    return counts.count(reason=SkipReason.HOLDOUT)


def _costs(settings: Settings, counts: MessageCounts) -> dict[str, Decimal]:
    charged = {name: sum(g.segments for g in counts.groups if g.taken and g.bucket == name) for name in counts.buckets}
    costs = {name: settings.cost(segments) for name, segments in charged.items() if segments}
    return {name: cost for name, cost in costs.items() if cost is not None}


def _segments(
    arms: Sequence[MeasuredArm], settings: Settings, weights: Mapping[str, Weights]
) -> tuple[SegmentLift, ...]:
    found = segment_lifts(
        arms, primary=settings.primary_metric, holdout_percent=settings.holdout_percent, weights=weights
    )
    place = {name: n for n, name in enumerate(settings.segments.names)}
    return tuple(sorted(found, key=lambda one: place.get(one.segment, len(place))))


def _weights(found: Campaign) -> dict[str, Weights]:
    """The planned shares of the texts, for each segment with several."""
    return {segment: plan.weights for segment, plan in (found.variants or {}).items()}


def of_measured(conn: sa.Connection) -> list[CampaignLift]:
    """What the texts of each measured campaign did, the newest first."""
    found = campaign_record.find_all(conn)
    measured = measured_arms.of_windows(conn, [one.window for one in found])
    kept = [one for one in found if measured[one.window]]
    return [of(conn, one, counts) for one, counts in zip(kept, status.counts_of(conn, kept), strict=True)]


@dataclass(frozen=True)
class CampaignPoint:
    """One campaign's lift over all its segments; None if none of them has a lift."""

    window: Window
    lift: Lift | None


@dataclass(frozen=True)
class OverTime:
    """The lift of measured campaigns in one metric, the oldest first, and of all of them together."""

    metric: Metric
    points: tuple[CampaignPoint, ...]
    pooled: PooledLift


def over_time(conn: sa.Connection, campaigns: Sequence[Campaign], *, limit: int) -> OverTime | None:
    """The lifts of the latest ``limit`` measured campaigns. ``campaigns`` are the newest first.

    The metric is the primary one of the newest. Segments are pooled by precision within a campaign, as their holdouts
    differ. None if fewer than two campaigns have a lift.
    """
    known = {one.window: one for one in campaigns if one.settings}
    windows = measured_arms.latest_windows(conn, list(known), limit=limit)
    if not windows:
        return None
    measured = measured_arms.of_windows(conn, windows)
    metric = known[windows[0]].require_settings().primary_metric
    points = [
        CampaignPoint(window, _over_segments(measured[window], known[window], metric)) for window in reversed(windows)
    ]
    lifts = [one.lift for one in points if one.lift]
    together = pooled(lifts)
    return OverTime(metric, tuple(points), together) if together and together.campaigns > 1 else None


def _over_segments(arms: Sequence[MeasuredArm], found: Campaign, metric: Metric) -> Lift | None:
    percent = found.require_settings().holdout_percent
    together = pooled(whole_lifts(arms, metric, holdout_percent=percent, weights=_weights(found)))
    return together.lift if together else None
