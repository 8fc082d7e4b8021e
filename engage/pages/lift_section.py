"""The section *What it did* of a campaign's report: sentences first, then each metric with its intervals, then cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

from engage import formats
from engage.currency import currency
from engage.experiments.sample_ratio import MISMATCH
from engage.formats import NOTHING, number
from engage.pages import whisker_svg
from engage.reports import lift_words as words
from engage.reports.lift import CampaignLift, Stage
from engage.reports.segment_lift import MetricLift, SegmentLift, TextLift
from engage.statuses import Metric


@dataclass(frozen=True)
class Line:
    """A row of a metric's table: a segment, or one of its texts. ``pill``: the finding and its tone, if it has one."""

    segment: str
    variant: str | None
    texted: str
    holdout: str
    difference: str
    interval: str
    relative: str
    pill: tuple[str, str] | None
    whisker: Markup


@dataclass(frozen=True)
class MetricTable:
    """One metric of all segments on one scale."""

    name: str
    unit: str
    decides: bool
    folded: bool
    """Whether it is the least of them, and out of sight at first."""
    lines: list[Line]
    axis: Markup | None
    """None if no row has an interval."""


@dataclass(frozen=True)
class CostLine:
    """What the texts of a segment, or one of them, cost and brought."""

    segment: str
    variant: str | None
    given: str
    redeemed: str
    cost: str
    more: str
    each: str


@dataclass(frozen=True)
class SureLine:
    """How sure a segment's lift is."""

    segment: str
    texted: str
    holdout: str
    planned: str
    sample_ratio: str
    unsound: bool
    smallest: str
    for_tenth: str
    p: str
    corrected: str
    removed: str


@dataclass(frozen=True)
class LiftSection:
    """The section, as text and drawings."""

    found: CampaignLift
    way_on: str
    """Why there is no lift, and what to do; empty if there is one."""
    sentences: list[tuple[str, list[str]]]
    """Of each segment: its name, and what to say of it, the most important first."""
    tables: list[MetricTable]
    costs: list[CostLine]
    sure: list[SureLine]
    mismatch: float = MISMATCH

    @property
    def no_holdout(self) -> bool:
        """Whether a holdout has to be set first."""
        return self.found.stage is Stage.NO_HOLDOUT


_UNITS = {Metric.BOUGHT_AGAIN: "points", Metric.SPEND: "per customer", Metric.SESSIONS: "sessions per customer"}


def section(found: CampaignLift, tones: Mapping[str, str]) -> LiftSection | None:
    """The section about a campaign; None if it texts no customer. ``tones``: of its segments."""
    if found.stage is Stage.NOT_TEXTED:
        return None
    return LiftSection(
        found=found,
        way_on=words.how_to_measure(found),
        sentences=[(one.segment, words.sentences(found, one, currency())) for one in found.measured],
        tables=[_table(found, metric, tones) for metric in found.metrics] if found.measured else [],
        costs=list(_costs(found)),
        sure=[_sure(one, found.primary) for one in found.measured],
    )


def _table(found: CampaignLift, metric: Metric, tones: Mapping[str, str]) -> MetricTable:
    lifts = [lift for one in found.segments for text in one.texts if (lift := text.metrics[metric].lift)]
    scale = whisker_svg.scale(lifts, lambda value: tick(metric, value)) if lifts else None
    decides = metric is found.primary
    lines = [
        _line(one, text, text.metrics[metric], decides=decides, scale=scale, tone=tones.get(one.segment, "rest"))
        for one in found.segments
        for text in one.texts
    ]
    return MetricTable(
        name=words.NAMES[metric],
        unit=_UNITS[metric],
        decides=decides,
        folded=metric is Metric.SESSIONS and not decides,
        lines=lines,
        axis=whisker_svg.axis(scale) if scale else None,
    )


def tick(metric: Metric, value: float) -> str:
    """A number of a scale, such as +$5, −2 or 0."""
    size = round(abs(value), 9)
    if metric is Metric.SPEND:
        text = formats.threshold(Decimal(str(size)) / 100, currency())
    else:
        text = number(round(100 * size, 9) if metric is Metric.BOUGHT_AGAIN else size)
    return text if not size else f"{'+' if value > 0 else formats.MINUS}{text}"


def _line(
    one: SegmentLift,
    text: TextLift,
    found: MetricLift,
    *,
    decides: bool,
    scale: whisker_svg.WhiskerScale | None,
    tone: str,
) -> Line:
    finding = found.verdict.finding
    named = found.lift is None or (decides and text.variant is None)
    texted, holdout = (words.level(found.metric, value, currency()) for value in (found.texted, found.holdout))
    return Line(
        segment=one.segment,
        variant=text.variant,
        texted=texted,
        holdout=holdout,
        difference=words.difference(found.metric, found.lift, currency()),
        interval=words.interval(found.metric, found.lift, currency()),
        relative=words.relative(found),
        pill=(words.FINDINGS[finding], words.TONES.get(finding, "none")) if named else None,
        whisker=whisker_svg.whisker(scale, found.lift, tone) if scale else Markup(""),
    )


def _costs(found: CampaignLift) -> Iterator[CostLine]:
    """A row for each segment with codes or a cost, and one for each of its texts if several have codes.

    Before the campaign is measured, a cost alone says nothing here.
    """
    if not found.redemptions and found.stage is not Stage.MEASURED:
        return
    measured = {one.segment: one for one in found.segments}
    costs = found.costs
    codes = {(one.segment, one.variant): one for one in found.redemptions}
    for name in dict.fromkeys([*measured, *costs, *(segment for segment, _ in codes)]):
        own = [one for (segment, _), one in codes.items() if segment == name]
        if not own and name not in costs:
            continue
        given, redeemed = sum(one.given for one in own), sum(one.redeemed for one in own)
        whole = measured[name].whole if name in measured else None
        more = whole.additional_buyers if whole else None
        yield CostLine(
            segment=name,
            variant=None,
            given=number(given) if own else NOTHING,
            redeemed=_redeemed(redeemed, given),
            cost=words.paid(costs.get(name), currency()),
            more=NOTHING if more is None else number(max(1, round(more))),
            each=words.paid(whole.cost_per_buyer(costs.get(name)) if whole else None, currency()),
        )
        for one in own if len(own) > 1 else ():
            yield CostLine(
                name, one.variant, number(one.given), _redeemed(one.redeemed, one.given), NOTHING, NOTHING, NOTHING
            )


def _redeemed(redeemed: int, given: int) -> str:
    return f"{number(redeemed)} ({formats.share(redeemed, given)})" if given else NOTHING


def _sure(one: SegmentLift, metric: Metric) -> SureLine:
    found, everyone = one.whole.metrics[metric], one.holdout.customers + one.whole.texted.customers
    lift = found.lift
    removed = one.whole.metrics[Metric.SPEND].lift
    return SureLine(
        segment=one.segment,
        texted=number(one.whole.texted.customers),
        holdout=f"{number(one.holdout.customers)} ({formats.share(one.holdout.customers, everyone)})",
        planned=words.percent(one.planned_holdout),
        sample_ratio=words.p(one.sample_ratio_p),
        unsound=not one.sound,
        smallest=words.smallest(found, currency()),
        for_tenth=words.holdout_for_tenth(found),
        p=words.p(lift.p) if lift else NOTHING,
        corrected=words.p(found.verdict.p) if lift else NOTHING,
        removed=formats.share(max(0.0, removed.variance_removed), 1) if removed else NOTHING,
    )
