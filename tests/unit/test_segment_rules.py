"""Rules as operators write them: what is read, and the sentence about each thing that is wrong."""

from __future__ import annotations

import json
from decimal import Decimal
from time import perf_counter
from typing import Any

import pytest

from engage import settings
from engage.errors import SettingsError
from engage.segments import DEFAULT, parse, reading
from engage.segments.warnings import warnings
from engage.settings import Settings

LAPSING = {
    "segments": [
        {"name": "BOOST", "when": ["total_spend < low_spend_threshold"]},
        {"name": "REWARD", "when": ["avg_weekly_sessions > high_activity_threshold"]},
        {
            "name": "LAPSING",
            "when": [
                "days_since_last_purchase > lapsing_days_threshold",
                {"any": ["liked > 0", "added_to_basket > 0"]},
            ],
        },
    ],
    "otherwise": "NONE",
}


def one(*when: Any, name: Any = "A", **more: Any) -> str:
    return json.dumps({"segments": [{"name": name, "when": list(when)}], **more})


def from_variables(**variables: str) -> Settings:
    return settings.from_variables({f"engage_{name}": value for name, value in variables.items()}.get)


def refusal(**variables: str) -> str:
    with pytest.raises(SettingsError) as raised:
        from_variables(**variables)
    return str(raised.value)


def test_without_the_variable_the_rule_is_the_default_to_the_letter():
    assert Settings().segments == DEFAULT
    assert DEFAULT.names == ("BOOST", "REWARD", "NONE")
    assert [node.to_json() for segment in DEFAULT.segments for node in segment.when] == [
        "total_spend < low_spend_threshold",
        "avg_weekly_sessions > high_activity_threshold",
    ]
    assert Settings().texted == ("BOOST", "REWARD")


def test_rules_are_read_and_written_back_the_same():
    assert parse(json.dumps(LAPSING)).to_json() == LAPSING


def test_a_run_reads_the_thresholds_and_texts_that_its_rules_name():
    found = from_variables(segments=json.dumps(LAPSING), lapsing_days_threshold="28", message_lapsing="Hi. Reply STOP.")
    assert found.thresholds == {
        "low_spend_threshold": Decimal("100.00"),
        "high_activity_threshold": Decimal("5.0"),
        "lapsing_days_threshold": Decimal(28),
    }
    assert found.texted == ("BOOST", "REWARD", "LAPSING")
    assert Settings.from_snapshot(json.loads(json.dumps(found.snapshot()))) == found


def test_a_segment_without_a_text_is_not_texted():
    assert from_variables(segments=json.dumps(LAPSING), lapsing_days_threshold="28").texted == ("BOOST", "REWARD")


def test_all_other_customers_are_never_texted():
    found = from_variables(segments=one("liked > 0"), message_none="Hi. Reply STOP.", message_a="Hi. Reply STOP.")
    assert found.texted == ("A",)


def test_a_threshold_without_a_variable_is_named():
    assert (
        "segment LAPSING: 'days_since_last_purchase > lapsing_days_threshold' needs the setting "
        "lapsing_days_threshold, and there is none. Add it, or write a number"
    ) in refusal(segments=json.dumps(LAPSING))


