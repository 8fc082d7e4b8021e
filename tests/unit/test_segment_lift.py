"""Lifts from measured arms: which numbers may be shown, and which metric has a finding."""

from dataclasses import replace
from decimal import Decimal

import pytest

from engage.experiments.share_lift import Buyers, newcombe
from engage.experiments.verdict import Finding
from engage.reports.segment_lift import segment_lifts, whole_lifts
from engage.statuses import Metric
from tests.measured import CLEAR, holdout, texted

HALVES = {"REWARD": {"a": 0.5, "b": 0.5}}
TEN = Decimal(10)


def lifts(arms=CLEAR, *, primary=Metric.BOUGHT_AGAIN, percent=TEN, weights=HALVES):
    return {one.segment: one for one in segment_lifts(arms, primary=primary, holdout_percent=percent, weights=weights)}


def finding(one, metric=Metric.BOUGHT_AGAIN):
    return one.whole.metrics[metric].verdict.finding


def test_each_segment_has_its_own_lift_over_all_its_texts():
    found = lifts()
    assert list(found) == ["BOOST", "REWARD"]
    whole = found["REWARD"].whole
    assert whole.texted == Buyers(36000, 18252)
    assert whole.metrics[Metric.BOUGHT_AGAIN].lift == newcombe(Buyers(36000, 18252), Buyers(4000, 2000))
    assert whole.metrics[Metric.SPEND].texted == pytest.approx(10_000)
    assert [one.variant for one in found["REWARD"].by_text] == ["a", "b"]
    assert found["BOOST"].by_text == ()


@pytest.mark.parametrize("metric", Metric)
def test_the_lifts_of_one_metric_are_those_of_all(metric):
    arms = (*CLEAR, texted("LOST", 9000, 2880, spend=5400), holdout("LOST", 800, 270, spend=4700))
    found = whole_lifts(arms, metric, holdout_percent=TEN, weights=HALVES)
    assert found == [one.whole.metrics[metric].lift for one in lifts(arms).values() if one.sound]
    assert len(found) == 2


def test_only_the_primary_metric_has_a_p_that_is_corrected_for_all_segments():
    found = lifts()
    boost, reward = (found[name].whole.metrics[Metric.BOUGHT_AGAIN] for name in ("BOOST", "REWARD"))
    assert boost.verdict.p == 2 * boost.lift.p
    assert reward.verdict.p == max(reward.lift.p, boost.verdict.p)
    for one in found.values():
        other = one.whole.metrics[Metric.SPEND]
        assert other.verdict.p == other.lift.p


def test_a_group_without_customers_and_unsound_groups_have_no_numbers_of_the_outcome():
    unsound = lifts((*CLEAR[:1], holdout("BOOST", 800, 270, spend=4700)))["BOOST"].whole
    assert {(one.texted, one.holdout) for one in unsound.metrics.values()} == {(None, None)}
    alone = lifts(CLEAR[:1], percent=Decimal(0))["BOOST"].whole
    assert alone.metrics[Metric.BOUGHT_AGAIN].texted == 0.32
    assert {one.holdout for one in alone.metrics.values()} == {None}


def test_a_lift_that_the_correction_takes_away_keeps_its_interval():
    arms = (
        texted("A", 9000, 2880, spend=5000), holdout("A", 1000, 288, spend=5000),
        texted("B", 9000, 2700, spend=5000), holdout("B", 1000, 300, spend=5000),
    )  # fmt: skip
    alone = lifts(arms[:2])["A"].whole.metrics[Metric.BOUGHT_AGAIN]
    among_two = lifts(arms)["A"].whole.metrics[Metric.BOUGHT_AGAIN]
    assert (alone.verdict.finding, among_two.verdict.finding) == (Finding.MORE, Finding.NOT_SHOWN)
    assert alone.lift == among_two.lift
    assert among_two.lift.low > 0


def test_spend_says_nothing_with_few_buyers_and_is_not_counted_among_the_tests():
    arms = (*CLEAR[:1], holdout("BOOST", 1000, 99, spend=4700), *CLEAR[2:])
    found = lifts(arms, primary=Metric.SPEND)
    assert finding(found["BOOST"], Metric.SPEND) is Finding.TOO_FEW
    assert found["BOOST"].whole.metrics[Metric.SPEND].verdict.holdout_needed == pytest.approx(0.039, abs=0.001)
    assert finding(found["BOOST"]) is not Finding.TOO_FEW
    reward = found["REWARD"].whole.metrics[Metric.SPEND]
    assert reward.verdict.p == reward.lift.p  # the only test


def test_a_lost_part_of_an_arm_leaves_no_number():
    found = lifts((*CLEAR[:2], *CLEAR[2:4], holdout("REWARD", 3000, 1500, spend=9900)))
    assert found["BOOST"].sound
    assert not found["REWARD"].sound
    for one in found["REWARD"].texts:
        assert {found.verdict.finding for found in one.metrics.values()} == {Finding.UNSOUND}
        assert all(found.lift is None and found.detectable is None for found in one.metrics.values())
    boost = found["BOOST"].whole.metrics[Metric.BOUGHT_AGAIN]
    assert boost.verdict.p == boost.lift.p


def test_texts_that_were_not_given_by_plan_are_a_mismatch_too():
    uneven = (replace(CLEAR[2], buyers=Buyers(19000, 9072)), replace(CLEAR[3], buyers=Buyers(17000, 9000)), CLEAR[4])
    assert not lifts(uneven)["REWARD"].sound
    assert lifts(uneven, weights={})["REWARD"].sound  # without a plan only the holdout counts
    assert lifts(uneven, weights={"REWARD": {"a": 19, "b": 17}})["REWARD"].sound


def test_without_a_holdout_there_is_no_lift():
    [boost] = lifts(CLEAR[:1], percent=Decimal(0)).values()
    assert {metric: finding(boost, metric) for metric in Metric} == dict.fromkeys(Metric, Finding.TOO_FEW)
    assert (boost.planned_holdout, boost.sample_ratio_p, boost.whole.texted.bought) == (None, None, 2880)


def test_the_smallest_effect_and_the_holdout_that_would_do():
    boost = lifts()["BOOST"].whole
    share = boost.metrics[Metric.BOUGHT_AGAIN]
    assert share.detectable == pytest.approx(0.042, abs=0.001)
    assert share.holdout_for_tenth == pytest.approx(0.316, abs=0.001)
    spend = boost.metrics[Metric.SPEND]
    assert spend.detectable == pytest.approx(2.8 * spend.lift.standard_error, rel=0.01)
    assert spend.lift.variance_removed == pytest.approx(0.25, abs=0.001)


def test_the_cost_of_an_additional_buyer_needs_a_clear_lift_and_a_price():
    found = lifts()
    boost = found["BOOST"].whole
    assert boost.additional_buyers == pytest.approx(450)
    assert boost.cost_per_buyer(Decimal(90)) == pytest.approx(Decimal("0.2"))
    assert boost.cost_per_buyer(None) is None
    assert found["REWARD"].whole.additional_buyers is None
    assert found["REWARD"].whole.cost_per_buyer(Decimal(90)) is None
    worse = lifts((texted("BOOST", 9000, 2400, spend=1), holdout("BOOST", 1000, 320, spend=1)))["BOOST"].whole
    assert (
        finding(lifts((texted("BOOST", 9000, 2400, spend=1), holdout("BOOST", 1000, 320, spend=1)))["BOOST"]) == "less"
    )
    assert worse.additional_buyers is None
