"""What is said of a lift, in words and numbers."""

from decimal import Decimal

import pytest

from engage.experiments.lift import Lift
from engage.experiments.pooling import PooledLift
from engage.reports import lift_words as words
from engage.statuses import Metric
from tests.measured import CLEAR, holdout, texted
from tests.unit.test_segment_lift import lifts


def test_a_clear_lift_of_buyers():
    assert words.sentence(lifts()["BOOST"], Metric.BOUGHT_AGAIN, "USD") == (
        "Texted BOOST customers bought again more often by 5.0 points (32.0%, the holdout 27.0%), 95% between 2.0 and "
        "7.8."
    )


def test_a_clear_lift_of_spend_has_its_sum():
    one = lifts(primary=Metric.SPEND)["BOOST"]
    expected = "spent $7.00 more, 95% between $3.60 and $10.40. Over all 9,000 customers that is about $63,000."
    assert words.sentence(one, Metric.SPEND, "USD") == f"Texted BOOST customers {expected}"
    assert words.aside(one.whole, Metric.SPEND, "USD") == f"They {expected.partition(' Over')[0]}"


def test_less_is_said_without_a_sign():
    one = lifts((texted("BOOST", 9000, 2700, spend=4000), holdout("BOOST", 1000, 300, spend=4700)))["BOOST"]
    assert words.aside(one.whole, Metric.SPEND, "EUR") == ("They spent €7.00 less, 95% between €3.60 and €10.40.")


def test_sessions_that_are_more_are_no_factor():
    one = lifts((texted("BOOST", 9000, 2700, spend=4700, sessions=43), holdout("BOOST", 1000, 300, spend=4700)))
    assert words.aside(one["BOOST"].whole, Metric.SESSIONS, "USD") == (
        "They opened the app 3.00 more times, 95% between 2.32 and 3.68."
    )


def test_no_effect_is_shown_with_the_signs_of_its_interval():
    one = lifts()["REWARD"]
    assert words.sentence(one, Metric.BOUGHT_AGAIN, "USD") == (
        "REWARD: no effect is shown. Texted REWARD customers bought again more often by 0.7 points (50.7%, the holdout "
        "50.0%), 95% between −0.9 and +2.3."
    )
    assert words.aside(one.whole, Metric.SPEND, "USD") == (
        "In spend, no effect is shown: they spent $1.00 more, 95% between −$0.70 and +$2.70."
    )
    assert words.aside(one.whole, Metric.SESSIONS, "USD") == (
        "In sessions, no effect is shown: they opened the app as often, 95% between −0.34 and +0.34."
    )


def test_a_correction_that_decides_is_explained():
    arms = (
        texted("A", 9000, 2880, spend=5000), holdout("A", 1000, 288, spend=5000),
        texted("B", 9000, 2700, spend=5000), holdout("B", 1000, 300, spend=5000),
    )  # fmt: skip
    said = words.sentence(lifts(arms)["A"], Metric.BOUGHT_AGAIN, "USD")
    assert said.startswith("A: no effect is shown.")
    assert "The interval leaves out 0. But with several segments, chance alone does that too often (p 0.0" in said


def test_too_few_says_what_would_do():
    few = (texted("BOOST", 9000, 2880, spend=5400), holdout("BOOST", 100, 27, spend=4700))
    assert words.sentence(lifts(few, percent=Decimal(1), primary=Metric.SPEND)["BOOST"], Metric.SPEND, "USD") == (
        "BOOST: too few to tell. A group has 27 buyers, and an interval of spend needs 100. A holdout of 4.0% would do."
    )
    tiny = (texted("BOOST", 90, 20, spend=5400), holdout("BOOST", 10, 1, spend=4700))
    assert (
        "A group has 1 buyer, and an interval of spend needs 100. No holdout up to a half would do."
        in words.sentence(lifts(tiny)["BOOST"], Metric.SPEND, "USD")
    )
    none = lifts(CLEAR[:1], percent=Decimal(0))["BOOST"]
    assert (
        words.sentence(none, Metric.BOUGHT_AGAIN, "USD")
        == "BOOST: too few to tell. One of the groups has no customers."
    )