NUMBER = "is neither a number nor a threshold"
ATTACKS = {
    "SQL in a field": (one("liked; DROP TABLE customer > 0"), "is a field, an operator and a value"),
    "SQL as a field": (one("liked)or(1 > 0"), "liked)or(1 is no field"),
    "SQL in a value": (one("liked > 0;DROP"), NUMBER),
    "SQL in a quoted value": (one("previous_segment = 'x'or'1'"), "is not the name of a segment"),
    "SQL in a name": (one("liked > 0", name="A'; DROP TABLE customer; --"), "the name of segment 1 is"),
    "SQL in otherwise": (one("liked > 0", otherwise='x"; --'), 'the name of "otherwise" is'),
    "a threshold of another shape": (one("liked > Low_threshold"), NUMBER),
    "another variable": (one("liked > var.engage_db"), NUMBER),
    "an unknown field": (one("like > 0"), "like is no field (did you mean liked?); the fields are total_spend,"),
    "a column that is no field": (one("phone_hash = 1"), "phone_hash is no field"),
    "an unknown operator": (one("liked => 0"), "=> is no operator; the operators are <, <=, >, >=, =, !="),
    "no operator": (one("liked"), "a condition is a field, an operator and a value, such as liked > 0"),
    "two operators": (one("0 < liked < 5"), "a condition is"),
    "an order of names": (one("previous_segment < B"), "previous_segment is a name, and takes = or !="),
    "a number that is no name": (one("previous_segment = 5"), "5 is not the name of a segment"),
    "NaN": (one("liked > NaN"), NUMBER),
    "NaN of JSON": ('{"segments": NaN}', "NaN is no value"),
    "infinity": (one("liked > Infinity"), NUMBER),
    "1e309": (one("liked > 1e309"), NUMBER),
    "true": (one("liked > true"), NUMBER),
    "true as a condition": (one(True), "true is no condition"),
    "null as conditions": ('{"segments": [{"name": "A", "when": null}]}', '"when" is a list of conditions'),
    "digits of another script": (one("liked > ٣"), NUMBER),
    "full-width digits": (one("liked > ５"), NUMBER),
    "a large number": (one("total_spend > 1000000000000"), NUMBER),
    "many decimals": (one("total_spend > 0.0000001"), NUMBER),
    "depth 4": (one({"any": [{"not": [{"any": [{"not": ["liked > 0"]}]}]}]}), "nested deeper than 3"),
    "depth 100": (one(json.loads('{"not": [' * 100 + '"liked > 0"' + "]}" * 100)), "nested deeper than 3"),
    "depth 10,000": ("[" * 10_000, "it is nested too deeply"),
    "100,000 segments": (
        json.dumps({"segments": [{"name": f"A{n}", "when": ["liked > 0"]} for n in range(100_000)]}),
        "and 20,000 are allowed",
    ),
    "21 segments": (
        json.dumps({"segments": [{"name": f"A{n}", "when": ["liked > 0"]} for n in range(21)]}),
        '"segments" is a list of 1 to 20 segments, and it has 21',
    ),
    "no segments": ('{"segments": []}', "and it has 0"),
    "21 conditions": (one(*["liked > 0"] * 21), "segment A: it has more than 20 conditions"),
    "no condition": (one(), "segment A: it has no condition"),
    "an empty any": (one({"any": []}), "segment A: it has no condition"),
    "any and not at once": (one({"any": ["liked > 0"], "not": ["liked > 0"]}), "is no condition"),
    "an unknown group": (one({"all": ["liked > 0"]}), "is no condition; allowed are"),
    "two segments of one name": (
        '{"segments": [{"name": "A", "when": ["liked > 0"]}, {"name": "A", "when": ["viewed > 0"]}]}',
        "two segments have the name A",
    ),
    "otherwise of a segment's name": (one("liked > 0", otherwise="A"), "two segments have the name A"),
    "a key twice": ('{"segments": [{"name": "A", "name": "B", "when": ["liked > 0"]}]}', "the key 'name' stands twice"),
    "a key too many": (one("liked > 0", when="now"), "it is an object of segments and otherwise"),
    "a segment's key too many": (
        '{"segments": [{"name": "A", "when": ["liked > 0"], "text": "x"}]}',
        "segment 1 is an object of name and when",
    ),
    "a list": ("[]", "it is an object of segments and otherwise"),
    "nothing": ("", "it is no JSON: Expecting value in line 1, column 1"),
    "half of it": ('{"segments": [', "it is no JSON"),
    "small letters": (one("liked > 0", name="boost"), 'the name of segment 1 is "boost", and it takes a name of 1 to'),
    "a name of another script": (one("liked > 0", name="ＡＢ"), "the name of segment 1 is"),
    "a long name": (one("liked > 0", name="A" * 31), "the name of segment 1 is"),
    "a number for a name": (one("liked > 0", name=7), "the name of segment 1 is"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_on_the_rules_gets_a_sentence_that_names_what_is_wrong(attack):
    text, sentence = ATTACKS[attack]
    found = refusal(segments=text)
    assert found.startswith("The Airflow Variable engage_segments is ")
    assert "which is not allowed: " in found
    assert sentence in found
    assert len(found) < 1200


@pytest.mark.parametrize("value", ["NaN", "1e309", "true", "", "٣", "1_0", "1;DROP", "10000000001", "0.0000001"])
def test_a_threshold_of_staff_is_a_plain_number(value):
    rules = one("liked > often_threshold")
    found = refusal(segments=rules, often_threshold=value)
    assert found.startswith(f"The Airflow Variable engage_often_threshold is {value!r}, which is not allowed: it takes")


def test_the_sentence_names_segment_and_line():
    assert (
        "segment LAPSING: condition 2 ('liked >> 3'): >> is no operator; the operators are <, <=, >, >=, =, !="
    ) in refusal(segments=one("viewed > 0", "liked >> 3", name="LAPSING"))


@pytest.mark.parametrize(
    ("when", "warning"),
    [
        (["sessions < 0"], "Segment A is always empty: its conditions exclude each other."),
        (["liked > 5", "liked < 3"], "Segment A is always empty"),
        (["liked > 5", "liked <= 5"], "Segment A is always empty"),
        (["liked >= 5", "liked <= 5"], None),
        (["liked = 5", "liked = 6"], "Segment A is always empty"),
        ([{"any": ["liked < 0", {"not": ["viewed >= 0"]}]}], "Segment A is always empty"),
        ([{"not": [{"any": ["liked < 0", "viewed >= 0"]}]}], "Segment A is always empty"),
        (["spend_change < -50"], None),
        (["spend_change < -100"], "Segment A is always empty"),
        (["previous_segment = A", "previous_segment = NONE"], "Segment A is always empty"),
        (["previous_segment = GONE"], "these rules have no segment GONE"),
        (["previous_segment = A"], None),
        (["days_since_last_purchase > 28"], None),
    ],
)
def test_a_segment_that_no_customer_can_be_in_is_a_warning(when, warning):
    found = warnings(parse(one(*when)))
    assert found == [] if warning is None else warning in " ".join(found)


def test_a_segment_after_one_that_has_all_customers_is_a_warning():
    text = json.dumps({"segments": [{"name": "ALL", "when": ["sessions >= 0"]}, {"name": "B", "when": ["liked > 0"]}]})
    assert warnings(parse(text)) == ["Segment B is always empty: ALL before it has all customers."]


# --- languages

REWARD_ES = json.dumps({"REWARD": {"es": "Gracias. Responde STOP.", "pt-BR": "Obrigado. Responda STOP."}})


@pytest.mark.parametrize(
    ("locale", "start"),
    [
        ("es-MX", "Gracias"),
        ("es", "Gracias"),
        ("ES_mx", "Gracias"),
        ("pt-BR", "Obrigado"),
        ("pt", "Thank you"),
        ("est", "Thank you"),
        ("de-DE", "Thank you"),
        ("", "Thank you"),
        (None, "Thank you"),
    ],
)
def test_the_locale_chooses_the_text(locale, start):
    assert from_variables(messages=REWARD_ES).message("REWARD", locale).startswith(start)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("[]", "it is an object of segments"),
        ('{"reward": {}}', "'reward' is no name of a segment"),
        ('{"REWARD": "Hola"}', "segment REWARD takes an object of languages and texts"),
        ('{"REWARD": {"español": "Hola"}}', "'español' is no language, which is a tag such as es or pt-BR"),
        ('{"REWARD": {"es": ""}}', "the text of segment REWARD in es: it takes a text of 1 to 1000 characters"),
        ('{"REWARD": {"es": 5}}', "the text of segment REWARD in es: it takes a text"),
        ('{"REWARD": {"es": "{{ nombre }}"}}', "{{ nombre }} is no placeholder"),
        ('{"REWARD": {"es": "a", "es": "b"}}', "the key 'es' stands twice"),
        (json.dumps({"REWARD": {"es": "ñ" * 600}}), "REWARD in es takes"),
    ],
)
def test_a_wrong_text_in_a_language_is_named(value, sentence):
    assert sentence in refusal(messages=value)


