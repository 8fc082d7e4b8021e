"""Characters that nobody sees: which they are, where joiners are needed, and how an error names them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage import settings
from engage.errors import SettingsError
from engage.settings import Settings
from engage.texts.characters import refuse_invisible, visible
from engage.texts.template import clean

INVISIBLE = [
    "\u200b", "\u2060", "\ufeff", "\u00ad", "\u200e", "\u200f", "\u061c", "\u202a", "\u202e", "\u2066", "\u2069",
    "\u2061", "\u2064", "\u206f", "\u034f", "\u115f", "\u1160", "\u3164", "\uffa0", "\u17b4", "\u180e", "\u2800",
    "\u2028", "\u2029", "\ufff9", "\U0001d173", "\U000e0001", "\U000e0041", "\U000e007f", "\ufe0f", "\U000e0100",
    "\x00", "\x1b", "\x7f", "\x85", "\t", "\u200c", "\u200d",
]  # fmt: skip
NEEDED = [
    "👩\u200d👩\u200d👧",  # a family, one emoji
    "🏃🏽\u200d♂\ufe0f",
    "❤\ufe0f\u200d🔥",
    "🏳\ufe0f\u200d🌈",
    "☎\ufe0f",
    "1\ufe0f\u20e3",
    "می\u200cخواهم",  # Persian
    "ه\u200d",
    "क\u094d\u200dष",  # Hindi
    "ශ\u0dca\u200dර\u0dd3",  # Sinhala
    "葛\U000e0100",
]
LABEL = "The Airflow Variable engage_message_boost"


def refusal(text):
    with pytest.raises(SettingsError) as raised:
        settings.validate({"message_boost": text}, label=lambda name: f"The Airflow Variable engage_{name}")
    return str(raised.value)


@pytest.mark.parametrize("character", INVISIBLE, ids=ascii)
def test_an_invisible_character_in_a_text_is_refused_by_name_and_place(character):
    for text, place in ((f"Hi {character}there", "at position 4, after “Hi ”"), (f"{character}Hi", "at position 1")):
        said = refusal(text)
        assert said.startswith(f"{LABEL} is ")
        assert f"it has the invisible character U+{ord(character):04X}" in said
        assert place in said
        assert len(said) < 500


def test_the_sentence_has_the_characters_name():
    assert "U+200B ZERO WIDTH SPACE at position 6, after “Tacos”" in refusal("Tacos\u200b!")
    assert "U+E0067 TAG LATIN SMALL LETTER G" in refusal("🏴\U000e0067\U000e0062")
    assert "“one two three four”" in refusal("zero one two three four\u2060")


@pytest.mark.parametrize("text", NEEDED)
def test_joiners_and_variation_selectors_stay_where_a_script_or_an_emoji_needs_them(text):
    refuse_invisible(f"Hi {text} there")
    assert visible(f"Hi {text} there") == f"Hi {text} there"
    assert settings.validate({"message_boost": f"Hi {text}"}).message_boost == unicodedata.normalize(
        "NFC", f"Hi {text}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a\u200db",
        "\u200da",
        "a \u200db",
        "5\u200c5",
        "🌮\u200d now",
        "🌮\u200d",
        "👩\u200d\u200d👧",
        "a\ufe0f",
        " \ufe0f",
    ],
)
def test_a_joiner_that_joins_nothing_is_refused(text):
    assert "invisible character" in refusal(text)
    assert "\u200d\u200d" not in visible(text)


@given(st.text())
def test_what_is_left_visible_has_nothing_to_refuse(text):
    refuse_invisible(visible(text))
    assert visible(visible(text)) == visible(text)


@given(st.text(alphabet=st.sampled_from([*INVISIBLE, "a", " ", "م", "👩", "क", "\u094d", "1", "é"])))
def test_a_name_has_nothing_to_refuse(name):
    refuse_invisible(clean(name))
    assert clean(clean(name)) == clean(name)


@pytest.mark.parametrize("filler", ["\u3164", "\u2800", "\U000e0041", "\u00ad", "\u200b", "\u115f"], ids=ascii)
def test_a_name_of_invisible_characters_is_no_name(filler):
    assert clean(filler * 5) == ""
    assert clean(f"A{filler}da") == "Ada"


def test_a_campaign_of_an_earlier_version_keeps_its_text():
    snapshot = {**Settings().snapshot(), "message_boost": "Hi \u200bthere, reply STOP"}
    assert Settings.from_snapshot(snapshot).message_boost == "Hi \u200bthere, reply STOP"


def test_a_decomposed_text_is_composed_and_costs_no_more():
    chosen = settings.validate({"message_boost": "Cafe\u0301 " + "x" * 120, "max_segments": "1"})
    assert chosen.message_boost == "Café " + "x" * 120
