"""What the texts of each segment did: lifts, intervals and findings, computed from measured arms. No database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from engage.campaigns.measured_arms import MeasuredArm
from engage.experiments import power
from engage.experiments.arm import Arm, merged
from engage.experiments.holm import holm
from engage.experiments.lift import Lift
from engage.experiments.mean_lift import cuped
from engage.experiments.sample_ratio import is_mismatch, sample_ratio_p
from engage.experiments.share_lift import Buyers, newcombe
from engage.experiments.verdict import Finding, Verdict, spend_verdict, verdict
from engage.statuses import ExperimentArm, Metric

TENTH = 0.1
"""The effect that a proposed holdout would find: 10% more than the holdout's mean."""

Weights = Mapping[str, float]
"""The planned share of each of a segment's texts, with the sum 1."""


@dataclass(frozen=True)
class MetricLift:
    """One metric of the texted customers against the holdout's.

    ``texted`` and ``holdout`` are the plain shares of customers who bought again, or means per customer: cents or
    sessions. They are None for a group without customers, and if the groups are unsound. ``detectable`` is the smallest
    effect that these arms find in 4 of 5 campaigns, in the same unit, and ``holdout_for_tenth`` the share of the
    customers that would find 10% more. Both are None without a lift, and if there is none.
    """

    metric: Metric
    texted: float | None
    holdout: float | None
    verdict: Verdict
    detectable: float | None = None
    holdout_for_tenth: float | None = None

    @property
    def lift(self) -> Lift | None:
        """The lift, if one may be shown."""
        return self.verdict.lift


@dataclass(frozen=True)
class TextLift:
    """What one text of a segment did, or all of them together. ``variant`` is None for all."""

    variant: str | None
    texted: Buyers
    metrics: dict[Metric, MetricLift]

    @property
    def additional_buyers(self) -> float | None:
        """How many customers bought again because they were texted; None unless the finding is that more did."""
        found = self.metrics[Metric.BOUGHT_AGAIN]
        if found.lift is None or found.verdict.finding is not Finding.MORE:
            return None
        return found.lift.difference * self.texted.customers

    def cost_per_buyer(self, cost: Decimal | None) -> Decimal | None:
        """What the texts cost for each additional customer who bought again; None without a cost or such customers."""
        more = self.additional_buyers
        return cost / Decimal(more) if cost is not None and more else None


@dataclass(frozen=True)
class SegmentLift:
    """What the texts of one segment did.

    ``whole`` is all its texts together. Only its primary metric has a finding, with a p that is corrected for all
    segments. ``by_text`` is empty unless there are several texts. ``planned_holdout`` is a share; None if there was no
    plan. ``sample_ratio_p`` is None if the arms are too small for the test.
    """

    segment: str
    holdout: Buyers
    whole: TextLift
    by_text: tuple[TextLift, ...]
    planned_holdout: float | None
    sample_ratio_p: float | None

    @property
    def sound(self) -> bool:
        """Whether the arms have the sizes that were planned, as far as chance goes."""
        return not is_mismatch(self.sample_ratio_p)

    @property
    def texts(self) -> tuple[TextLift, ...]:
        """All texts together, then each one."""
        return (self.whole, *self.by_text)


def segment_lifts(
    arms: Sequence[MeasuredArm], *, primary: Metric, holdout_percent: Decimal, weights: Mapping[str, Weights]
) -> tuple[SegmentLift, ...]:
    """The lifts of each segment, in the order of the arms. ``weights``: of the segments with several texts.

    Holm's correction goes over the segments whose primary metric has a lift.
    """
    names = dict.fromkeys(one.segment for one in arms)
    share = float(holdout_percent) / 100
    found = [_of([one for one in arms if one.segment == name], share, weights.get(name)) for name in names]
    tested = [one for one in found if one.whole.metrics[primary].lift]
    ps = holm([lift.p for one in tested if (lift := one.whole.metrics[primary].lift)])
    corrected = dict(zip((one.segment for one in tested), ps, strict=True))
    return tuple(_corrected(one, primary, corrected.get(one.segment)) for one in found)


def whole_lifts(
    arms: Sequence[MeasuredArm], metric: Metric, *, holdout_percent: Decimal, weights: Mapping[str, Weights]
) -> list[Lift]:
    """The lift of each segment in one metric, over all its texts; of the segments that have one.

    They are those of ``segment_lifts``, which takes many times as long.
    """
    share, found = float(holdout_percent) / 100, []
    for name in dict.fromkeys(one.segment for one in arms):
        texted, held_out = _arms([one for one in arms if one.segment == name])
        p = _sample_ratio_p(texted, held_out, share, weights.get(name))
        found.append(_metric_lift(metric, texted, held_out, p).lift)
    return [one for one in found if one]


def leaves_out_0(lift: Lift) -> bool:
    """Whether the interval says more than nothing."""
    return lift.low > 0 or lift.high < 0


