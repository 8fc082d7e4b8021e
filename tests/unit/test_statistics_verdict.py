"""What an experiment could find, and what may be said about what it found."""

from __future__ import annotations

from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import normal_sample_size_one_tail

from engage.experiments.lift import Lift
from engage.experiments.power import (
    detectable_mean,
    detectable_share,
    holdout_for_buyers,
    holdout_for_mean,
    holdout_for_share,
)
from engage.experiments.share_lift import Buyers, newcombe
from engage.experiments.verdict import Finding, spend_verdict, verdict

BOTH = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
"""2.80: the quantiles of 95% and 80%."""
CLEAR = Lift(5, 1, 9, 0.01, 2)
UNCLEAR = Lift(1, -3, 5, 0.6, 2)
MANY = Buyers(2_000, 100)

# --- the smallest effect


def test_the_smallest_difference_of_means_by_hand():
    assert detectable_mean(900, 100, 400) == pytest.approx(BOTH * sqrt(400 / 900 + 400 / 100))


@given(st.integers(10, 10**6), st.integers(10, 10**6), st.floats(1, 1e8))
def test_the_smallest_difference_of_means_is_found_at_its_power(texted, holdout, variance):
    """As statsmodels sees it: that many customers are needed for that difference."""
    difference = detectable_mean(texted, holdout, variance, power=0.9)
    per_customer = variance * (1 + holdout / texted)
    needed = normal_sample_size_one_tail(difference, 0.9, 0.025, std_null=sqrt(per_customer))
    assert needed == pytest.approx(holdout, rel=1e-6)


@given(st.integers(10, 10**6), st.integers(10, 10**6), st.floats(0, 1))
def test_the_smallest_rise_of_a_share_solves_its_equation(texted, holdout, share):
    rise = detectable_share(texted, holdout, share)
    if rise is not None:
        after = share + rise
        assert 0 < rise <= 1 - share
        error = share * (1 - share) / holdout + after * (1 - after) / texted
        assert rise == pytest.approx(BOTH * sqrt(max(error, 0)), rel=1e-6, abs=1e-9)


def test_the_smallest_rise_of_a_share_is_found_in_four_of_five_campaigns():
    random = np.random.default_rng(5)
    rise = detectable_share(18_000, 2_000, 0.3)
    texted, holdout = random.binomial(18_000, 0.3 + rise, 1_000), random.binomial(2_000, 0.3, 1_000)
    pairs = zip(texted.tolist(), holdout.tolist(), strict=True)
    found = sum(newcombe(Buyers(18_000, a), Buyers(2_000, b)).p < 0.05 for a, b in pairs)
    low, high = stats.binom.ppf([0.001, 0.999], 1_000, 0.8)
    assert low <= found <= high


def test_arms_that_find_nothing_say_so():
    assert detectable_mean(0, 100, 4) is None
    assert detectable_mean(100, 0, 4) is None
    assert detectable_mean(100, 100, 0) is None
    assert detectable_share(0, 100, 0.3) is None
    assert detectable_share(100, 2, 0.9) is None
    assert detectable_share(100, 100, 1) is None
    assert detectable_share(100, 100, 0) == pytest.approx(BOTH**2 / (100 + BOTH**2))


# --- the holdout for an effect


@given(st.integers(100, 10**7), st.floats(0.01, 0.99), st.floats(0.001, 0.5))
def test_the_holdout_for_a_share_finds_it(customers, share, rise):
    holdout = holdout_for_share(customers, share, rise)
    after = share + rise

    def reach(part: float) -> float:
        return BOTH * sqrt((share * (1 - share) / part + max(after * (1 - after), 0) / (1 - part)) / customers)

    if after > 1:
        assert holdout is None
    elif holdout is None:
        assert all(reach(part) > rise * (1 - 1e-9) for part in np.linspace(0.001, 0.5, 50))
    else:
        assert 0 < holdout <= 0.5
        assert reach(holdout) == pytest.approx(rise, rel=1e-6)


@given(st.integers(100, 10**7), st.floats(1, 1e8), st.floats(0.1, 1e4))
def test_the_holdout_for_a_mean_finds_it(customers, variance, effect):
    holdout = holdout_for_mean(customers, variance, effect)
    if holdout is None:
        assert BOTH * sqrt(4 * variance / customers) > effect * (1 - 1e-9)
    else:
        assert BOTH * sqrt(variance / customers * (1 / holdout + 1 / (1 - holdout))) == pytest.approx(effect, rel=1e-6)


def test_a_fall_needs_a_holdout_too():
    assert holdout_for_share(20_000, 0.3, -0.03) == pytest.approx(0.1, abs=0.02)
    assert holdout_for_mean(20_000, 900, -2) == holdout_for_mean(20_000, 900, 2)


def test_more_power_needs_a_larger_holdout():
    assert holdout_for_mean(20_000, 900, 2, power=0.9) > holdout_for_mean(20_000, 900, 2) > 0