def test_the_limits_are_those_of_the_docs():
    assert (reading.MAX_SEGMENTS, reading.MAX_DEPTH, reading.MAX_CONDITIONS) == (20, 3, 20)


# --- names


def test_a_segment_may_have_the_name_of_a_method_of_the_settings():
    assert from_variables(segments=one("liked > 0", name="TEXTS")).texted == ()
    with_text = from_variables(segments=one("liked > 0", name="TEXTS"), message_texts="Hi. Reply STOP.")
    assert with_text.message("TEXTS") == "Hi. Reply STOP."


@pytest.mark.parametrize("name", ["SECRET_MENU", "TOKEN", "API_KEY", "OLD_PASSWORD_2"])
def test_a_segment_whose_text_airflow_would_mask_is_refused(name):
    assert "Airflow shows *** for a Variable with" in refusal(segments=one("liked > 0", name=name))


def test_a_threshold_that_airflow_would_mask_is_refused():
    assert "Airflow shows *** for a Variable with" in refusal(segments=one("liked > secret_threshold"))
    with pytest.raises(SettingsError, match="is not a setting"):
        settings.validate({"token_threshold": "1"})


def test_a_half_of_a_character_is_refused():
    assert "it has a half of a character" in refusal(segments='{"segments": [{"name": "A", "when": ["\\ud800 > 0"]}]}')


def test_a_long_line_is_refused_at_once():
    started = perf_counter()
    assert "a condition is a field, an operator and a value" in refusal(segments=one("a" + "<" * 15_000 + " b c"))
    assert perf_counter() - started < 1


# --- languages that are not used as they were meant


def test_two_spellings_of_a_language_are_refused():
    wrong = json.dumps({"REWARD": {"es-MX": "Uno", "es_mx": "Dos"}})
    assert "the language es-mx stands twice" in refusal(messages=wrong)


@pytest.mark.parametrize("segment", ["REWRAD", "NONE"])
def test_texts_of_a_segment_that_is_not_texted_are_a_warning(segment):
    found = from_variables(messages=json.dumps({segment: {"es": "Hola. Responde STOP."}}))
    assert found.warnings() == [
        f"engage_messages has texts for {segment}, and no customer gets them: it is no segment with a text of its own."
    ]


def test_english_words_in_another_language_are_a_warning():
    spanish = "Hola {{ first_name }}. Responde STOP."
    found = from_variables(messages=json.dumps({"REWARD": {"es": spanish, "en-GB": spanish}}))
    assert found.text_warnings("REWARD") == (
        "es: A customer without a name reads “there” in place of {{ first_name }}.",
    )