def test_an_unsound_split_gives_no_number_of_the_outcome():
    lost = (*CLEAR[:1], holdout("BOOST", 800, 270, spend=4700))
    one = lifts(lost)["BOOST"]
    assert words.sentence(one, Metric.BOUGHT_AGAIN, "USD") == (
        "BOOST: nothing can be said. 800 customers of 9,800 are in the holdout, and chance does not explain that: the "
        "plan was 10.0% (p <0.001). One of the groups has lost or gained customers."
    )
    assert [words.aside(one.whole, metric, "USD") for metric in Metric] == [None] * 3


def test_an_unsound_split_of_several_texts_names_the_size_of_each_group():
    lost = (*CLEAR[2:3], texted("REWARD", 16000, 8000, spend=1, variant="b"), holdout("REWARD", 3800, 1900, spend=1))
    assert words.sentence(lifts(lost)["REWARD"], Metric.BOUGHT_AGAIN, "USD") == (
        "REWARD: nothing can be said. The groups do not fit the planned shares (p <0.001): holdout 3,800, text a "
        "18,000, text b 16,000 customers. One of the groups has lost or gained customers."
    )


def test_the_cost_in_words():
    found = lifts()
    assert words.cost(found["BOOST"], Decimal("71.10"), "USD") == (
        "The texts to BOOST cost $71.10. About 450 customers bought again because of them, so each of these cost $0.16."
    )
    assert words.cost(found["REWARD"], Decimal(90), "USD") == "The texts to REWARD cost $90.00."
    assert words.cost(found["BOOST"], None, "USD") is None
    assert words.cost(found["REWARD"], Decimal("0.004"), "USD") == "The texts to REWARD cost less than $0.01."


def test_no_customer_is_counted_as_won_where_the_correction_shows_no_effect():
    arms = (
        texted("A", 9000, 2880, spend=5000), holdout("A", 1000, 288, spend=5000),
        texted("B", 9000, 2700, spend=5000), holdout("B", 1000, 300, spend=5000),
    )  # fmt: skip
    alone, among_two = lifts(arms[:2])["A"], lifts(arms)["A"]
    assert "bought again because of them" in words.cost(alone, Decimal(90), "USD")
    assert words.cost(among_two, Decimal(90), "USD") == "The texts to A cost $90.00."


@pytest.mark.parametrize(
    ("cost", "text"),
    [(None, "–"), (Decimal("0.001"), "less than $0.01"), (Decimal("0.005"), "$0.01"), (Decimal(0), "$0.00")],
)
def test_a_cost_is_never_shown_as_0_if_there_is_one(cost, text):
    assert words.paid(cost, "USD") == text


@pytest.mark.parametrize(
    ("metric", "value", "reach", "text"),
    [
        (Metric.BOUGHT_AGAIN, 0.0204, 0.01, "+2.0 points"),
        (Metric.BOUGHT_AGAIN, -0.0204, 0.004, "−2.04 points"),
        (Metric.BOUGHT_AGAIN, 0.0002, 0.01, "0.0 points"),
        (Metric.SPEND, -123.4, 1000, "−$1.23"),
        (Metric.SPEND, 0.4, 1000, "$0.00"),
        (Metric.SESSIONS, 0.314, 1, "+0.31 sessions"),
        (Metric.SESSIONS, 0.314, 0.01, "+0.314 sessions"),
    ],
)
def test_a_difference_has_as_many_decimals_as_its_interval_allows(metric, value, reach, text):
    assert words.signed(metric, value, "USD", reach) == text


def pooled(difference, error, p=None):
    lift = Lift(difference, difference - 2 * error, difference + 2 * error, 0.01, error)
    return PooledLift(lift, 3, p)


def test_several_campaigns_in_words():
    assert words.over_time(pooled(0.02, 0.005, 0.4), Metric.BOUGHT_AGAIN, "USD") == (
        "Over 3 measured campaigns, texted customers bought again more often by 2.0 points, 95% between 1.0 and 3.0."
    )
    assert words.over_time(pooled(100, 100, 0.01), Metric.SPEND, "USD") == (
        "Over 3 measured campaigns, texted customers spent $1.00 more, 95% between −$1.00 and +$3.00. No effect is "
        "shown. The campaigns differ more than chance explains (p 0.010), so this says little about the next one."
    )


@pytest.mark.parametrize(
    ("p", "text"), [(None, "–"), (0.0004, "<0.001"), (0.0234, "0.023"), (0.4, "0.40"), (1.0, "1.00")]
)
def test_a_probability_is_never_shown_as_0(p, text):
    assert words.p(p) == text