def _corrected(one: SegmentLift, primary: Metric, p: float | None) -> SegmentLift:
    """The segment with the finding that the corrected p gives."""
    if p is None:
        return one
    before = one.whole.metrics[primary]
    now = replace(
        before, verdict=verdict(before.lift, sample_ratio_p=one.sample_ratio_p, corrected_p=p)
    )  # a lift of spend is there only with enough buyers
    return replace(one, whole=replace(one.whole, metrics=one.whole.metrics | {primary: now}))


def _of(arms: Sequence[MeasuredArm], share: float, weights: Weights | None) -> SegmentLift:
    texted, held_out = _arms(arms)
    p = _sample_ratio_p(texted, held_out, share, weights)
    by_text = [_text(one.variant, [one], held_out, p) for one in texted] if len(texted) > 1 else []
    return SegmentLift(
        segment=arms[0].segment,
        holdout=_buyers(held_out),
        whole=_text(None, texted, held_out, p),
        by_text=tuple(by_text),
        planned_holdout=share or None,
        sample_ratio_p=p,
    )


def _arms(arms: Sequence[MeasuredArm]) -> tuple[list[MeasuredArm], list[MeasuredArm]]:
    """The arms of a segment's texts, and its holdout."""
    texted = [one for one in arms if one.arm is ExperimentArm.TEXTED]
    return texted, [one for one in arms if one.arm is ExperimentArm.HOLDOUT]


def _sample_ratio_p(
    texted: Sequence[MeasuredArm], held_out: Sequence[MeasuredArm], share: float, weights: Weights | None
) -> float | None:
    """The test of the arms' sizes, each text an arm of its own if its share was planned."""
    sizes = {one.variant: one.buyers.customers for one in texted}
    if weights is None or not set(sizes) <= set(weights):
        weights, sizes = {"": 1.0}, {"": sum(sizes.values())}
    whole = sum(weights.values())
    planned = [(sizes.get(name, 0), (1 - share) * weight / whole) for name, weight in weights.items()]
    planned.append((_buyers(held_out).customers, share))
    planned = [(size, part) for size, part in planned if part > 0]
    return sample_ratio_p([size for size, _ in planned], [part for _, part in planned])


def _text(
    variant: str | None, texted: Sequence[MeasuredArm], held_out: Sequence[MeasuredArm], p: float | None
) -> TextLift:
    return TextLift(variant, _buyers(texted), {metric: _metric_lift(metric, texted, held_out, p) for metric in Metric})


def _metric_lift(
    metric: Metric, texted: Sequence[MeasuredArm], held_out: Sequence[MeasuredArm], p: float | None
) -> MetricLift:
    buyers = _buyers(texted), _buyers(held_out)
    if metric is Metric.BOUGHT_AGAIN:
        return _bought_again(*buyers, p)
    ours, theirs = (
        [one.spend if metric is Metric.SPEND else one.sessions for one in all_] for all_ in (texted, held_out)
    )
    return _mean(metric, ours, theirs, buyers, p)


def _bought_again(texted: Buyers, holdout: Buyers, p: float | None) -> MetricLift:
    found = verdict(newcombe(texted, holdout), sample_ratio_p=p)
    shares = [one.share if one.customers else None for one in (texted, holdout)]
    one = _metric(Metric.BOUGHT_AGAIN, shares, found)
    if not found.lift:
        return one
    return replace(
        one,
        detectable=power.detectable_share(texted.customers, holdout.customers, holdout.share),
        holdout_for_tenth=power.holdout_for_share(
            texted.customers + holdout.customers, holdout.share, TENTH * holdout.share
        ),
    )


def _mean(
    metric: Metric, texted: Sequence[Arm], held_out: Sequence[Arm], buyers: tuple[Buyers, Buyers], p: float | None
) -> MetricLift:
    means = [merged(arms).mean if arms else None for arms in (texted, held_out)]
    if not texted or not held_out:
        return _metric(metric, means, verdict(None, sample_ratio_p=p))
    ours, theirs = merged(texted), merged(held_out)
    lift = cuped(ours, theirs)
    if metric is Metric.SPEND:
        found = spend_verdict(lift, *buyers, sample_ratio_p=p)
    else:
        found = verdict(lift, sample_ratio_p=p)
    one = _metric(metric, means, found)
    if not found.lift:
        return one
    # one customer's variance after the covariates, as if both arms had the same
    variance = found.lift.standard_error**2 / (1 / ours.count + 1 / theirs.count)
    return replace(
        one,
        detectable=power.detectable_mean(ours.count, theirs.count, variance),
        holdout_for_tenth=power.holdout_for_mean(ours.count + theirs.count, variance, TENTH * theirs.mean),
    )


def _metric(metric: Metric, levels: Sequence[float | None], found: Verdict) -> MetricLift:
    texted, holdout = (None, None) if found.finding is Finding.UNSOUND else levels
    return MetricLift(metric, texted, holdout, found)


def _buyers(arms: Sequence[MeasuredArm]) -> Buyers:
    return Buyers(sum(one.buyers.customers for one in arms), sum(one.buyers.bought for one in arms))
