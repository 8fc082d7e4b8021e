"""Mistakes in a draft of rules: each at its row, and what is no draft as a whole."""

import pytest

from engage.segments.mistakes import Mistakes, mistakes

RIGHT = {"segments": [{"name": "A", "when": ["liked > 0", {"any": ["sessions > x_threshold"]}]}], "otherwise": "NONE"}


def test_right_rules_have_none():
    assert not mistakes(RIGHT, {"x_threshold"})
    assert mistakes(RIGHT, {"x_threshold"}).segments[0].rows == {}


def test_rows_are_counted_at_every_depth():
    when = ["liked > 0", {"any": ["x", {"not": ["liked > 1", "y"]}]}, "z"]
    [found] = mistakes({"segments": [{"name": "A", "when": when}]}, ()).segments
    assert found.rows.keys() == {1, 3, 4}


def test_a_threshold_needs_a_setting():
    [found] = mistakes(RIGHT, ()).segments
    assert found.rows == {1: "There is no setting x_threshold. Add it, or write a number."}


@pytest.mark.parametrize("name", ["", "a", "A B", "1A", None, 5, ["A"], {"A": 1}, "A" * 31])
def test_a_wrong_name_is_said_at_its_segment(name):
    draft = {"segments": [{"name": name, "when": ["liked > 0"]}], "otherwise": name}
    found = mistakes(draft, ())
    assert found.segments[0].name.startswith("It takes a name of 1 to 30 capital letters")
    assert found.otherwise.startswith("It takes a name of 1 to 30 capital letters")


def nested(depth):
    node = "liked > 0"
    for _ in range(depth):
        node = {"any": [node]}
    return {"segments": [{"name": "A", "when": [node]}]}


@pytest.mark.parametrize("depth", [4, 9, 100])
def test_a_nesting_that_is_too_deep_is_said_at_its_segment(depth):
    assert not mistakes(nested(3), ())
    assert mistakes(nested(depth), ()).segments[0].when == "Its conditions are nested deeper than 3."


def test_too_many_segments_are_said_as_a_whole():
    many = {"segments": [{"name": f"A{n}", "when": ["liked > 0"]} for n in range(21)]}
    found = mistakes(many, ())
    assert found.whole == '"segments" is a list of 1 to 20 segments, and it has 21.'
    assert not any(found.segments)


@pytest.mark.parametrize("found", [None, 5, [], {}, {"segments": 5}, {"segments": [5]}, {"segments": [{"name": "A"}]}])
def test_what_is_no_draft_is_said_as_a_whole(found):
    assert mistakes(found, ()) == Mistakes(whole=mistakes(found, ()).whole)
    assert mistakes(found, ()).whole.endswith(".")
