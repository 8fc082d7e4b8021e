"""What a message template may hold, and how values are cleaned and inserted."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage import settings
from engage.errors import SettingsError
from engage.texts.opt_out_line import OPT_OUT_LINE
from engage.texts.template import MAX_VALUE, PLACEHOLDERS, Template, clean, values

NUMBERS: dict[str, Any] = {
    "total_spend_cents": 12345,
    "avg_weekly_sessions": 5.125,
    "purchases": 3,
    "days_since_last_purchase": 34,
    "favourite_item": "Taco al pastor",
    "offer_code": "AB3C-x{y}",
}
ADA = values("Ada Lovelace", **NUMBERS)


def rendered(text: str, name: str | None = "Ada Lovelace") -> str:
    return Template.parse(text).render(values(name, **NUMBERS))


def test_placeholders_are_filled_in():
    text = "Hi {{ first_name }} ({{name}}), {{ total_spend }} in {{weekly_sessions}} visits. STOP ends this"
    assert rendered(text) == "Hi Ada (Ada Lovelace), 123.45 in 5.1 visits. STOP ends this"


def test_a_text_names_purchases_days_and_the_favourite_item():
    text = "{{ purchases }}, {{ days_since_last_purchase }}, {{ favourite_item }}. STOP ends this"
    assert rendered(text) == "3, 34, Taco al pastor. STOP ends this"
    nothing = NUMBERS | {"purchases": 0, "days_since_last_purchase": None, "favourite_item": None}
    assert Template.parse(text).render(values("Ada", **nothing)) == "0, many, your favourite. STOP ends this"


def test_a_text_names_the_code_of_its_message_as_it_is():
    assert rendered("Show {{ offer_code }}. STOP ends this") == "Show AB3C-x{y}. STOP ends this"


def test_a_code_counts_ten_characters_of_a_text():
    text = "{{ offer_code }} " + "x" * 127 + " Reply STOP"
    assert Template.parse(text).typical_segments() == 1
    assert Template.parse(f"{text} x" + "x" * 9).typical_segments() == 1
    assert Template.parse(f"{text} x" + "x" * 10).typical_segments() == 2


@pytest.mark.parametrize("item", ["https://evil.example", "call +1 202 555 0100", "\u202e\u200b"])
def test_an_item_that_reads_as_a_link_or_a_phone_is_not_named(item):
    text = "{{ favourite_item }}. STOP ends this"
    assert (
        Template.parse(text).render(values("Ada", **(NUMBERS | {"favourite_item": item}))).startswith("your favourite")
    )


def test_text_without_placeholders_is_kept_as_it_is():
    text = "50 % off — «très bon» {one brace} %s 'quoted' 🍔\nNew line. Text STOP to end"
    assert rendered(text) == text


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("Come back!", f"Come back! {OPT_OUT_LINE}"),
        ("Come back! Reply STOP to end", "Come back! Reply STOP to end"),
        ("Hi {{ first_name }}", f"Hi Ada {OPT_OUT_LINE}"),
        ("Please stop by", f"Please stop by {OPT_OUT_LINE}"),
        ("NONSTOP fun", f"NONSTOP fun {OPT_OUT_LINE}"),
        ("  ", OPT_OUT_LINE),
        ("STOP by today for 10% off!", f"STOP by today for 10% off! {OPT_OUT_LINE}"),
        ("Don't STOP believing", f"Don't STOP believing {OPT_OUT_LINE}"),
        ("NON-STOP fun", f"NON-STOP fun {OPT_OUT_LINE}"),
        ("Vuelve. Responde STOP para salir", "Vuelve. Responde STOP para salir"),
    ],
)
def test_how_to_opt_out_is_said_once(text, ends):
    assert rendered(text) == ends
    assert rendered(Template.parse(text).render(ADA)) == ends


def test_a_customer_named_stop_does_not_take_the_place_of_the_opt_out():
    assert rendered("Hi {{ first_name }}", "STOP") == f"Hi STOP {OPT_OUT_LINE}"


ATTACKS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ name.__init__.__globals__ }}",
    "{{ name['__class__'] }}",
    "{{ 'a' * 2000000000 }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ 7*7 }}",
    "{{ 7 }}",
    "{% for x in range(10**9) %}a{% endfor %}",
    "{% if name %}a{% endif %}",
    "{% set name = 'x' %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% macro m() %}{% endmacro %}",
    "{{ name|upper }}",
    "{{ name|attr('__class__') }}",
    "{{ name() }}",
    "{{ cycler.__init__ }}",
    "{{ self }}",
    "{{ config }}",
    "{{ lipsum }}",
    "{{ phone }}",
    "{{ name if 1 else 2 }}",
    "{{ name ~ name }}",
    "{{ [name] }}",
    "{{ loop }}",
    "{{",
    "{% ",
    "{{ name",
    "{{" + "(" * 480 + "name" + ")" * 480 + "}}",
    "a\u202eb",
    "a\u2066b",
    "a\0b",
    "a\x1bb",
    "a\ud800b",
]


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("setting", ["message_boost", "message_reward"])
def test_everything_else_is_refused_with_a_sentence_before_a_run_begins(text, setting):
    with pytest.raises(SettingsError) as raised:
        settings.validate({setting: text}, label=lambda name: f"The Airflow Variable engage_{name}")
    assert str(raised.value).startswith(f"The Airflow Variable engage_{setting} is ")
    assert len(str(raised.value)) < 500


def test_the_sentence_says_what_is_allowed():
    with pytest.raises(ValueError, match="Getattr") as raised:
        Template.parse("{{ ''.__class__ }}")
    for name in PLACEHOLDERS:
        assert f"{{{{ {name} }}}}" in str(raised.value)


def test_a_text_that_would_take_too_many_segments_is_refused_before_a_run_begins():
    with pytest.raises(SettingsError, match=r"message_boost takes 4 segments .* max_segments allows 3"):
        settings.validate({"message_boost": "x" * 460})
    assert settings.validate({"message_boost": "x" * 460, "max_segments": "4"})


def test_windows_line_ends_become_plain_ones():
    assert rendered("one\r\nReply STOP to end") == "one\nReply STOP to end"


# --- values


def test_a_value_is_never_a_template():
    assert rendered("Hi {{ name }}. Reply STOP", "{{7*7}}") == "Hi {{7*7}}. Reply STOP"
    assert rendered("Hi {{ name }}. Reply STOP", "{{ total_spend }}") == "Hi {{ total_spend }}. Reply STOP"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ada\r\n\tLovelace", "Ada Lovelace"),
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("\u202eecalevoL adA\u202c", "ecalevoL adA"),
        ("\u2066Ada\u2069\u200f\u200e", "Ada"),
        ("A\x00d\x1ba\x7f", "Ada"),
        ("A\u200bd\ufeffa", "Ada"),
        ("Ada\u2028Lovelace", "Ada Lovelace"),
        ("A\ue000da\U0010ffff", "Ada"),
        ("Zoe\u0308", "Zoë"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("محمد", "محمد"),
        ("", "there"),
        (None, "there"),
        ("\u202e", "there"),
        ("\n", "there"),
    ],
)
def test_a_name_is_cleaned_of_what_nobody_sees(name, shown):
    assert values(name, **NUMBERS)["name"] == shown


def test_a_name_is_cut_to_what_a_text_can_bear():
    assert clean("😀" * 10_000) == "😀" * MAX_VALUE
    assert len(rendered("Hi {{ name }}. Reply STOP", "😀" * 10_000)) < 60
    assert clean("a" * 10_000_000) == "a" * MAX_VALUE


@given(st.text())
def test_whatever_the_name_it_is_one_short_line_of_visible_characters(name):
    shown = clean(name)
    assert len(shown) <= MAX_VALUE
    assert shown == " ".join(shown.split())
    assert all(c in "\u200c\u200d" or unicodedata.category(c)[0] != "C" for c in shown)
    assert clean(shown) == shown


def test_a_template_says_whether_the_opt_out_line_was_added():
    assert Template.parse("Hi!").opt_out_added
    assert not Template.parse("Hi! Reply STOP to opt out.").opt_out_added
