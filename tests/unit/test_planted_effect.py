import pytest

from engage.campaigns import planted_effect
from engage.customers.synthetic import BEHAVIOURS, BehaviourName
from engage.errors import InputError
from engage.steps.seed import seed
from engage.window import ANCHOR, Window


@pytest.mark.parametrize(
    ("text", "segment", "factor"),
    [
        ("BOOST=+10%", "BOOST", 1.1),
        ("BOOST=10%", "BOOST", 1.1),
        ("BOOST=-10%", "BOOST", 0.9),
        ("BOOST=-100%", "BOOST", 0),
        ("BOOST=0%", "BOOST", 1),
        ("WIN_BACK2=+1000%", "WIN_BACK2", 11),
        ("A=+2.25%", "A", 1.0225),
    ],
)
def test_an_effect_is_a_factor_of_a_segments_purchase_rate(text, segment, factor):
    assert planted_effect.parse([text]) == {segment: pytest.approx(factor)}


def test_each_segment_may_have_an_effect():
    assert planted_effect.parse(["BOOST=+10%", "REWARD=-5%"]) == {"BOOST": 1.1, "REWARD": 0.95}
    assert planted_effect.parse([]) == {}


@pytest.mark.parametrize(
    "text",
    ["", "BOOST", "BOOST=", "BOOST=10", "=10%", "boost=10%", "BOOST=ten%", "BOOST=nan%", "BOOST=1e3%", "BOOST=٣%",
     "BOOST=+-1%", "BOOST = 10%", "BOOST=10%%", "BOOST=10% ", "BOOST=10%\n", "BOOST=1.234%", "B" * 31 + "=1%"],
)  # fmt: skip
def test_another_form_is_refused_with_the_right_one(text):
    with pytest.raises(InputError) as refused:
        planted_effect.parse([text])
    assert str(refused.value) == (
        f"The effect {text!r} is not of the form SEGMENT=PERCENT, such as BOOST=+10%, with a percentage from -100 to "
        "+1000."
    )


@pytest.mark.parametrize("percent", ["-100.01%", "-101%", "+1000.01%", "9999%"])
def test_a_percentage_out_of_range_is_refused_with_the_range(percent):
    with pytest.raises(InputError, match=r"is out of range; it takes .* from -100 to \+1000\."):
        planted_effect.parse([f"BOOST={percent}"])


def test_two_effects_of_one_segment_are_refused():
    with pytest.raises(InputError, match="Two effects are of the segment BOOST; give one"):
        planted_effect.parse(["BOOST=+10%", "REWARD=+10%", "BOOST=+20%"])


def test_an_effect_on_customers_who_do_not_vary_is_refused_before_the_database_is_asked_anything():
    plain = BEHAVIOURS[BehaviourName.PLAIN]
    with pytest.raises(InputError) as refused:
        seed(None, Window(ANCHOR), 10, 1, hash_key=b"k" * 32, behaviour=plain, effects={"BOOST": 1.1})
    assert str(refused.value) == (
        "The effect on BOOST needs customers who vary. With plain behaviour nearly every customer buys again in each "
        "window, so no report could show an effect. Add --behaviour varied, or leave out the effect."
    )