@pytest.mark.parametrize(
    "none_would",
    [holdout_for_share(1_000, 0.3, 0.01), holdout_for_share(1_000, 0.3, 0.8), holdout_for_share(1_000, 0.3, 0),
     holdout_for_share(1_000, 0, 0.1), holdout_for_share(1_000, 1, -0.1), holdout_for_share(0, 0.3, 0.1),
     holdout_for_mean(1_000, 900, 0), holdout_for_mean(1_000, 900, 1), holdout_for_mean(0, 900, 5),
     holdout_for_mean(1_000, 0, 5), holdout_for_buyers(0, 0.5), holdout_for_buyers(1_000, 0),
     holdout_for_buyers(1_000, 0.2)],
)  # fmt: skip
def test_none_would_do(none_would):
    assert none_would is None


def test_the_holdout_for_100_buyers_gets_them_in_95_of_100_campaigns():
    holdout = holdout_for_buyers(10_000, 0.25)
    assert stats.poisson.sf(99, 10_000 * 0.25 * holdout) == pytest.approx(0.95, abs=1e-6)
    assert holdout_for_buyers(1_000, 0.3) == pytest.approx(holdout * 2_500 / 300)


@pytest.mark.parametrize(
    ("question", "values"),
    [(detectable_mean, (10, 10, nan)), (detectable_mean, (10, 10, inf)), (detectable_share, (10, 10, nan)),
     (detectable_share, (10, 10, 1.1)), (holdout_for_mean, (10, 1, nan)), (holdout_for_mean, (10, nan, 1)),
     (holdout_for_share, (10, 0.5, nan)), (holdout_for_share, (10, -0.1, 0.2)), (holdout_for_buyers, (10, 1.1))],
)  # fmt: skip
def test_impossible_numbers_are_refused(question, values):
    with pytest.raises(ValueError, match="must be"):
        question(*values)


@pytest.mark.parametrize("options", [{"power": 1.0}, {"power": 0.3}, {"power": nan}, {"level": 1.0}, {"level": 0}])
def test_an_impossible_power_or_level_is_refused(options):
    with pytest.raises(ValueError, match="power"):
        detectable_mean(10, 10, 1, **options)


# --- the verdict


def test_a_clear_lift_is_more_or_less():
    assert verdict(CLEAR, sample_ratio_p=0.4).finding is Finding.MORE
    less = verdict(Lift(-5, -9, -1, 0.01, 2), sample_ratio_p=None)
    assert (less.finding, less.lift.difference, less.p) == (Finding.LESS, -5, 0.01)


def test_an_unclear_lift_keeps_its_interval():
    found = verdict(UNCLEAR, sample_ratio_p=0.4)
    assert (found.finding, found.lift) == (Finding.NOT_SHOWN, UNCLEAR)


def test_the_corrected_p_decides():
    found = verdict(CLEAR, sample_ratio_p=0.4, corrected_p=0.06)
    assert (found.finding, found.lift, found.p) == (Finding.NOT_SHOWN, CLEAR, 0.06)


@pytest.mark.parametrize("few", [Buyers(10, 0), MANY])
def test_arms_of_the_wrong_size_have_no_verdict(few):
    for found in (
        verdict(CLEAR, sample_ratio_p=0.0009),
        spend_verdict(CLEAR, MANY, few, sample_ratio_p=0.0009),
        spend_verdict(None, MANY, few, sample_ratio_p=0.0009),
    ):
        assert (found.finding, found.lift, found.p, found.holdout_needed) == (Finding.UNSOUND, None, None, None)
    assert verdict(CLEAR, sample_ratio_p=0.001).finding is Finding.MORE


def test_spend_needs_100_buyers_in_each_arm():
    assert spend_verdict(CLEAR, MANY, MANY, sample_ratio_p=0.4) == verdict(CLEAR, sample_ratio_p=0.4)
    for arms in ((MANY, Buyers(2_000, 99)), (Buyers(2_000, 99), MANY)):
        found = spend_verdict(CLEAR, *arms, sample_ratio_p=0.4)
        assert (found.finding, found.lift, found.p) == (Finding.TOO_FEW, None, None)


def test_too_few_says_which_holdout_would_do():
    found = spend_verdict(CLEAR, Buyers(9_500, 2_850), Buyers(500, 60), sample_ratio_p=0.4)
    assert found.holdout_needed == holdout_for_buyers(10_000, 0.291)
    assert 0.04 < found.holdout_needed < 0.05
    none_would = spend_verdict(CLEAR, Buyers(950, 150), Buyers(50, 8), sample_ratio_p=0.4)
    assert (none_would.finding, none_would.holdout_needed) == (Finding.TOO_FEW, None)


def test_without_a_lift_there_are_too_few():
    assert verdict(None, sample_ratio_p=None).finding is Finding.TOO_FEW
    assert spend_verdict(None, MANY, Buyers(0, 0), sample_ratio_p=None).finding is Finding.TOO_FEW
    assert spend_verdict(None, MANY, MANY, sample_ratio_p=None).finding is Finding.TOO_FEW
    assert spend_verdict(None, Buyers(0, 0), Buyers(0, 0), sample_ratio_p=None).holdout_needed is None
