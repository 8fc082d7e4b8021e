"""The rhythm of days: which days are odd, and which are not."""

import numpy as np
import pytest

from benchmarks import days
from engage.campaigns.rhythm import FULL, LEAST, LEVEL_DAYS, LIMIT, LOOKBACK, WIDE_LIMIT, judge

WEEK = [900, 850, 900, 1000, 1150, 1300, 900]


def steady(number, week=WEEK):
    """Days without any noise."""
    return [week[n % 7] for n in range(number)]


def noisy(number, volume=1000, seed=1):
    return days.traffic(np.random.default_rng(seed), volume, number)


def odd(found):
    return [n for n, day in enumerate(found.days) if day.odd]


def changed(events, **places):
    """``events`` with other counts at the places, each a name such as d130."""
    found = list(events)
    for place, count in places.items():
        found[int(place[1:])] = count
    return found


# --- what is usual


def test_what_is_usual_is_the_level_of_the_four_weeks_before_times_the_factor_of_the_weekday():
    found = judge(steady(FULL + 56), FULL)
    assert [day.usual for day in found.days] == pytest.approx(steady(56))
    assert odd(found) == []


def test_it_follows_a_steady_growth():
    growing = [round(count * 1.003**n) for n, count in enumerate(steady(FULL + 56))]
    assert odd(judge(growing, FULL)) == []
    assert judge(growing, FULL).days[-1].usual == pytest.approx(growing[-1], rel=0.02)


def test_a_new_level_is_odd_at_first_and_then_usual():
    events = [count * (2 if n >= FULL else 1) for n, count in enumerate(steady(FULL + 56))]
    assert odd(judge(events, FULL)) == list(range(LEVEL_DAYS // 2 + 1))


def test_a_day_is_compared_with_days_of_its_own_weekday():
    sundays_closed = steady(FULL + 56, [900, 850, 900, 1000, 1150, 1300, 0])
    assert odd(judge(sundays_closed, FULL)) == []
    assert odd(judge(changed(sundays_closed, d118=900, d119=0), FULL)) == [6, 7]


# --- how much history there must be


@pytest.mark.parametrize(
    ("history", "limit", "missing"),
    [(0, None, 56), (LEAST - 1, None, 1), (LEAST, WIDE_LIMIT, 0), (FULL - 1, WIDE_LIMIT, 0), (FULL, LIMIT, 0)],
)
def test_the_limit_depends_on_the_days_that_are_known(history, limit, missing):
    found = judge([*noisy(history + 56)[: history + 10], 0, *noisy(history + 56)[history + 11 :]], history)
    assert (found.known, found.limit, found.missing) == (history, limit, missing)
    assert odd(found) == ([10] if limit else [])
    assert len(found.days) == 56


def test_days_before_the_first_event_are_no_history():
    events = [0] * FULL + noisy(56 + 56)
    assert judge(events, FULL + 56).known == 56
    assert judge([0] * (FULL + 56), FULL).limit is None


def test_it_does_not_look_back_for_ever():
    events = [5 * count for count in noisy(300)] + noisy(LOOKBACK + 56)
    assert judge(events, 300 + LOOKBACK) == judge(events[300:], LOOKBACK)


# --- earlier odd days


def test_odd_days_in_the_history_neither_hide_others_nor_make_them_odd():
    usual = noisy(FULL + 56)
    before = changed(usual, d40=0, d55=10 * usual[55], d90=0, d104=0, d111=5 * usual[111])
    assert odd(judge(changed(before, d130=0, d140=2 * usual[140]), FULL)) == [18, 28]


def test_three_weeks_without_events_do_not_become_the_usual():
    usual = noisy(FULL + 56)
    outage = [0 if FULL + 10 <= n < FULL + 31 else count for n, count in enumerate(usual)]
    assert odd(judge(outage, FULL)) == list(range(10, 31))
    later = [0 if 80 <= n < 101 else count for n, count in enumerate(usual)]
    assert odd(judge(later, FULL)) == []


def test_an_explained_day_is_left_out_of_what_is_usual():
    usual = noisy(FULL + 56)
    flood = range(FULL - 20, FULL)
    flooded = [count * (3 if n in flood else 1) for n, count in enumerate(usual)]
    assert len(odd(judge(flooded, FULL))) > 5
    assert odd(judge(flooded, FULL, flood)) == []


def test_an_explained_day_of_the_window_is_judged_as_before():
    usual = noisy(FULL + 56)
    empty = changed(usual, d130=0)
    assert odd(judge(empty, FULL)) == odd(judge(empty, FULL, [130])) == [18]


def test_if_too_many_days_are_explained_nothing_is_odd():
    usual = noisy(FULL + 56)
    assert odd(judge(changed(usual, d130=0), FULL, range(FULL))) == []
    assert odd(judge(changed(usual, d130=0), FULL, range(5, FULL))) == []


# --- how far off a day must be


def test_the_band_is_the_counts_that_are_not_odd():
    usual = noisy(FULL + 56)
    day = judge(usual, FULL).days[20]
    for count, is_odd in ((int(day.low) - 1, True), (int(day.low) + 1, False), (int(day.high), False),
                          (int(day.high) + 1, True)):  # fmt: skip
        assert judge(changed(usual, d132=count), FULL).days[20].odd is is_odd, count


def test_days_without_noise_are_not_odd_for_a_small_change():
    events = changed(steady(FULL + 56), d130=round(1.2 * WEEK[130 % 7]), d140=round(0.8 * WEEK[0]))
    assert odd(judge(events, FULL)) == []
    assert odd(judge(changed(events, d130=round(1.3 * WEEK[130 % 7])), FULL)) == [18]


def test_few_events_a_day_may_vary_by_chance():
    rng = np.random.default_rng(1)
    found = [judge([int(n) for n in rng.poisson(3, FULL + 56)], FULL) for _ in range(100)]
    assert sum(bool(odd(one)) for one in found) <= 2
    assert odd(judge(changed([int(n) for n in rng.poisson(3, FULL + 56)], d130=40), FULL)) == [18]


def test_an_empty_day_is_found_where_twenty_events_are_usual():
    rng = np.random.default_rng(1)
    for _ in range(20):
        assert odd(judge(changed([int(n) for n in rng.poisson(20, FULL + 56)], d130=0), FULL)) == [18]


# --- by simulation


@pytest.mark.parametrize("volume", days.VOLUMES)
def test_false_alarms_are_rare_and_faults_are_found(volume):
    found = days.measure(volume, FULL, 100)
    assert found.alarms <= 0.02
    assert found.empty == 1
    assert found.doubled >= 0.99


@pytest.mark.deep
@pytest.mark.parametrize("volume", days.VOLUMES)
def test_false_alarms_are_rare_and_faults_are_found_in_five_hundred_windows(volume):
    found = days.measure(volume, FULL, 500)
    assert (found.alarms <= 0.02, found.empty >= 0.99, found.doubled >= 0.99) == (True, True, True), found


@pytest.mark.deep
@pytest.mark.parametrize("volume", days.VOLUMES)
def test_half_the_history_gives_no_more_false_alarms(volume):
    found = days.measure(volume, LEAST, 500)
    assert (found.alarms <= 0.02, found.empty >= 0.99, found.doubled >= 0.9) == (True, True, True), found
