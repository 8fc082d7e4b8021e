"""Several texts for one segment: what the settings take, and what they say of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engage import settings
from engage.errors import SettingsError
from engage.settings import Settings
from engage.settings.model import Settings as Model

A, B, C = "Text a. Reply STOP.", "Text b. Reply STOP.", "Text c. Reply STOP."
A_ES, B_ES = "Texto a. Responde STOP.", "Texto b. Responde STOP."


def with_texts(boost: Any, **others: str) -> Settings:
    given = {"message_boost": A, "messages": json.dumps({"BOOST": boost})} | others
    return settings.validate(given)


def refusal(boost: Any, **others: str) -> str:
    with pytest.raises(SettingsError) as raised:
        with_texts(boost, **others)
    return str(raised.value)


# --- which text is read


def test_a_segment_has_one_text_that_is_named_a():
    found = Settings()
    assert found.variants("BOOST") == ("a",)
    assert found.message("BOOST", variant="a") == found.message("BOOST") == found.message_boost


def test_a_plain_text_is_a_variant_for_all_customers():
    found = with_texts({"b": B, "c": C})
    assert found.variants("BOOST") == ("a", "b", "c")
    assert [found.message("BOOST", "es-MX", variant) for variant in "abc"] == [A, B, C]
    assert found.variants("REWARD") == ("a",)


def test_each_variant_has_languages_of_its_own():
    found = with_texts({"a": {"es": A_ES}, "b": {"default": B, "es": B_ES}, "c": {"en": C}})
    read = {(variant, locale): found.message("BOOST", locale, variant) for variant in "abc" for locale in ("es", "de")}
    assert read == {
        ("a", "es"): A_ES,
        ("a", "de"): A,
        ("b", "es"): B_ES,
        ("b", "de"): B,
        ("c", "es"): C,
        ("c", "de"): C,
    }
    assert found.message_texts("BOOST", "b") == {"": B, "es": B_ES}
    assert found.message_texts("BOOST", "c") == {"": C}
    assert found.message_texts("BOOST") == {"": A, "es": A_ES}


def test_the_english_text_is_for_all_others_only_without_a_default():
    found = with_texts({"a": {"en": "Colour"}, "b": {"default": B, "en": B + "!"}})
    assert (found.message("BOOST", "en"), found.message("BOOST", "de")) == ("Colour", A)
    assert (found.message("BOOST", "en-GB", "b"), found.message("BOOST", None, "b")) == (B + "!", B)


def test_a_text_a_here_comes_before_the_segments_own_setting():
    found = with_texts({"a": B, "b": C})
    assert found.message("BOOST") == B
    assert (
        "engage_messages has a text a for all customers, so engage_message_boost is not sent."
        in found.text_warnings("BOOST")
    )
    assert settings.validate({"messages": json.dumps({"BOOST": {"a": A, "b": B}})}).text_warnings("BOOST") == ()


def test_a_segment_may_have_its_text_a_here_alone():
    rules = json.dumps({"segments": [{"name": "WINBACK", "when": ["purchases = 0"]}], "otherwise": "NONE"})
    given = {"segments": rules, "messages": json.dumps({"WINBACK": {"a": A, "b": B}})}
    assert settings.validate(given).texted == ("WINBACK",)
    assert settings.validate({**given, "messages": json.dumps({"WINBACK": {"b": B}})}).texted == ()


def test_a_variant_that_a_segment_lacks_is_a_key_error():
    with pytest.raises(KeyError):
        Settings().message("BOOST", variant="b")
    with pytest.raises(KeyError):
        Settings().variants("NONE")


@pytest.mark.parametrize(
    "messages",
    [
        {},
        {"BOOST": {}},
        {"BOOST": {"es": A_ES, "pt-br": B}},
        {"BOOST": {"a": {"es": A_ES}, "b": {"default": B, "es": B_ES}}, "REWARD": {"es": B_ES}},
    ],
)
def test_a_snapshot_keeps_them(messages):
    found = settings.validate({"messages": json.dumps(messages)})
    assert found.messages == messages
    assert Model.from_snapshot(json.loads(json.dumps(found.snapshot()))) == found
    assert settings.validate(settings.texts(found)) == found


# --- what is refused


@pytest.mark.parametrize(
    ("boost", "sentence"),
    [
        (
            {"a": A, "es": A_ES},
            "segment BOOST has the variant a beside 'es'. With variants, each has languages of its own",
        ),
        ({"es": A_ES, "b": B}, "segment BOOST has the variant b beside 'es'"),
        ({"b": B, "default": A}, "segment BOOST has the variant b beside 'default'"),
        ({"a": A, "f": B}, "segment BOOST: 'f' is no variant. A segment has at most five, named a to e"),
        ({"A": A}, "'A' is no variant"),
        (
            {"b": {"es": B_ES}},
            "variant b has no text for customers whose language it lacks. Give it one under default or",
        ),
        ({"b": {}}, "variant b has no text for customers whose language it lacks"),
        ({"b": 5}, "variant b takes a text, or an object of languages and texts"),
        ({"b": None}, "variant b takes a text"),
        ({"b": ["x"]}, "variant b takes a text"),
        ({"b": ""}, "the text of segment BOOST b: it takes a text of 1 to 1000 characters"),
        ({"b": {"default": B, "es": ""}}, "the text of segment BOOST b in es: it takes a text"),
        ({"b": {"default": B, "es-MX": "x", "es_mx": "y"}}, "segment BOOST b: the language es-mx stands twice"),
        ({"b": {"default": B, "DEFAULT": "y"}}, "segment BOOST b: the language default stands twice"),
        ({"b": {"default": B, "español": "x"}}, "'español' is no language"),
        ({"b": {"default": B, "c": "x"}}, "'c' is no language"),
        ({"b": "{{ offer }}"}, "{{ offer }} is no placeholder"),
        ({"default": A}, "'default' is no language"),
        ({"b": "ñ" * 600}, "engage_messages: BOOST b takes"),
        ({"b": {"default": B, "es": "ñ" * 600}}, "engage_messages: BOOST b in es takes"),
        ({"a": "ñ" * 600}, "engage_messages: BOOST takes"),
    ],
)
def test_a_wrong_variant_is_named(boost, sentence):
    given = {"message_boost": A, "messages": json.dumps({"BOOST": boost})}
    with pytest.raises(SettingsError) as raised:
        settings.validate(given, label=lambda name: f"engage_{name}")
    assert sentence in str(raised.value)


def test_the_own_text_is_named_by_its_own_setting_when_it_is_too_long():
    assert refusal({"b": B}, message_boost="ñ" * 600).startswith("message_boost takes")


# --- what is said of all of them


def test_everything_that_goes_over_the_texts_goes_over_all_variants():
    found = with_texts({"b": {"default": B, "es": "Hola {{ first_name }}, " + "x" * 200}})
    assert found.uses("first_name")
    assert not with_texts({"b": B}).uses("first_name")
    assert found.typical_segments("BOOST") == 2


def test_a_warning_names_the_text():
    found = with_texts(
        {"a": {"es": A_ES}, "b": {"default": "Café ☕. Reply STOP.", "es": "Hola {{ first_name }}. STOP"}}
    )
    assert [one.partition(":")[0] for one in found.text_warnings("BOOST")] == ["b", "b in es"]
    assert found.warnings() == [f"BOOST: {one}" for one in found.text_warnings("BOOST")]


def test_the_same_text_twice_is_a_warning():
    assert with_texts({"b": B, "c": B}).text_warnings("BOOST") == (
        "b and c are the same text, so a comparison of them shows nothing.",
    )


def test_a_language_that_one_variant_lacks_is_a_warning():
    assert with_texts({"a": {"es": A_ES}, "b": B}).text_warnings("BOOST") == (
        "b: it has no text in es; these customers read its text for all others.",
    )
