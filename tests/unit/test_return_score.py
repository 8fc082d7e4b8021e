"""The statistics of the return score: beside scipy and statsmodels, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from engage.return_score.evaluation import Rows, auc, calibration, evaluate, trial, verdict
from engage.return_score.logit import Fit, NoFit, fit
from engage.return_score.verdict import Evaluation


def drawn(count, *, seed=1, effect=(1.0, -0.5), constant=-0.5, start=0):
    """Customers of one window: features, and a return whose odds depend on them by ``effect``."""
    random = np.random.default_rng(seed)
    features = random.normal(2, 3, (count, len(effect)))
    chance = 1 / (1 + np.exp(-(constant + (features - 2) @ np.array(effect))))
    return Rows(features, random.integers(0, 9999, count), random.random(count) < chance, np.arange(count) + start)


def learnt(rows: Rows, features=None) -> Fit:
    found = fit(rows.features if features is None else features, rows.returned, rows.customers)
    assert isinstance(found, Fit), found
    return found


# --- the AUC


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_the_auc_is_the_statistic_of_mann_and_whitney(pairs):
    scores, returned = np.array([score for score, _ in pairs]), np.array([back for _, back in pairs])
    assume(0 < returned.sum() < len(pairs))
    by_scipy = stats.mannwhitneyu(scores[returned], scores[~returned]).statistic
    assert auc(scores, returned) == pytest.approx(by_scipy / (returned.sum() * (~returned).sum()))


def test_the_auc_by_hand():
    # of four pairs, the one who returns is ahead in two, behind in one, and level in one
    assert auc(np.array([3, 1, 2, 1]), np.array([True, True, False, False])) == 2.5 / 4


@pytest.mark.parametrize("all_return", [True, False])
def test_there_is_no_auc_without_a_difference_to_find(all_return):
    assert auc(np.array([1, 2, 3]), np.full(3, all_return)) is None


# --- the fit


def test_the_fit_equals_statsmodels_in_the_features_own_scale():
    rows = drawn(4000)
    groups = np.arange(4000) // 3  # a customer in three windows
    found = fit(rows.features, rows.returned, groups)
    assert isinstance(found, Fit)
    model = sm.Logit(rows.returned.astype(float), sm.add_constant(rows.features))
    wanted = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": groups})
    assert [found.constant, *found.coefficients] == pytest.approx(wanted.params, rel=1e-6)
    assert [found.constant_error, *found.errors] == pytest.approx(wanted.bse, rel=1e-4)
    assert found.chances(rows.features) == pytest.approx(wanted.predict(), rel=1e-6)
    assert found.means == pytest.approx(rows.features.mean(axis=0))


def test_the_fit_finds_what_was_planted():
    found = learnt(drawn(100_000))
    assert found.coefficients == pytest.approx([1, -0.5], abs=0.03)


def test_what_says_nothing_new_is_left_out():
    rows = drawn(3000)
    one, other = rows.features.T
    more = np.column_stack([np.full(3000, 7.0), one, other, 2 * one - other + 5])
    found, plain = learnt(rows, more), learnt(rows)
    assert found.coefficients[[0, 3]].tolist() == found.errors[[0, 3]].tolist() == [0, 0]
    assert found.coefficients[1:3] == pytest.approx(plain.coefficients)
    assert found.constant == pytest.approx(plain.constant)


def test_a_feature_that_tells_the_outcome_of_some_customers_is_left_out():
    rows = drawn(3000)
    never = ~rows.returned & (np.arange(3000) % 10 == 0)  # none of these returned, so the coefficient has no limit
    found = learnt(rows, np.column_stack([rows.features, never]))
    assert found.coefficients[2] == 0
    assert found.coefficients[:2] == pytest.approx(learnt(rows).coefficients)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda f, r: (np.where(f > f.max() - 1e-9, np.inf, f), r), "missing or infinite"),
        (lambda f, r: (np.where(f > f.max() - 1e-9, np.nan, f), r), "missing or infinite"),
        (lambda f, r: (f, np.ones_like(r)), "Every customer bought"),
        (lambda f, r: (f, np.zeros_like(r)), "No customer bought"),
        (lambda f, r: (f[:0], r[:0]), "No customer bought"),
        (lambda f, r: (np.ones_like(f), r), "No number differs"),
        (lambda f, r: (np.column_stack([r, f[:, 0]]).astype(float)[:, :1], r), "can be learnt"),
        (lambda f, r: (f[:3], np.array([True, False, True])), "learnt|settle"),
    ],
)
def test_what_cannot_be_learnt_is_said_in_a_sentence(spoil, why):
    rows = drawn(500)
    features, returned = spoil(rows.features, rows.returned)
    found = fit(features, returned, rows.customers[: len(returned)])
    assert isinstance(found, NoFit)
    assert any(part in found.why for part in why.split("|"))


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 4))
def test_no_small_or_odd_data_raise_or_warn(seed, count, width):
    random = np.random.default_rng(seed)
    features = np.round(random.normal(0, 1, (count, width)) * random.choice([0, 1e-9, 1, 1e9], width))
    found = fit(features, random.random(count) < random.random(), np.arange(count) % 7)
    assert found.why if isinstance(found, NoFit) else np.isfinite([found.constant, *found.coefficients]).all()


# --- the test on later windows


def test_the_bins_go_from_low_to_high_and_hold_every_customer():
    chances = np.linspace(0, 1, 25)[::-1]
    bins = calibration(chances, chances > 0.55)
    assert [one.customers for one in bins] == [3] * 5 + [2] * 5
    assert [one.actual for one in bins] == [0, 0, 0, 0, 1 / 3, 1, 1, 1, 1, 1]
    assert [one.expected for one in bins] == sorted(one.expected for one in bins)
    assert sum(one.customers * one.expected for one in bins) == pytest.approx(chances.sum())


def test_a_score_of_the_right_size_expects_what_comes():
    found = evaluate([drawn(20_000, seed=seed) for seed in range(4)])
    assert all(abs(one.expected - one.actual) < 0.03 for one in found.calibration)


def test_a_window_is_tested_by_what_the_windows_before_it_teach():
    windows = [drawn(1000, seed=seed) for seed in range(3)]
    first = trial(windows, 2)
    last = windows[2]
    windows[2] = Rows(last.features, last.spend, ~last.returned, last.customers)
    turned = trial(windows, 2)
    assert first
    assert turned
    assert turned[1].tolist() == first[1].tolist()  # the chances do not know the outcome
    assert turned[0][0] == pytest.approx(1 - first[0][0])


def test_the_auc_is_the_mean_of_the_last_two_windows():
    windows = [drawn(1000, seed=seed) for seed in range(4)]
    both = [trial(windows, place) for place in (2, 3)]
    found = evaluate(windows)
    assert found.auc == pytest.approx(np.mean([one[0][0] for one in both if one]))
    assert found.auc_static == pytest.approx(np.mean([one[0][1] for one in both if one]))


def test_one_window_alone_cannot_be_tested():
    assert evaluate([drawn(1000)]) == Evaluation(None, None, ())


def test_two_windows_are_tested_on_the_second():
    windows = [drawn(1000, seed=seed) for seed in range(2)]
    one = trial(windows, 1)
    assert one
    assert evaluate(windows).auc == one[0][0]


def test_windows_of_which_one_cannot_be_tested_have_no_auc():
    windows = [drawn(1000, seed=seed) for seed in range(4)]
    last = windows[3]
    windows[3] = Rows(last.features, last.spend, np.ones_like(last.returned), last.customers)
    assert evaluate(windows).auc is None


# --- the gate


def judged(windows):
    return verdict(windows, evaluate(windows))


def test_a_score_that_ranks_better_than_spend_is_used():
    found = judged([drawn(1000, seed=seed) for seed in range(3)])
    assert found.in_use
    assert "better than spend alone: 0.9" in found.why


@pytest.mark.parametrize("seed", range(5))
def test_a_score_without_anything_to_predict_is_not_used(seed):
    found = judged([drawn(4000, seed=10 * seed + n, effect=(0, 0)) for n in range(4)])
    assert not found.in_use
    assert found.why.startswith("The score is not better than spend alone: 0.")


def test_a_gain_below_the_limit_is_too_little():
    windows = [drawn(1000, seed=seed) for seed in range(3)]
    assert not verdict(windows, Evaluation(0.519, 0.50, ())).in_use
    assert verdict(windows, Evaluation(0.521, 0.50, ())).in_use


def test_too_little_data_are_named():
    windows = [drawn(1000, seed=seed) for seed in range(3)]
    assert judged(windows[:2]).why == "2 of 3 windows to learn from."
    few = judged([drawn(300, seed=seed) for seed in range(3)])
    assert not few.in_use
    assert few.why.endswith("of 500 customers who bought in the next window.")
    often = judged([drawn(400, seed=seed, constant=2.5, effect=(0.1, 0)) for seed in range(3)])
    assert not often.in_use
    assert often.why.endswith("of 500 customers who did not buy in the next window.")


def test_windows_that_teach_nothing_are_named():
    assert not verdict([drawn(1000, seed=n) for n in range(3)], Evaluation(None, None, ())).in_use
