"""How the shares of texts move between campaigns: Thompson sampling with a floor."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engage.experiments import bandit
from engage.experiments.arm import Arm
from engage.experiments.bandit import Estimate, best_probabilities, over_campaigns, weights
from engage.experiments.share_lift import Buyers

SHARES = [Estimate(0.31, 0.005), Estimate(0.32, 0.004), Estimate(0.30, 0.02)]


@pytest.mark.parametrize("texts", [2, 3, 4, 5])
def test_equal_estimates_give_equal_weights(texts):
    found = weights({name: Estimate(0.3, 0.01) for name in "abcde"[:texts]})
    assert list(found.values()) == pytest.approx([1 / texts] * texts)


@pytest.mark.parametrize("texts", [2, 3, 4, 5])
def test_a_clear_winner_gets_all_but_the_floors(texts):
    found = weights({"a": Estimate(0.5, 0.001)} | {name: Estimate(0.3, 0.001) for name in "bcde"[: texts - 1]})
    assert found["a"] == pytest.approx(1 - (texts - 1) * 0.05)
    assert [found[name] for name in "bcde"[: texts - 1]] == pytest.approx([0.05] * (texts - 1))


def test_no_weight_is_below_the_floor_and_all_sum_to_one():
    rng = np.random.default_rng(1)
    for _ in range(200):
        names = "abcde"[: rng.integers(2, 6)]
        found = weights(
            {name: None if rng.random() < 0.2 else Estimate(rng.normal(), rng.lognormal(-1)) for name in names}
        )
        assert sum(found.values()) == pytest.approx(1)
        assert min(found.values()) >= 0.05


def test_a_higher_mean_and_a_wider_error_raise_the_weight_of_the_lower_text():
    means = [best_probabilities([Estimate(mean, 0.01), Estimate(0.3, 0.01)])[0] for mean in np.linspace(0.25, 0.35, 21)]
    assert all(one < other for one, other in pairwise(means))
    errors = [best_probabilities([Estimate(0.3, error), Estimate(0.31, 0.005)])[0] for error in (0.002, 0.01, 0.05)]
    assert all(one < other for one, other in pairwise(errors))


def test_it_equals_a_monte_carlo_run():
    rng = np.random.default_rng(18)
    draws = rng.normal([one.mean for one in SHARES], [one.standard_error for one in SHARES], (400_000, 3))
    assert best_probabilities(SHARES) == pytest.approx(np.bincount(draws.argmax(axis=1)) / len(draws), abs=0.01)


def test_two_texts_have_the_closed_form():
    from scipy.stats import norm

    one, other = Estimate(12.3, 0.4), Estimate(11.9, 0.7)
    expected = norm.cdf((one.mean - other.mean) / np.hypot(one.standard_error, other.standard_error))
    assert best_probabilities([one, other]) == pytest.approx([expected, 1 - expected], abs=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_it_is_the_same_every_time_and_in_every_unit(scale):
    scaled = [Estimate(one.mean * scale, one.standard_error * scale) for one in SHARES]
    assert best_probabilities(scaled) == best_probabilities(scaled)
    assert best_probabilities(scaled) == pytest.approx(best_probabilities(SHARES))


def test_very_different_errors_are_no_trouble():
    assert best_probabilities([Estimate(0, 1), Estimate(0, 1e-9)]) == pytest.approx([0.5, 0.5], abs=0.001)
    assert best_probabilities([Estimate(0, 1e-9), Estimate(1, 1e-9)]) == pytest.approx([0, 1])


def test_a_text_without_history_gets_a_fair_share():
    found = weights({"a": Estimate(0.5, 0.001), "b": Estimate(0.3, 0.001), "c": None})
    assert found == pytest.approx({"a": 2 / 3 - 0.05, "b": 0.05, "c": 1 / 3})
    assert weights({"a": Estimate(0.5, 0.001), "b": None}) == pytest.approx({"a": 0.5, "b": 0.5})
    assert weights({"a": None, "b": None}) == {"a": 0.5, "b": 0.5}


def test_a_good_season_favours_no_text():
    """The text with more customers in the good season looks better only if its customers are thrown together."""
    poor = {"a": bandit.of_share(Buyers(9000, 900)), "b": bandit.of_share(Buyers(1000, 100))}
    good = {"a": bandit.of_share(Buyers(1000, 500)), "b": bandit.of_share(Buyers(9000, 4500))}
    found = over_campaigns([poor, good])
    assert found["a"].mean == pytest.approx(found["b"].mean, abs=0.001)
    assert weights(found)["a"] == pytest.approx(0.5, abs=0.03)


def test_more_campaigns_make_an_estimate_sharper():
    one = {"a": SHARES[0], "b": SHARES[1]}
    found = over_campaigns([one] * 4)
    assert found["a"].mean == pytest.approx(one["a"].mean)
    assert found["a"].standard_error == pytest.approx(one["a"].standard_error / 2)


def test_campaigns_with_different_texts_are_refused():
    with pytest.raises(ValueError, match="the same texts"):
        over_campaigns([{"a": SHARES[0]}, {"b": SHARES[1]}])
    with pytest.raises(ValueError, match="at least one"):
        over_campaigns([])


def test_a_share_of_none_or_all_still_has_an_error():
    assert bandit.of_share(Buyers(0, 0)) is None
    none, some = bandit.of_share(Buyers(100, 0)), bandit.of_share(Buyers(10_000, 3000))
    assert none is not None
    assert none.standard_error > 0.005
    assert some is not None
    assert (some.mean, some.standard_error) == pytest.approx((0.3, 0.00458), abs=1e-4)


def test_a_mean_has_the_error_of_a_mean():
    found = bandit.of_mean(Arm(400, (50.0, 3.0), ((100.0, 1.0), (1.0, 2.0))))
    assert found == Estimate(50.0, 0.5)
    assert bandit.of_mean(Arm.of(1, 5.0, None)) is None
    assert bandit.of_mean(Arm.of(9, 5.0, 0.0)) is None


@pytest.mark.parametrize(("mean", "error"), [(0, 0), (0, -1), (float("nan"), 1), (0, float("inf"))])
def test_what_is_no_estimate_is_refused(mean, error):
    with pytest.raises(ValueError, match="is no estimate"):
        Estimate(mean, error)


def test_a_floor_must_leave_something_to_share():
    with pytest.raises(ValueError, match="cannot each have"):
        weights({"a": None, "b": None}, floor=0.6)
