"""The lift of a mean: by hand, beside scipy and statsmodels, and at the edges."""

from __future__ import annotations

from dataclasses import astuple
from math import inf, isfinite, nan, sqrt

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.coverage import HOLDOUTS, arm_of, lifts_of, simulated_campaign
from engage.experiments.arm import Arm, merged, pooled_covariances
from engage.experiments.lift import fieller, normal_quantile, t_quantile
from engage.experiments.mean_lift import cuped, welch


@st.composite
def rows(draw, covariates=2):
    """Two arms of random rows: an outcome that is often 0, and covariates that explain a part of it."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    arms = []
    for count in (draw(st.integers(8, 200)), draw(st.integers(8, 200))):
        before = random.lognormal(1, 1, (count, covariates)) * draw(st.sampled_from([0.01, 1.0, 100.0]))
        outcome = random.lognormal(3, 1, count) * (random.random(count) < 0.6) + before.sum(axis=1) * draw(
            st.floats(0, 2)
        )
        arms.append(np.column_stack([outcome, before]))
    return arms


def close(value: float, scale: float = 1.0):
    return pytest.approx(value, rel=1e-6, abs=1e-9 * scale)


# --- by hand


def test_welch_by_hand():
    # 2, 4, 6 against 1, 2, 3: squared error 4/3 + 1/3, degrees of freedom (5/3)² / (16/18 + 1/18)
    lift = welch(Arm.of(3, 4, 4), Arm.of(3, 2, 1))
    assert lift
    assert lift.difference == 2
    assert lift.standard_error == pytest.approx(sqrt(5 / 3))
    freedom = (25 / 9) / (17 / 18)
    assert lift.high == pytest.approx(2 + stats.t.ppf(0.975, freedom) * sqrt(5 / 3))
    assert lift.p == pytest.approx(2 * stats.t.sf(2 / sqrt(5 / 3), freedom))
    assert lift.variance_removed == 0


def test_cuped_by_hand():
    # Within the arms the outcome is 3 times the covariate, give or take 1: so the 5 that the arms differ in the
    # covariate explain 15 of the 20 that they differ in the outcome.
    x, noise = np.array([1.0, 2, 3, 4]), np.array([1.0, -1, -1, 1])
    lift = cuped(arm_of(np.column_stack([3 * (x + 5) + noise + 5, x + 5])), arm_of(np.column_stack([3 * x + noise, x])))
    assert lift
    assert lift.difference == pytest.approx(5)
    assert lift.standard_error == pytest.approx(sqrt(2 * (4 / 3) / 4))
    assert lift.variance_removed == pytest.approx(1 - (4 / 3) / (9 * 5 / 3 + 4 / 3))


def test_the_relative_lift_by_hand():
    # (12 - r 10)² = 4 (1 + r²): 96 r² - 240 r + 140 = 0
    relative = fieller(12, 10, (1, 1, 0), 2)
    assert relative
    root = sqrt(240**2 - 4 * 96 * 140)
    assert astuple(relative) == pytest.approx((0.2, (240 - root) / 192 - 1, (240 + root) / 192 - 1))


# --- beside other libraries


@given(rows())
def test_welch_equals_scipy(arms):
    lift = welch(*map(arm_of, arms))
    right = stats.ttest_ind(arms[0][:, 0], arms[1][:, 0], equal_var=False)
    assert lift
    interval = right.confidence_interval(0.95)
    scale = np.std(arms[0][:, 0])
    assert (lift.low, lift.high) == (close(interval.low, scale), close(interval.high, scale))
    assert lift.p == close(right.pvalue)
    assert lift.difference / lift.standard_error == close(right.statistic)


@given(rows(covariates=3))
def test_cuped_equals_a_regression(arms):
    lift = cuped(*map(arm_of, arms))
    together = np.vstack(arms)
    texted = np.repeat([1.0, 0.0], [len(arms[0]), len(arms[1])])
    right = sm.OLS(together[:, 0], sm.add_constant(np.column_stack([texted, together[:, 1:]]))).fit()
    assert lift
    scale = np.std(together[:, 0])
    assert lift.difference == close(right.params[1], scale)
    # The interval is that of the adjusted outcome on the arm alone, with errors that let the variances differ (HC2).
    adjusted = together[:, 0] - together[:, 1:] @ right.params[2:]
    errors = sm.OLS(adjusted, sm.add_constant(texted)).fit().get_robustcov_results("HC2").bse
    assert lift.standard_error == close(errors[1], scale)
    welch_right = stats.ttest_ind(adjusted[texted == 1], adjusted[texted == 0], equal_var=False)
    assert lift.low == close(welch_right.confidence_interval(0.95).low, scale)
    assert lift.p == close(welch_right.pvalue)


@given(rows())
def test_the_relative_lift_of_cuped_is_of_the_regressions_means(arms):
    lift = cuped(*map(arm_of, arms))
    assert lift
    assume(lift.relative)
    together = np.vstack(arms)
    texted = np.repeat([1.0, 0.0], [len(arms[0]), len(arms[1])])
    centred = together[:, 1:] - together[:, 1:].mean(axis=0)
    right = sm.OLS(together[:, 0], sm.add_constant(np.column_stack([texted, centred]))).fit()
    assert lift.relative.ratio == pytest.approx(right.params[1] / right.params[0], rel=1e-6, abs=1e-9)


@given(rows())
def test_merged_arms_are_one_arm(arms):
    one, right = merged([arm_of(arms[0]), arm_of(arms[1])]), arm_of(np.vstack(arms))
    assert one.count == right.count
    assert one.means == pytest.approx(right.means)
    assert np.allclose(one.matrix, right.matrix)


# --- symmetries


@given(rows(), st.sampled_from([welch, cuped]))
def test_swapped_arms_swap_the_signs(arms, method):
    texted, holdout = map(arm_of, arms)
    lift, swapped = method(texted, holdout), method(holdout, texted)
    scale = np.std(arms[0][:, 0])
    assert (swapped.difference, swapped.low, swapped.high) == (
        close(-lift.difference, scale), close(-lift.high, scale), close(-lift.low, scale),
    )  # fmt: skip
    assert (swapped.p, swapped.standard_error) == (close(lift.p), close(lift.standard_error, scale))


@given(rows(), st.sampled_from([welch, cuped]), st.sampled_from([0.01, 100.0]))
def test_another_unit_of_money_scales_the_interval(arms, method, unit):
    lift = method(*map(arm_of, arms))
    scaled = method(*(arm_of(arm * [unit, 1, 1]) for arm in arms))
    scale = np.std(arms[0][:, 0])
    for name in ("difference", "low", "high", "standard_error"):
        assert getattr(scaled, name) / unit == close(getattr(lift, name), scale)
    assert scaled.p == close(lift.p)
    assert (scaled.relative is None) == (lift.relative is None)
    if lift.relative:
        assert astuple(scaled.relative) == pytest.approx(astuple(lift.relative), rel=1e-5, abs=1e-7)


@given(rows())
def test_another_unit_of_a_covariate_changes_nothing(arms):
    lift, scaled = (cuped(*(arm_of(arm * unit) for arm in arms)) for unit in ([1, 1, 1], [1, 1e4, 1e-4]))
    assert scaled.low == close(lift.low, np.std(arms[0][:, 0]))


@given(rows(), st.sampled_from([welch, cuped]))
def test_the_relative_interval_leaves_out_0_as_the_difference_does(arms, method):
    lift = method(*map(arm_of, arms))
    assume(lift.relative and min(abs(lift.low), abs(lift.high)) > 1e-9 * abs(lift.difference))
    assert (lift.relative.low > 0, lift.relative.high < 0) == (lift.low > 0, lift.high < 0)
    assert lift.relative.low <= lift.relative.ratio <= lift.relative.high


@given(rows(), st.sampled_from([welch, cuped]))
def test_p_and_interval_agree(arms, method):
    lift = method(*map(arm_of, arms))
    assert (lift.p < 0.05) == (lift.low > 0 or lift.high < 0)


# --- edges


@pytest.mark.parametrize("method", [welch, cuped])
@pytest.mark.parametrize("arm", [Arm.of(0, None, None), Arm.of(1, 12.0, None)])
def test_fewer_than_two_customers_have_no_lift(method, arm):
    assert method(arm, Arm.of(100, 5, 2)) is None
    assert method(Arm.of(100, 5, 2), arm) is None


@pytest.mark.parametrize("method", [welch, cuped])
def test_arms_that_do_not_vary_have_no_lift(method):
    assert method(Arm.of(50, 0, 0), Arm.of(50, 0, 0)) is None
    assert method(Arm.of(50, 7, 0), Arm.of(50, 3, 0)) is None


@pytest.mark.parametrize("method", [welch, cuped])
def test_one_arm_that_varies_is_enough(method):
    lift = method(Arm.of(50, 7, 4), Arm.of(50, 0, 0))
    assert lift.standard_error == pytest.approx(sqrt(4 / 50))
    assert lift.high - lift.difference == pytest.approx(t_quantile(49) * lift.standard_error)
    assert lift.relative is None  # of a holdout without spend


def test_a_holdout_near_0_has_no_relative_lift():
    assert welch(Arm.of(50, 3, 4), Arm.of(50, 0.1, 4)).relative is None
    assert fieller(1, -5, (0.1, 0.1, 0), 2) is None


def test_cuped_without_covariates_is_welch():
    arms = Arm.of(30, 5, 4), Arm.of(20, 4, 6)
    assert cuped(*arms) == welch(*arms)


def test_a_covariate_that_does_not_vary_or_repeats_another_changes_nothing():
    random = np.random.default_rng(1)
    x = random.normal(5, 2, 80)
    arms = [np.column_stack([2 * x + random.normal(0, 1, 80) + shift, x]) for shift in (0, 1)]
    right = cuped(*map(arm_of, arms))
    for more in ([np.zeros(80)], [arms[0][:, 1]], [3 * arms[0][:, 1], np.full(80, 4.0)]):
        found = cuped(*(arm_of(np.column_stack([arm, *more])) for arm in arms))
        assert found.standard_error == pytest.approx(right.standard_error)
        assert found.difference == pytest.approx(right.difference)


def test_covariates_that_explain_everything_leave_no_lift():
    x = np.arange(30.0)
    assert cuped(*(arm_of(np.column_stack([2 * x + shift, x])) for shift in (0, 1))) is None


def test_a_large_mean_costs_no_precision():
    assert welch(Arm.of(100, 1e9 + 2, 9), Arm.of(100, 1e9, 9)).difference == 2


def test_arms_with_other_covariates_are_refused():
    with pytest.raises(ValueError, match="0 and 1 covariates"):
        cuped(Arm.of(9, 1, 1), Arm(9, (1, 2), ((1, 0), (0, 1))))
    with pytest.raises(ValueError, match="same covariates"):
        merged([Arm.of(9, 1, 1), Arm(9, (1, 2), ((1, 0), (0, 1)))])
    with pytest.raises(ValueError, match="at least one arm"):
        merged([])


@pytest.mark.parametrize(
    ("count", "mean", "variance"), [(-1, 1, 1), (5, nan, 1), (5, 1, nan), (5, inf, 1), (5, 1, -0.1), (5, -inf, 1)]
)
def test_an_arm_is_made_of_possible_numbers(count, mean, variance):
    with pytest.raises(ValueError, match="arm"):
        Arm.of(count, mean, variance)


@pytest.mark.parametrize(("means", "covariances"), [((), ()), ((1,), ()), ((1, 2), ((1, 2), (1,)))])
def test_an_arms_matrix_has_the_size_of_its_means(means, covariances):
    with pytest.raises(ValueError, match="matrix"):
        Arm(5, means, covariances)


def test_empty_arms_add_nothing():
    full, empty = Arm.of(30, 5, 4), Arm.of(0, None, None)
    assert astuple(merged([full, empty])) == astuple(full)
    assert merged([empty, empty]).count == 0
    assert merged([Arm.of(1, 2, None), Arm.of(1, 4, None)]) == Arm.of(2, 3, 2)
    assert pooled_covariances([empty, Arm.of(1, 5, None)]).tolist() == [[0]]
    assert pooled_covariances([full, empty]).tolist() == [[4]]


@st.composite
def arms_of_any_size(draw):
    return Arm.of(draw(st.integers(0, 10**7)), draw(st.floats(0, 1e8)), draw(st.floats(0, 1e12)))


@given(arms_of_any_size(), arms_of_any_size())
@example(Arm.of(2, 1e8, 5e-324), Arm.of(9, 0, 1e-320))
def test_no_lift_holds_a_number_that_is_not_finite(texted, holdout):
    for method in (welch, cuped):
        lift = method(texted, holdout)
        if lift:
            numbers = [*astuple(lift)[:5], lift.variance_removed, *(astuple(lift.relative) if lift.relative else ())]
            assert all(map(isfinite, numbers))
            assert lift.low <= lift.difference <= lift.high
            assert 0 <= lift.p <= 1


# --- coverage


def test_the_intervals_cover_a_planted_effect():
    """Of 300 campaigns 272 to 295: a sound method has fewer in 1 of 1,000 cases. The benchmark runs 1,000 campaigns."""
    random, campaigns = np.random.default_rng(3), 300
    mean = 0.3 * np.exp(8 + (0.25 + 0.64) / 2)
    truths = (0.1 * mean, 0.1 * mean, 0.3 * 0.05)
    covered, done = np.zeros(3), 0
    while done < campaigns:
        lifts = lifts_of(*simulated_campaign(random, 0.1, HOLDOUTS[done % 3]))
        if lifts:
            done += 1
            covered += [lift.low <= truth <= lift.high for lift, truth in zip(lifts.values(), truths, strict=True)]
    low, high = stats.binom.ppf([0.001, 0.999], campaigns, 0.95)
    assert all(low <= count <= high for count in covered), covered


def test_quantiles_are_the_usual_ones():
    assert normal_quantile() == pytest.approx(1.959964, abs=1e-6)
    assert t_quantile(10) == pytest.approx(2.228139, abs=1e-6)
