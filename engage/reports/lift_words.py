"""What a campaign's texts did, in words: sentences, and numbers with their units."""

from __future__ import annotations

from decimal import Decimal

from engage import formats
from engage.experiments.lift import Lift
from engage.experiments.pooling import PooledLift
from engage.experiments.verdict import Finding
from engage.formats import MINUS, NOTHING, counted, number
from engage.reports.lift import CampaignLift, Stage
from engage.reports.segment_lift import MetricLift, SegmentLift, TextLift, leaves_out_0
from engage.statuses import Metric

NAMES = {Metric.BOUGHT_AGAIN: "Bought again", Metric.SPEND: "Spend", Metric.SESSIONS: "Sessions"}
"""The metrics as a table names them."""
FINDINGS = {
    Finding.MORE: "more",
    Finding.LESS: "less",
    Finding.NOT_SHOWN: "not shown",
    Finding.TOO_FEW: "too few to tell",
    Finding.UNSOUND: "unsound",
}
TONES = {Finding.MORE: "success", Finding.LESS: "failed", Finding.UNSOUND: "warning"}
"""The tone of a finding's pill; grey for all others."""
DIFFER = 0.05
"""Below this p, campaigns differ more than chance explains."""
_IN = {Metric.BOUGHT_AGAIN: "In buying again", Metric.SPEND: "In spend", Metric.SESSIONS: "In sessions"}
_FINE = {Metric.BOUGHT_AGAIN: 0.005, Metric.SPEND: 0.0, Metric.SESSIONS: 0.05}
"""A number with an interval that reaches less far than this has a decimal more."""


def amount(metric: Metric, value: float, currency: str, reach: float = 1.0) -> str:
    """A difference without its sign, such as 2.0 points, $4.90 or 0.31 sessions.

    ``reach`` is half the length of its interval, in the metric's own unit.
    """
    size, fine = abs(value), int(reach < _FINE[metric])
    if metric is Metric.SPEND:
        return formats.money(size / 100, currency)
    if metric is Metric.SESSIONS:
        return f"{number(size, 2 + fine)} sessions"
    return f"{number(100 * size, 1 + fine)} points"


def signed(metric: Metric, value: float, currency: str, reach: float = 1.0) -> str:
    """A difference with its sign, such as +2.0 points or −$4.90. One that rounds to 0 has none."""
    text = amount(metric, value, currency, reach)
    return text if _is_0(text) else ("+" if value > 0 else MINUS) + text


def level(metric: Metric, value: float | None, currency: str) -> str:
    """What customers of one arm did: 32.0%, $61.20 or 4.31 sessions; a dash if it may not be shown."""
    if value is None:
        return NOTHING
    if metric is Metric.SPEND:
        return formats.money(value / 100, currency)
    return number(value, 2) if metric is Metric.SESSIONS else formats.share(value, 1)


def difference(metric: Metric, lift: Lift | None, currency: str) -> str:
    """The lift with its sign; a dash if it may not be shown."""
    return signed(metric, lift.difference, currency, _reach(lift)) if lift else NOTHING


def interval(metric: Metric, lift: Lift | None, currency: str) -> str:
    """The ends of the 95% interval, such as +0.4 to +3.6 points; a dash if there is none."""
    if not lift:
        return NOTHING
    low, high = (signed(metric, end, currency, _reach(lift)) for end in (lift.low, lift.high))
    return f"{_bare(low)} to {high}"


def relative(found: MetricLift) -> str:
    """The lift in percent of the holdout's mean, with its interval; a dash if there is none."""
    if not found.lift or not (one := found.lift.relative):
        return NOTHING
    middle, low, high = (_percent(ratio) for ratio in (one.ratio, one.low, one.high))
    return f"{middle} ({low} to {high})"


def sentences(found: CampaignLift, one: SegmentLift, currency: str) -> list[str]:
    """What to say of a segment: first what decides, then the other metrics, then the cost."""
    said = [sentence(one, found.primary, currency)]
    said += [also for metric in found.metrics[1:] if (also := aside(one.whole, metric, currency))]
    if one.sound and (paid_for := cost(one, found.costs.get(one.segment), currency)):
        said.append(paid_for)
    return said


