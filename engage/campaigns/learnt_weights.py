"""How large a share of a campaign's customers gets each text of a segment, and why: equal shares, or learnt ones.

What earlier campaigns measured is read once, when the queue is first made. The shares stay until ``extract`` begins the
campaign anew, whatever is measured or set meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from engage.campaigns import campaign, measured_arms
from engage.campaigns.measured_arms import MeasuredArm
from engage.campaigns.variants import TextWeights
from engage.experiments import bandit
from engage.experiments.bandit import Estimate
from engage.experiments.sample_ratio import is_mismatch, sample_ratio_p
from engage.settings import Settings
from engage.settings.languages import OWN
from engage.statuses import ExperimentArm, Metric
from engage.window import Window

LOOK_BACK = 13
"""Earlier campaigns that are learnt from: two years of them."""
_MORE = {
    Metric.BOUGHT_AGAIN: "bought again more often",
    Metric.SPEND: "brought more spend per customer",
    Metric.SESSIONS: "brought more sessions per customer",
}


def of_segments(conn: sa.Connection, window: Window, settings: Settings) -> dict[str, TextWeights]:
    """The weights of each segment with several texts, from the campaigns before ``window`` if they are to be learnt."""
    several = [name for name in settings.texted if len(settings.variants(name)) > 1]
    if not several:
        return {}
    if not settings.learn_variants:
        return {name: _equal(settings.variants(name)) for name in several}
    earlier = campaign.find_all(conn, before=window, limit=LOOK_BACK)
    measured = measured_arms.of_windows(conn, [one.window for one in earlier])
    return {name: _learnt(name, settings, [(one, measured[one.window]) for one in earlier]) for name in several}


def _equal(variants: Sequence[str], why: str = "") -> TextWeights:
    return TextWeights.rounded(dict.fromkeys(variants, 1 / len(variants)), f"equal weights{why}")


def _learnt(
    segment: str, settings: Settings, earlier: Sequence[tuple[campaign.Campaign, Sequence[MeasuredArm]]]
) -> TextWeights:
    variants, metric = settings.variants(segment), settings.primary_metric
    campaigns = [_estimates(segment, settings, one, arms) for one, arms in earlier]
    found = next((one for one in campaigns if len(one) > 1), None)  # of the latest campaign that compares two of them
    if found is None:
        return _equal(variants, ": no earlier campaign has compared two of these texts")
    same = [{name: one[name] for name in found} for one in campaigns if found.keys() <= one.keys()]
    estimates = bandit.over_campaigns(same)
    weights = bandit.weights({name: estimates.get(name) for name in variants})
    return TextWeights.rounded(weights, _why(estimates, variants, metric, len(same)))


def _estimates(
    segment: str, settings: Settings, one: campaign.Campaign, arms: Sequence[MeasuredArm]
) -> dict[str, Estimate]:
    """What a campaign measured of the texts that are the same now, in all languages, by name."""
    if one.settings is None or segment not in one.settings.texted:
        return {}
    texted = {arm.variant or OWN: arm for arm in arms if arm.segment == segment and arm.arm is ExperimentArm.TEXTED}
    if _is_unsound((one.variants or {}).get(segment), texted):
        return {}
    now, then = settings.by_variant(segment), one.settings.by_variant(segment)
    found = {
        name: _estimate(texted[name], settings.primary_metric)
        for name in now
        if name in texted and now[name] == then.get(name)
    }
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _is_unsound(plan: TextWeights | None, texted: Mapping[str, MeasuredArm]) -> bool:
    """Whether a text has lost or gained customers against the weights with which it was drawn."""
    if plan is None:
        return False
    counts = [texted[name].buyers.customers if name in texted else 0 for name in plan.weights]
    return is_mismatch(sample_ratio_p(counts, list(plan.weights.values())))


def _estimate(arm: MeasuredArm, metric: Metric) -> Estimate | None:
    if metric is Metric.BOUGHT_AGAIN:
        return bandit.of_share(arm.buyers)
    return bandit.of_mean(arm.spend if metric is Metric.SPEND else arm.sessions)


def _why(estimates: Mapping[str, Estimate], variants: Sequence[str], metric: Metric, campaigns: int) -> str:
    """Such as ``b bought again more often in 2 campaigns: 34.1% against 31.0%``."""
    best, *others = sorted(estimates, key=lambda name: -estimates[name].mean)
    shown = {name: _shown(estimates[name].mean, metric) for name in estimates}
    named = [f"{shown[name]} of {name}" for name in others]
    against = " and ".join(named) if len(others) > 1 else shown[others[0]]
    number = f"{campaigns} campaign{'s' if campaigns > 1 else ''}"
    new = [name for name in variants if name not in estimates]
    fair = f"; {' and '.join(new)} {'gets' if len(new) == 1 else 'get'} an equal share to be measured by" if new else ""
    return f"{best} {_MORE[metric]} in {number}: {shown[best]} against {against}{fair}"


def _shown(mean: float, metric: Metric) -> str:
    if metric is Metric.BOUGHT_AGAIN:
        return f"{100 * mean:.1f}%"
    return f"{mean / 100:,.2f}" if metric is Metric.SPEND else f"{mean:,.2f}"
