"""The drawing of lifts on one scale."""

import re

import pytest

from engage.experiments.lift import Lift
from engage.pages.whisker_svg import axis, scale, whisker


def lift(difference, low, high):
    return Lift(difference, low, high, 0.5, 1.0)


def places(drawn, kind):
    return [float(x) for x in re.findall(rf'class="{kind}" (?:x1|cx)="([\d.-]+)%', drawn)]


@pytest.mark.parametrize(
    ("lifts", "ends"),
    [
        ([lift(2, 1, 3)], (0, 3)),
        ([lift(-2, -3, -1)], (-3, 0)),
        ([lift(0.4, -1.2, 2), lift(7, 3.6, 10.4)], (-5, 15)),
        ([lift(0, 0, 0)], (0, 0.5)),
        ([], (0, 0.5)),
        ([lift(0.001, -0.0013, 0.0042)], (-0.002, 0.006)),
    ],
)
def test_a_scale_holds_all_intervals_and_0(lifts, ends):
    found = scale(lifts, str)
    assert (found.least, found.most) == pytest.approx(ends)
    assert 0 in [value for value, _ in found.ticks]
    assert 2 <= len(found.ticks) <= 7
    assert all(found.least <= one.low and one.high <= found.most for one in lifts)


def test_a_whisker_stands_where_its_numbers_are():
    found = scale([lift(2, 1, 3)], str)
    drawn = whisker(found, lift(1.5, 0.75, 3), "boost")
    assert 'class="whisker tone-boost"' in drawn
    assert places(drawn, "zero") == [0]
    assert places(drawn, "fill") == [50]
    assert places(drawn, "span") == [25, 25, 100]  # the line, and its two ends
    assert 'x2="100.000%"' in drawn


def test_without_a_lift_there_is_only_the_scale():
    drawn = whisker(scale([lift(2, 1, 3)], str), None, "reward")
    assert places(drawn, "fill") == places(drawn, "span") == []
    assert places(drawn, "zero") == [0]


def test_the_numbers_of_the_scale_stay_inside_of_the_drawing():
    drawn = axis(scale([lift(2, -1, 3)], lambda value: f"{value:g}"))
    assert re.findall(r'text-anchor="(\w+)">([^<]+)<', drawn) == [
        ("start", "-1"), ("middle", "0"), ("middle", "1"), ("middle", "2"), ("end", "3")
    ]  # fmt: skip


def test_a_drawing_has_no_style_of_its_own_and_is_not_read_aloud():
    found = scale([lift(2, 1, 3)], str)
    for drawn in (whisker(found, lift(2, 1, 3), "boost"), axis(found)):
        assert "style=" not in drawn
        assert 'aria-hidden="true"' in drawn
