"""Offer codes: the form of a code, codes that cannot be guessed, and files of codes."""

from __future__ import annotations

import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from engage import settings
from engage.errors import InputError, SettingsError
from engage.sending import offer_codes
from engage.texts import offer_code, sms_preview
from engage.texts.sms_segments import is_plain
from engage.texts.template import Template

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


# --- made codes


def test_of_characters_that_look_alike_a_made_code_has_one_at_most():
    chosen = set(offer_code.ALPHABET)
    assert len(chosen) == len(offer_code.ALPHABET) == 26
    assert [alike for alike in ("0O", "1IL", "2Z", "5S", "6G", "8B", "UV") if len(chosen & set(alike)) > 1] == []


def test_made_codes_are_different_and_of_the_alphabet():
    found = offer_code.generated(20_000)
    assert len(found) == 20_000
    assert {len(code) for code in found} == {offer_code.LENGTH}
    assert set("".join(found)) == set(offer_code.ALPHABET)
    assert all(map(is_plain, offer_code.ALPHABET))


def test_each_character_is_as_likely_as_the_others():
    counts = Counter("".join(offer_code.generated(20_000)))
    expected = 20_000 * offer_code.LENGTH / len(offer_code.ALPHABET)
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 70  # of 25 degrees of freedom; more happens once in 300,000 runs


def test_made_codes_come_from_the_source_for_secrets(monkeypatch):
    """And from nothing else: the same bytes give the same code."""
    monkeypatch.setattr(secrets, "token_bytes", lambda count: bytes([255, 234, *range(count - 2)]))
    assert offer_code.generated(1) == {offer_code.ALPHABET[:10]}


def test_a_code_that_is_drawn_twice_is_made_once(monkeypatch):
    drawn = iter([bytes(20), bytes(20), bytes([1] * 20)])
    monkeypatch.setattr(secrets, "token_bytes", lambda count: next(drawn))
    assert offer_code.generated(2) == {"2" * 10, "3" * 10}


def test_no_code_is_asked_for():
    assert offer_code.generated(0) == set()


# --- files


@pytest.mark.parametrize(
    "text",
    [
        "AB12\n\nzz-9\n   \n~!@#\n",
        "AB12\r\nzz-9\r\n~!@#",
        "  AB12  \nzz-9\n~!@#\n",
        "code\nAB12\nzz-9\n\n~!@#\n",
        "\n\nid,code\n1,AB12\n2,zz-9\n3,~!@#\n",
        'id;"Code";note\n1;AB12;"a; b"\n2; zz-9;\n3;~!@#;x\n',
        "id\tcode\n1\tAB12\n2\tzz-9\n3\t~!@#\n",
    ],
)
def test_a_file_has_one_code_a_line_or_a_column_of_them(text):
    assert offer_code.read(text, "f") == offer_code.CodeFile(("AB12", "zz-9", "~!@#"), 0)


def test_a_code_may_hold_a_comma_in_a_file_without_columns():
    assert offer_code.read("AB,12\nx;y;z", "f").codes == ("AB,12", "x;y;z")
    assert offer_code.read('code\n"AB,12"\n"CD,34"', "f").codes == ("AB,12", "CD,34")


@pytest.mark.parametrize(
    "text",
    ["Coupon,Value\nAB12,10\nCD34,20\n", "AB12;summer\n\nCD34;summer\n", "coupon_code,ends\r\nAB12,2027-01-31\r\n"],
)
def test_a_file_of_columns_without_one_of_codes_is_refused(text):
    with pytest.raises(InputError) as raised:
        offer_code.read(text, "codes.csv")
    assert str(raised.value) == (
        "codes.csv has columns, and its first line names none of them code. No code was added: name the column with "
        "the codes so."
    )


def test_a_code_that_stands_in_the_file_twice_is_taken_once_and_counted():
    assert offer_code.read("AB12\nCD34\nAB12\nAB12\n", "f") == offer_code.CodeFile(("AB12", "CD34"), 2)
    assert offer_code.read("AB12\nab12\n", "f").repeated == 0


@pytest.mark.parametrize("code", ["abc", "x" * 41, "ab 12", "ab\t12", "añb1", "ab\x0012", "ab\u200b12", "ab\x7f12"])
def test_a_line_that_holds_no_code_is_named_and_nothing_is_taken(code):
    with pytest.raises(InputError, match=r"codes\.txt holds what is no code: line 3 has ") as raised:
        offer_code.read(f"GOOD1\n\n{code}\nGOOD2\n", "codes.txt")
    assert "a code has 4 to 40 letters, digits or signs of ASCII, and no spaces" in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("code", ["abcd", "x" * 40])
