"""The checks of a drafted text: each refuses what it is for, in a sentence, and lets good texts pass."""

from __future__ import annotations

from itertools import combinations

import pytest

from engage.drafts.likeness import LIMIT, likeness
from engage.drafts.lint import Standards, faults
from engage.drafts.numbers import unknown
from tests.llm_double import BRAND, OFFER, TEXTS

STANDARDS = Standards(BRAND, OFFER)
IN_USE = "We miss you! Show this text at the counter for 10% off your next meal. Reply STOP to opt out."


@pytest.mark.parametrize("text", TEXTS)
def test_good_texts_pass(text):
    others = {"the text in use": IN_USE} | {f"text {n}": other for n, other in enumerate(TEXTS) if other != text}
    assert faults(text, Standards(BRAND, OFFER, others=others)) == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "It has no characters."),
        (" \n ", "It has no characters."),
        ("Taco Town " + "x" * 1000, "It has more than 1000 characters."),
        ("Taco Town\u200b", "It has the invisible character U+200B ZERO WIDTH SPACE at position 10"),
        ("Taco Town {{ name", "It cannot be read as a template"),
        ("Taco Town {{ customer_id }}", "{{ customer_id }} is no placeholder; allowed are"),
        ("Taco Town {% if x %}", "It cannot be read as a template"),
        ("Taco Town {{ name|upper }}", "It has an expression (Filter)"),
        ("Hi [Name], Taco Town", "“[Name]” at position 4 looks like a placeholder and is sent as it stands."),
        ("Taco Town — yours", "It has “—” (U+2014 EM DASH) at position 11"),
        ("Taco Town 🌮", "That makes the whole text UCS-2"),
        ("Taco Town {{ offer_code }}", "engage_offer names no offer whose codes it could take"),
        ("Come back for more.", "It does not name Taco Town."),
        ("Taco-Town misses you.", "It does not name Taco Town."),
        ("Taco Town: 20% off", "It has “20%”, which the offer “10% off the next meal” does not have."),
        ("Taco Town: $10 off", "It has “$10”, which the offer"),
        ("Taco Town: half price", "It has “half”, which the offer"),
        ("Taco Town {% raw %}{{ 50% off }}{% endraw %}", "It has “50%”, which the offer"),
        ("Taco Town: call 5550123", "It has “5550123”, which the offer"),
        ("Taco Town: see tacotown.example", "“tacotown.example” reads as a link or an address."),
        ("Taco Town: bit.ly/x", "“bit.ly” reads as a link"),
        ("Taco Town: HTTPS://x", "“HTTPS://x” reads as a link"),
        ("Taco Town: www tacos", "“www” reads as a link"),
        ("Taco Town: tacos dot com", "“dot com” reads as a link"),
        ("Taco Town: us@tacos", "“us@tacos” reads as a link"),
        ("Taco Town awaits.Come", "“awaits.Come” reads as a link"),
        ("Taco Town: tacos。com", "“tacos.com” reads as a link"),
        ("Taco Town FOREVER", "“FOREVER” shouts. Write it in small letters."),
        ("TACO TOWN is back", "“TACO” shouts."),
        ("Taco Town: ThE bEsT fOoD oF aLl ToWnS aNd tImEs", "letters are capitals, which shouts"),
        ("Taco Town!!", "It has 2 exclamation marks, which shout."),
        ("Taco Town! Now! Here!", "It has 3 exclamation marks, which shout."),
    ],
)  # fmt: skip
def test_a_text_is_refused_with_the_reason(text, sentence):
    assert any(sentence in one for one in faults(text, STANDARDS)), faults(text, STANDARDS)


@pytest.mark.parametrize(
    "text",
    [
        "Taco Town has 10 % off the next meal",
        "taco  town: ten percent off",
        "Taco Town opens at 9 a.m. today, e.g. for a BBQ. U.S.A. style, this one is yours.",
        "Taco Town! Text STOP to end. HELP for help",
        "Taco Town, {{ first_name }}: {{ total_spend }} spent, {{ purchases }} times",
    ],
)
def test_what_only_looks_odd_passes(text):
    assert faults(text, Standards(BRAND, f"{OFFER}, 9 a.m.")) == ()


def test_a_text_fills_one_segment_with_its_opt_out_line_and_a_longish_name():
    room = 160 - len("Taco Town Maximiliane ") - len(" Reply STOP to opt out.")
    fits = "Taco Town {{ first_name }} " + "x" * room
    assert faults(fits, STANDARDS) == ()
    [why] = faults(f"{fits}x", STANDARDS)
    assert why == (
        "It takes 2 SMS segments: it has 161 characters with a longish name, with “Reply STOP to opt out.”, and one "
        "segment holds 160. Shorten it."
    )


def test_without_a_brand_and_with_codes_these_are_not_missed():
    assert faults("Come back, {{ offer_code }}", Standards("", OFFER, has_codes=True)) == ()


@pytest.mark.parametrize(
    ("text", "is_like"),
    [
        (IN_USE, True),
        ("we miss YOU - show this text at the counter, for 10% off your next meal at Taco Town", True),
        ("Show this text at the counter for 10% off your next meal. We miss you, {{ name }}!", True),
        ("We miss you! Show this text at our counter for 10% off your next meal.", True),
        ("Hungry again? Taco Town takes 10% off your next meal.", False),
        ("We miss you at Taco Town. 10% off the next meal.", False),
    ],
)
def test_a_text_with_few_other_words_is_a_near_duplicate(text, is_like):
    found = faults(text, Standards("", OFFER, others={"the text BOOST": IN_USE, "the draft 7": TEXTS[3]}))
    assert [one.startswith("It is ") and "% like the text BOOST: " in one for one in found] == [True] * is_like


def test_texts_that_differ_in_their_idea_stay_below_the_limit():
    alike = [likeness(one, other, common=(BRAND, OFFER)) for one, other in combinations(TEXTS, 2)]
    assert max(alike) < LIMIT - 0.1
    one, other = f"{BRAND}: {OFFER}, friends.", f"At {BRAND} {OFFER} tonight."
    assert likeness(one, other) > LIMIT
    assert likeness(one, other, common=(BRAND, OFFER)) == 0.0
    assert likeness("Taco Town", "Taco Town", common=[BRAND]) == 1.0
    assert likeness("", "Taco") == 0.0


@pytest.mark.parametrize(
    ("text", "strange"),
    [
        ("10% and 10 percent, ten per cent, 10.0 %, １０%", []),
        ("10 off", []),
        ("two tacos, twice, a dozen", ["two", "twice", "dozen"]),
        ("$5.00 or 5 dollars or 5€", []),
        ("5% off", ["5%"]),
        ("1,000.50 then 1.000 then 1000", ["1,000.50"]),
        ("this one, one day", []),
        ("often tender, weighty", []),
        ("eighteen percent, thirteen tacos", ["eighteen percent", "thirteen"]),
        ("a quarter off, every third taco", ["quarter", "third"]),
    ],
)
def test_numbers_are_those_of_the_offer_with_what_they_count(text, strange):
    assert unknown(text, "10% off, or $5 from 1000 points") == strange
