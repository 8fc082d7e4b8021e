"""What the operator should know of a text before it goes out: costly characters, and placeholders that are none."""

import pytest

from engage import settings
from engage.errors import SettingsError
from engage.settings import Settings
from engage.texts.text_warnings import warnings

LONG = "x" * 60 + " Reply STOP to opt out."


@pytest.mark.parametrize("text", [
    Settings().message_boost, Settings().message_reward, "Hi {{ first_name }}, 10% off",
    "[Taco Town] 10% off today, 20% tomorrow", "I <3 you {{name}}", "a-b < c > d", "Ñandu à la [carte]",
    "Say 50%cotton", "Win $5 at #tacotuesday #fun", "{{ total_spend }} in {{weekly_sessions}} visits",
    "Write to first.name at work",
])  # fmt: skip
def test_a_plain_text_has_no_warning(text):
    assert warnings(text) == ()


# --- characters that make a text UCS-2


@pytest.mark.parametrize(
    ("character", "said"),
    [
        ("\u00a0", "U+00A0 NO-BREAK SPACE"),
        ("’", "“’” (U+2019 RIGHT SINGLE QUOTATION MARK)"),
        ("“", "U+201C LEFT DOUBLE QUOTATION MARK"),
        ("–", "U+2013 EN DASH"),
        ("…", "U+2026 HORIZONTAL ELLIPSIS"),
        ("ê", "“ê” (U+00EA LATIN SMALL LETTER E WITH CIRCUMFLEX)"),
        ("🍔", "“🍔” (U+1F354 HAMBURGER)"),
        ("e\u0301\u0301", "U+0301 COMBINING ACUTE ACCENT"),
    ],
)
def test_a_character_that_makes_the_text_ucs_2_is_named_with_its_place_and_price(character, said):
    [warning] = warnings(f"Don{character}t miss it {LONG}")
    assert said in warning
    assert "at position 4, after “Don”" in warning or "at position 5" in warning
    assert "UCS-2" in warning
    assert "2 segments instead of 1" in warning


@pytest.mark.parametrize(
    ("character", "plain"), [("’", "'"), ("“", '"'), ("\u00a0", "a space"), ("–", "-"), ("…", "..."), ("«", '"')]
)
def test_a_plain_character_is_proposed(character, plain):
    assert f"Write {plain} instead." in warnings(f"Don{character}t {LONG}")[0]


def test_no_plain_character_is_proposed_for_a_letter_or_an_emoji():
    assert "instead." not in warnings(f"fête 🍔 {LONG}")[0].replace("segments instead", "")


def test_a_short_text_costs_no_more_and_the_warning_says_so():
    assert "still takes 1 segment" in warnings("Don’t miss it")[0]


def test_several_characters_are_one_warning():
    [warning] = warnings(f"“Don’t” – … fête ☎ {LONG}")
    assert "U+201C" in warning
    assert "U+201D" in warning
    assert "4 more" in warning


def test_the_characters_of_the_basic_alphabet_and_its_extension_are_not_named():
    assert warnings("@£$¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà^\\~|€") == ()


def test_a_text_that_is_too_long_for_its_characters_says_which():
    with pytest.raises(SettingsError, match=r"takes 2 segments .*U\+2019 RIGHT SINGLE QUOTATION MARK"):
        settings.validate({"message_boost": f"Don’t {LONG}", "max_segments": "1"})


# --- placeholders of other systems


@pytest.mark.parametrize(
    ("text", "found", "instead"),
    [
        ("Hi {first_name}!", "{first_name}", "{{ first_name }}"),
        ("Hi %first_name%!", "%first_name%", "{{ first_name }}"),
        ("Hi [first_name]!", "[first_name]", "{{ first_name }}"),
        ("Hi {FirstName}!", "{FirstName}", "{{ first_name }}"),
        ("Hi { first name }!", "{ first name }", "{{ first_name }}"),
        ("Hi [First Name]!", "[First Name]", "{{ first_name }}"),
        ("Hi [[name]]!", "[[name]]", "{{ name }}"),
        ("Hi ${name}!", "${name}", "{{ name }}"),
        ("Hi *|FNAME|*!", "*|FNAME|*", "{{ first_name }}"),
        ("Hi <first-name>!", "<first-name>", "{{ first_name }}"),
        ("Hi %%name%%!", "%%name%%", "{{ name }}"),
        ("Hi #name#!", "#name#", "{{ name }}"),
        ("Hi __name__!", "__name__", "{{ name }}"),
        ("Hi $first_name!", "$first_name", "{{ first_name }}"),
        ("Hi :first_name!", ":first_name", "{{ first_name }}"),
        ("Hi first_name!", "first_name", "{{ first_name }}"),
        ("You spent {spend}.", "{spend}", "{{ total_spend }}"),
        ("You spent %TOTAL_SPEND%.", "%TOTAL_SPEND%", "{{ total_spend }}"),
        ("{sessions} visits", "{sessions}", "{{ weekly_sessions }}"),
        ("Use {coupon_code}", "{coupon_code}", "the placeholders are {{ name }}"),
        ("Hi {{ first_name }} {first_name}!", "{first_name}", "{{ first_name }}"),
    ],
)
def test_what_looks_like_a_placeholder_and_is_none_is_named_with_the_right_one(text, found, instead):
    [warning] = warnings(text)
    assert warning.startswith(f"“{found}” at position {text.rindex(found) + 1} ")
    assert "is sent as it stands" in warning
    assert instead in warning


@pytest.mark.parametrize(
    "text", ["Hi {{first name}}", "Hi {{ first-name }}", "Hi {{ firstname }}", "Hi {{{first_name}}}"]
)
def test_a_misspelled_placeholder_is_refused_with_the_right_ones(text):
    with pytest.raises(SettingsError, match=r"\{\{ first_name \}\}"):
        settings.validate({"message_boost": text})
