"""The lift of a share, the sample ratio, several segments and several campaigns: by hand and beside statsmodels."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from engage.experiments.holm import holm
from engage.experiments.lift import Lift
from engage.experiments.pooling import pooled
from engage.experiments.sample_ratio import is_mismatch, sample_ratio_p
from engage.experiments.share_lift import Buyers, newcombe, wilson


@st.composite
def buyers(draw, most=10**6):
    customers = draw(st.integers(1, most))
    return Buyers(customers, draw(st.integers(0, customers)))


# --- the share that bought again


def test_newcombe_as_published():
    """Newcombe's example (a) of 1998: 56 of 70 against 48 of 80, method 10: 0.0524 to 0.3339."""
    lift = newcombe(Buyers(70, 56), Buyers(80, 48))
    assert (lift.low, lift.high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    assert lift.difference == pytest.approx(0.2)
    assert lift.p < 0.05


@given(buyers(), buyers())
def test_newcombe_equals_statsmodels(texted, holdout):
    lift = newcombe(texted, holdout)
    right = confint_proportions_2indep(
        texted.bought, texted.customers, holdout.bought, holdout.customers, method="newcomb"
    )
    assert (lift.low, lift.high) == pytest.approx(right, rel=1e-6, abs=1e-12)


@given(buyers())
def test_wilson_equals_statsmodels(arm):
    right = proportion_confint(arm.bought, arm.customers, method="wilson")
    assert wilson(arm, stats.norm.ppf(0.975)) == pytest.approx(right, rel=1e-6, abs=1e-12)


@given(buyers(), buyers())
@example(Buyers(1, 1), Buyers(1, 0))
@example(Buyers(3, 0), Buyers(48, 48))
@example(Buyers(10**6, 10**6), Buyers(10**6, 0))
@example(Buyers(5, 0), Buyers(9, 0))
@example(Buyers(5, 5), Buyers(9, 9))
def test_p_and_interval_agree(texted, holdout):
    lift = newcombe(texted, holdout)
    assert -1 <= lift.low <= lift.difference <= lift.high <= 1
    assert lift.standard_error > 0
    assert 0 <= lift.p <= 1
    assume(min(abs(lift.low), abs(lift.high)) > 1e-9)
    assert (lift.p < 0.05) == (lift.low > 0 or lift.high < 0)


@given(buyers(most=30), buyers(most=30))
def test_the_interval_at_the_level_of_p_ends_at_0(texted, holdout):
    p = newcombe(texted, holdout).p
    assume(1e-10 < p < 1 - 1e-6)
    lift = newcombe(texted, holdout, level=1 - p)
    assert min(abs(lift.low), abs(lift.high)) == pytest.approx(0, abs=1e-6)


@given(buyers(), buyers())
def test_swapped_arms_swap_the_signs(texted, holdout):
    lift, swapped = newcombe(texted, holdout), newcombe(holdout, texted)
    found = (swapped.difference, swapped.low, swapped.high, swapped.p)
    assert found == pytest.approx((-lift.difference, -lift.high, -lift.low, lift.p), rel=1e-9, abs=1e-12)


@given(buyers(), buyers())
def test_not_to_buy_is_the_opposite(texted, holdout):
    lift = newcombe(texted, holdout)
    opposite = newcombe(*(Buyers(arm.customers, arm.customers - arm.bought) for arm in (texted, holdout)))
    found = (opposite.difference, opposite.low, opposite.high)
    assert found == pytest.approx((-lift.difference, -lift.high, -lift.low), rel=1e-9, abs=1e-9)


def test_an_empty_arm_has_no_lift():
    assert newcombe(Buyers(0, 0), Buyers(10, 5)) is None
    assert newcombe(Buyers(10, 5), Buyers(0, 0)) is None
    assert Buyers(0, 0).share == 0


def test_the_same_shares_have_the_p_1():
    assert newcombe(Buyers(10, 5), Buyers(100, 50)).p == 1


def test_the_p_of_a_sure_difference_is_0():
    assert newcombe(Buyers(10**6, 10**6), Buyers(10**6, 0)).p == 0


@pytest.mark.parametrize(("customers", "bought"), [(5, 6), (5, -1), (-1, 0), (-1, -1)])
def test_buyers_are_among_the_customers(customers, bought):
    with pytest.raises(ValueError, match="customers bought"):
        Buyers(customers, bought)


# --- the sample ratio


def test_the_sample_ratio_by_hand():
    # 60 and 40 of 50 and 50: 2 + 2, one degree of freedom
    assert sample_ratio_p([60, 40], [0.5, 0.5]) == pytest.approx(0.0455, abs=1e-4)
    assert sample_ratio_p([21307, 21387, 21306], [1 / 3] * 3) == pytest.approx(0.90, abs=0.005)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 100)), min_size=2, max_size=8))