def test_the_shortest_and_the_longest_code_are_taken(code):
    assert offer_code.read(code, "f").codes == (code,)


def test_wrong_lines_are_counted_by_the_lines_of_the_file():
    text = 'id,code\n1,GOOD1\n\n"a\nb",no\n5\n'
    with pytest.raises(InputError, match=r"line 5 has 'no', line 6 has ''"):
        offer_code.read(text, "f")


def test_of_many_wrong_lines_the_first_ones_are_named():
    with pytest.raises(InputError, match=r"line 5 has 'x', and 15 more\."):
        offer_code.read("x\n" * 20, "f")


@pytest.mark.parametrize("text", ["", "\n \n", "code\n", "id,code\n\n"])
def test_a_file_without_any_code_is_refused(text):
    with pytest.raises(InputError, match=r"f holds no code\. It takes one a line, or CSV with a column code"):
        offer_code.read(text, "f")


@pytest.mark.parametrize("row", ['1,"AB12', '1,"AB12" or CD34', '1,"' + "x" * 2_000_000])
def test_a_file_that_is_no_csv_although_it_begins_like_one_is_refused(row):
    with pytest.raises(InputError, match="f cannot be read as CSV"):
        offer_code.read(f"id,code\n{row}\n", "f")


def test_a_code_of_any_length_is_refused_with_a_sentence():
    with pytest.raises(InputError, match="f "):
        offer_code.read(f'id,code\n1,"{"x" * 200_000}"\n', "f")


@pytest.mark.parametrize("name", ["", "Summer", "-a", "a b", "a" * 41, "é", "a\n"])
def test_an_offer_with_another_name_is_refused(name):
    with pytest.raises(InputError, match="an offer's name has 1 to 40 small letters"):
        offer_code.offer(name)
    with pytest.raises(SettingsError) if name else pytest.raises(KeyError):
        settings.validate({"offer": name})
        raise KeyError


@pytest.mark.parametrize("name", ["summer", "2027-spring_a", "a" * 40])
def test_the_name_of_an_offer_is_that_of_the_setting(name):
    assert offer_code.offer(name) == settings.validate({"offer": name}).offer


# --- texts and settings


def test_a_preview_shows_a_sample():
    shown = sms_preview.examples(Template.parse("Show {{ offer_code }}. Reply STOP"))["Ada"]
    assert shown.text == "Show K7M3XQ9TPA. Reply STOP"
    assert set(offer_code.SAMPLE) <= set(offer_code.ALPHABET)
    assert len(offer_code.SAMPLE) == offer_code.LENGTH


def test_a_text_with_a_code_needs_an_offer():
    text = "Show {{ offer_code }}"
    wrong = settings.problems({"message_boost": text}, label=lambda name: f"engage_{name}")
    assert wrong == {
        "message_boost": "engage_message_boost has the placeholder {{ offer_code }}, and engage_offer names no offer. "
        "Set it to the offer whose codes the text takes, such as summer; `engage offers list` shows the offers"
    }
    assert settings.problems({"message_boost": text, "offer": "summer"}) == {}


def test_a_text_in_another_language_with_a_code_needs_an_offer_too():
    wrong = settings.problems({"messages": {"REWARD": {"es": "{{ offer_code }} STOP"}}})
    assert list(wrong) == ["messages"]
    assert "messages: REWARD in es has the placeholder {{ offer_code }}" in wrong["messages"]


def test_one_of_several_texts_with_a_code_needs_an_offer_too():
    wrong = settings.problems(
        {"messages": {"BOOST": {"a": "Hi STOP", "b": {"en": "Hi STOP", "es": "{{ offer_code }} STOP"}}}}
    )
    assert list(wrong) == ["messages"]
    assert "messages: BOOST b in es has the placeholder {{ offer_code }}" in wrong["messages"]


def test_an_offer_that_is_wrong_itself_is_the_only_thing_that_is_wrong():
    assert list(settings.problems({"message_boost": "{{ offer_code }}", "offer": "My offer"})) == ["offer"]


def test_a_code_has_to_last_a_day_and_as_long_as_the_approver_may_take():
    assert offer_codes.valid_until(settings.validate({}), NOON) == NOON + timedelta(days=1)
    approved = settings.validate({"require_approval": True, "approval_hours": 48})
    assert offer_codes.valid_until(approved, NOON) == NOON + timedelta(days=3)