def sentence(one: SegmentLift, metric: Metric, currency: str) -> str:
    """What the texts to a segment did, in the metric that decides."""
    found = one.whole.metrics[metric]
    finding, lift = found.verdict.finding, found.lift
    if finding is Finding.UNSOUND:
        return f"{one.segment}: nothing can be said. {_unsound(one)} One of the groups has lost or gained customers."
    if lift is None:
        return f"{one.segment}: too few to tell. {_why_too_few(one, metric, found.verdict.holdout_needed)}"
    texted = f"exted {one.segment} customers {_did(found, lift, currency)}"
    if finding is Finding.NOT_SHOWN:
        why = (
            f" The interval leaves out 0. But with several segments, chance alone does that too often "
            f"(p {p(found.verdict.p)})."
            if leaves_out_0(lift)
            else ""
        )
        return f"{one.segment}: no effect is shown. T{texted}.{why}"
    in_all = _in_all(lift, one.whole.texted.customers, currency) if metric is Metric.SPEND else ""
    return f"T{texted}.{in_all}"


def aside(one: TextLift, metric: Metric, currency: str) -> str | None:
    """The same in a metric that does not decide, such as *They spent $4.90 more, …*; None without a lift."""
    found = one.metrics[metric]
    if not (lift := found.lift):
        return None
    did = f"hey {_did(found, lift, currency)}."
    return f"T{did}" if leaves_out_0(lift) else f"{_IN[metric]}, no effect is shown: t{did}"


def cost(one: SegmentLift, cost: Decimal | None, currency: str) -> str | None:
    """What the texts to a segment cost, and what that means for each customer who bought again because of them."""
    if cost is None:
        return None
    spent = f"The texts to {one.segment} cost {paid(cost, currency)}"
    each, more = one.whole.cost_per_buyer(cost), one.whole.additional_buyers
    if each is None or more is None:
        return f"{spent}."
    return (
        f"{spent}. About {counted(max(1, round(more)), 'customer')} bought again because of them, "
        f"so each of these cost {paid(each, currency)}."
    )


def paid(cost: Decimal | None, currency: str) -> str:
    """A cost, which is never shown as 0 if it is less than a cent."""
    small = cost is not None and 0 < cost < Decimal("0.005")
    return f"less than {formats.money(Decimal('0.01'), currency)}" if small else formats.money(cost, currency)


def _did(found: MetricLift, lift: Lift, currency: str) -> str:
    did = _more(found.metric, lift, currency)
    if found.metric is Metric.BOUGHT_AGAIN:
        did += f" ({formats.share(found.texted, 1)}, the holdout {formats.share(found.holdout, 1)})"
    return f"{did}, {_ends(found.metric, lift, currency)}"


def _more(metric: Metric, lift: Lift, currency: str) -> str:
    """What the texted customers did, such as *spent $4.90 more*."""
    size = amount(metric, lift.difference, currency, _reach(lift))
    more = "more" if lift.difference > 0 else "less"
    same = _is_0(size)
    if metric is Metric.SPEND:
        return "spent as much" if same else f"spent {size} {more}"
    if metric is Metric.SESSIONS:
        times = "more times" if lift.difference > 0 else "fewer times"
        return "opened the app as often" if same else f"opened the app {_bare(size)} {times}"
    return "bought again as often" if same else f"bought again {more} often by {size}"


def _in_all(lift: Lift, customers: int, currency: str) -> str:
    """What a lift of spend adds up to over all texted customers, as a sentence."""
    whole = formats.threshold(Decimal(round(abs(lift.difference) * customers / 100)), currency)
    return f" Over all {counted(customers, 'customer')} that is about {whole}."


def _ends(metric: Metric, lift: Lift, currency: str) -> str:
    """The interval, such as *95% between $1.20 and $8.60*. Its ends have signs if they differ in direction."""
    if leaves_out_0(lift):
        texts = [amount(metric, end, currency, _reach(lift)) for end in sorted((lift.low, lift.high), key=abs)]
    else:
        texts = [signed(metric, end, currency, _reach(lift)) for end in (lift.low, lift.high)]
    return f"95% between {_bare(texts[0])} and {_bare(texts[1])}"