def test_the_sample_ratio_equals_scipy(arms):
    counts, weights = zip(*arms, strict=True)
    shares = np.array(weights) / sum(weights)
    assume(min(shares * sum(counts)) >= 10)
    assert sample_ratio_p(counts, list(shares)) == pytest.approx(
        stats.chisquare(counts, shares * sum(counts)).pvalue, rel=1e-6, abs=1e-300
    )


def test_a_holdout_that_lost_customers_is_a_mismatch():
    assert not is_mismatch(sample_ratio_p([40_000, 160_000], [0.2, 0.8]))
    assert is_mismatch(sample_ratio_p([38_800, 160_000], [0.2, 0.8]))


@pytest.mark.parametrize("counts", [[0, 0], [5, 90], [9, 4], [0, 19]])
def test_few_expected_customers_give_no_sample_ratio(counts):
    assert sample_ratio_p(counts, [0.1, 0.9]) is None


def test_one_arm_has_no_sample_ratio():
    assert sample_ratio_p([500], [1.0]) is None
    assert not is_mismatch(None)


@pytest.mark.parametrize(
    ("counts", "shares"),
    [([50, 50], [0.5]), ([50, 50], [0.5, 0.6]), ([50, 50], [0, 1]), ([50, 50], [nan, 1]), ([-1, 50], [0.5, 0.5]),
     ([50, 50], [1.5, -0.5]), ([], [])],
)  # fmt: skip
def test_the_plan_of_a_sample_ratio_is_checked(counts, shares):
    with pytest.raises(ValueError, match="planned"):
        sample_ratio_p(counts, shares)


# --- several segments


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.02]) == [0.02]
    assert holm([]) == []
    assert holm([1.0, 0.9]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_equals_statsmodels(ps):
    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1], rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("p", [-0.1, 1.1, nan])
def test_holm_refuses_what_is_no_p(p):
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm([0.5, p])


# --- several campaigns


def lift_with(difference: float, standard_error: float) -> Lift:
    return Lift(difference, difference - 2 * standard_error, difference + 2 * standard_error, 0.5, standard_error)


def test_pooling_by_hand():
    found = pooled([lift_with(4, 1), lift_with(1, 0.5)])  # weights 1 and 4
    assert found.lift.difference == pytest.approx(1.6)
    assert found.lift.standard_error == pytest.approx(5**-0.5)
    assert found.campaigns == 2
    assert found.heterogeneity_p == pytest.approx(stats.chi2.sf(2.4**2 + 4 * 0.6**2, 1))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # statsmodels also divides by Q, which may be 0
@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0.01, 100)), min_size=2, max_size=12))
@example([(3.0, 3.0), (3.0, 0.01171875)])
def test_pooling_equals_statsmodels(campaigns):
    found = pooled([lift_with(*campaign) for campaign in campaigns])
    differences, errors = map(np.array, zip(*campaigns, strict=True))
    right = combine_effects(differences, errors**2)
    assert found.lift.difference == pytest.approx(right.mean_effect_fe, rel=1e-6, abs=1e-9)
    assert found.lift.standard_error == pytest.approx(right.sd_eff_w_fe, rel=1e-6)
    rounding = 1e-4 if right.q < 1e-3 else 1e-300  # the tail at 0 is as steep as a root: it magnifies rounding
    right_p = stats.chi2.sf(right.q, len(campaigns) - 1)
    assert found.heterogeneity_p == pytest.approx(right_p, rel=1e-6, abs=rounding)


def test_one_campaign_stays_as_it_is_and_none_gives_none():
    one = pooled([lift_with(4, 1)])
    assert (one.lift.difference, one.lift.standard_error, one.heterogeneity_p) == (4, 1, None)
    assert one.lift.low == pytest.approx(4 - 1.959964)
    assert pooled([]) is None


@pytest.mark.parametrize(("difference", "error"), [(1, 0), (1, nan), (nan, 1), (1, inf), (inf, 1), (1, -1)])
def test_pooling_refuses_a_lift_without_an_error(difference, error):
    with pytest.raises(ValueError, match="standard error above 0"):
        pooled([lift_with(2, 1), lift_with(difference, error)])
