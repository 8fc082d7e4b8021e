"""Shares of the customers as operators write them, what they ask for, and how they are put in words."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest

from engage import settings
from engage.segments import Operator, Resolved, Share, parse, relative, share_words
from engage.segments.reading import condition
from engage.segments.relative import Side
from engage.segments.warnings import warnings
from engage.settings import Settings
from tests.unit.test_segment_rules import from_variables, refusal


def rules(*lines: str) -> str:
    return json.dumps({"segments": [{"name": "A", "when": list(lines)}]})


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("lowest 20%", "lowest 20%"),
        ("  Lowest   20 % ", "lowest 20%"),
        ("HIGHEST 10.50%", "highest 10.5%"),
        ("highest 0.01%", "highest 0.01%"),
        ("lowest 100%", "lowest 100%"),
        ("lowest 5000", "lowest 5000"),
        ("highest 1", "highest 1"),
        ("highest 1000000000", "highest 1000000000"),
    ],
)
def test_a_share_is_read_whatever_its_case_and_spaces(text, plain):
    found = from_variables(low_spend_threshold=text)
    assert found.snapshot()["low_spend_threshold"] == plain
    assert settings.texts(found)["low_spend_threshold"] == plain
    assert Settings.from_snapshot(json.loads(json.dumps(found.snapshot()))) == found
    assert condition(f"total_spend in {text}").line == f"total_spend in {plain}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("lowest", "'lowest' lacks a share or a number of customers"),
        ("20%", "'20%' does not start with lowest or highest"),
        ("top 10%", "'top 10%' does not start with lowest or highest"),
        ("lowest -5%", "'lowest -5%' has no plain share or number of customers"),
        ("lowest twenty%", "'lowest twenty%' has no plain share or number of customers"),
        ("lowest 5,000", "'lowest 5,000' has no plain share or number of customers"),
        ("lowest ٣%", "'lowest ٣%' has no plain share or number of customers"),
        ("lowest 1e3", "'lowest 1e3' has no plain share or number of customers"),
        ("lowest 0%", "0% is no share; a share is more than 0% and at most 100%, with at most 2 decimals"),
        ("lowest 100.01%", "100.01% is no share"),
        ("lowest 0.001%", "0.001% is no share"),
        ("lowest 0", "0 is no number of customers; write a whole number from 1 to 1000000000, or a share such as 20%"),
        ("lowest 2.5", "2.5 is no number of customers"),
        ("lowest 1000000001", "1000000001 is no number of customers"),
        ("lowest 20%" + " " * 500 + "x", "...' has no plain share or number of customers"),
    ],
)
def test_what_is_no_share_gets_a_sentence_that_says_what_is_wrong(text, why):
    found = refusal(low_spend_threshold=text)
    assert found.startswith("The Airflow Variable engage_low_spend_threshold is ")
    assert why in found
    assert found.endswith("or a share of the customers such as lowest 20%, highest 10% or lowest 5000.")
    assert len(found) < 500


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("total_spend in lowest", "'lowest' lacks a share or a number of customers; in takes lowest 20%, highest 10%"),
        ("total_spend in 5", "'5' does not start with lowest or highest; in takes lowest 20%"),
        ("total_spend in low_spend_threshold", "does not start with lowest or highest"),
        ("total_spend < lowest 20%", "a share of the customers goes with in, such as total_spend in lowest 20%"),
        ("previous_segment in lowest 20%", "previous_segment is a name, and takes = or !="),
        ("total in lowest 20%", "total is no field (did you mean total_spend?)"),
    ],
)
def test_a_line_that_asks_for_a_share_in_a_wrong_way_is_explained(line, why):
    assert why in refusal(segments=rules(line))


def test_a_share_of_rules_that_want_one_number_is_refused_and_the_usual_rules_stand_in():
    values = {"segments": rules("liked = some_threshold"), "some_threshold": "lowest 20%"}
    assert "the rule 'liked = some_threshold' wants one number" in refusal(**values)
    assert settings.usable(values).segments == Settings().segments  # a threshold of staff has no default


def test_a_share_of_two_fields_is_refused_and_a_number_of_two_fields_is_not():
    two = rules("liked < some_threshold", "viewed < some_threshold")
    assert "compare it with liked and with viewed, and highest 5 is another number for each" in refusal(
        segments=two, some_threshold="highest 5"
    )
    assert from_variables(segments=two, some_threshold="5").shares == {}


def test_the_default_stands_for_a_fixed_threshold_that_cannot_be_a_share():
    values = {"segments": rules("total_spend = low_spend_threshold"), "low_spend_threshold": "lowest 20%"}
    assert settings.usable(values).low_spend_threshold == 100


def test_a_share_without_its_number_is_neither_always_nor_never_met():
    assert warnings(parse(rules("sessions in lowest 20%", "sessions < 3"))) == []
    found = from_variables(low_spend_threshold="lowest 20%")
    assert found.warnings() == []
    assert found.number("low_spend_threshold") is None


def test_the_number_takes_the_place_of_the_share_in_the_rules():
    found = from_variables(segments=rules("total_spend in highest 20%"))
    assert list(found.shares) == ["total_spend in highest 20%"]
    number = Resolved(Fraction("87.4"), known=10, asked=2, within=2, ties=1)
    [one] = found.with_resolved({"total_spend in highest 20%": number}).rules.segments[0].conditions()
    assert (one.operator, one.value, one.asked) == (Operator.ABOVE, Decimal("87.4"), relative.read("highest 20%"))


def test_a_share_asks_for_whole_customers_and_for_no_more_than_there_are():
    assert relative.read("lowest 20%").asked(14) == 2
    assert relative.read("lowest 33.33%").asked(10_000) == 3333
    assert relative.read("lowest 5000").asked(14) == 14
    assert relative.read("highest 100%").asked(14) == 14


@pytest.mark.parametrize("number", ["87.4", "0", "-0.01", "0.125", "10/3", "1000000000000000000000000000000/7"])
def test_a_number_is_kept_exactly(number):
    found = Resolved(Fraction(number), known=5, asked=2, within=1, ties=1)
    assert Resolved.from_json(json.loads(json.dumps(found.to_json()))) == found


FOUND = Resolved(Fraction("87.4"), known=1000, asked=200, within=190, ties=30)


@pytest.mark.parametrize(
    ("side", "operator", "customers"),
    [
        (Side.LOWEST, "in", 190), (Side.LOWEST, "<", 190), (Side.LOWEST, "<=", 220), (Side.LOWEST, ">", 780),
        (Side.LOWEST, ">=", 810), (Side.HIGHEST, "in", 190), (Side.HIGHEST, ">", 190), (Side.HIGHEST, ">=", 220),
        (Side.HIGHEST, "<", 780), (Side.HIGHEST, "<=", 810),
    ],
)  # fmt: skip
def test_each_operator_takes_its_side_with_or_without_those_who_tie(side, operator, customers):
    share = Share(relative.read(f"{side} 20%"), "total_spend", (Operator(operator),))
    assert share_words.customers(share, FOUND, Operator(operator)) == customers


def test_words_say_the_number_the_customers_and_what_is_odd():
    share = Share(relative.read("lowest 20%"), "total_spend", (Operator.BELOW,))
    assert share_words.in_words(share, FOUND) == "lowest 20% = below 87.4: 190 customers"
    assert share_words.note(share, FOUND) == ""
    few = Resolved(Fraction(5), known=1000, asked=200, within=150, ties=100)
    assert share_words.note(share, few) == (
        "It takes fewer than the 200 asked for: 10.0% of the customers tie at 5, and none of them is in."
    )