def _unsound(one: SegmentLift) -> str:
    by_chance = f"(p {p(one.sample_ratio_p)})"
    held_out, texted = one.holdout.customers, one.whole.texted.customers
    if one.by_text:
        sizes = ", ".join(f"text {text.variant} {number(text.texted.customers)}" for text in one.by_text)
        return f"The groups do not fit the planned shares {by_chance}: holdout {number(held_out)}, {sizes} customers."
    return (
        f"{counted(held_out, 'customer')} of {number(held_out + texted)} are in the holdout, and chance does not "
        f"explain that: the plan was {percent(one.planned_holdout)} {by_chance}."
    )


def _why_too_few(one: SegmentLift, metric: Metric, needed: float | None) -> str:
    if not one.holdout.customers or not one.whole.texted.customers:
        return "One of the groups has no customers."
    if metric is not Metric.SPEND:
        return "The groups are too small for an interval."
    fewest = min(one.holdout.bought, one.whole.texted.bought)
    return f"A group has {counted(fewest, 'buyer')}, and an interval of spend needs 100. " + (
        f"A holdout of {percent(needed)} would do." if needed else "No holdout up to a half would do."
    )


def how_to_measure(found: CampaignLift) -> str:
    """Why there is no lift, and what to do or wait for; empty if there is one."""
    if found.stage is Stage.NO_HOLDOUT:
        return (
            "No customer was held out, so there is no group to compare the texted customers with. Set "
            "engage_holdout_percent, and chance keeps that share of the next campaign's customers without a text."
        )
    if found.stage is Stage.WAITING and found.overdue:
        return (
            "This campaign is not measured, although the next window is computed. The step measure has not run, the "
            "texts went out after that window, or an earlier version queued them."
        )
    if found.stage is Stage.WAITING:
        return (
            f"Not measured yet. The comparison takes the whole next window, which ends on "
            f"{formats.day(found.window.next().end)}. The campaign of that window measures it."
        )
    return ""


def over_time(together: PooledLift, metric: Metric, currency: str) -> str:
    """The lift of several campaigns together, as a sentence."""
    lift = together.lift
    did = f"{_more(metric, lift, currency)}, {_ends(metric, lift, currency)}"
    found = f"Over {counted(together.campaigns, 'measured campaign')}, texted customers {did}."
    if not leaves_out_0(lift):
        found += " No effect is shown."
    if together.heterogeneity_p is not None and together.heterogeneity_p < DIFFER:
        found += (
            f" The campaigns differ more than chance explains (p {p(together.heterogeneity_p)}), so this says little "
            "about the next one."
        )
    return found


def p(value: float | None) -> str:
    """A probability, such as 0.04 or <0.001."""
    if value is None:
        return NOTHING
    return "<0.001" if value < 0.001 else number(value, 3 if value < 0.1 else 2)


def percent(share: float | None) -> str:
    """A share of 1, such as 14.5%."""
    return NOTHING if share is None else formats.share(share, 1)


def smallest(found: MetricLift, currency: str) -> str:
    """The smallest effect that the groups find in 4 of 5 campaigns; a dash without a lift."""
    effect = found.detectable
    return NOTHING if effect is None else amount(found.metric, effect, currency, effect / 2)


def holdout_for_tenth(found: MetricLift) -> str:
    """The holdout that would find 10% more, or that none would; a dash without a lift."""
    if not found.lift:
        return NOTHING
    return percent(found.holdout_for_tenth) if found.holdout_for_tenth else "none up to a half"


def _reach(lift: Lift) -> float:
    return (lift.high - lift.low) / 2


def _percent(ratio: float) -> str:
    text = number(abs(100 * ratio), 1) + "%"
    return text if _is_0(text) else ("+" if ratio > 0 else MINUS) + text


def _is_0(text: str) -> bool:
    return not any(digit in text for digit in "123456789")


def _bare(text: str) -> str:
    """The number without its unit, where the unit stands elsewhere."""
    return text.removesuffix(" points").removesuffix(" sessions")
