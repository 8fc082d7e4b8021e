"""The colours of segments: given out in order, to be seen on the card, and told apart by colour-blind readers."""

import math
import re
from itertools import pairwise
from pathlib import Path

import pytest

from engage.pages.segment_tones import FURTHER, tones
from engage.segments.reading import MAX_SEGMENTS

TOKENS = (Path(__file__).parents[2] / "engage/pages/static/tokens.css").read_text()
DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
"""Machado, Oliveira and Fernandes 2009, severity 1.0, over linear light."""
CONTRAST = 3.0
"""Of graphical objects, by WCAG 1.4.11."""
APART = 6.0
"""Distance in OKLab times 100. About 2 is a difference that can just be seen side by side."""
IN_ORDER = ["boost", "reward", *FURTHER]

both_modes = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


def test_colours_are_given_out_in_order():
    assert tones(("BOOST", "REWARD", "NONE")) == {"BOOST": "boost", "REWARD": "reward", "NONE": "rest"}
    found = tones(("VIP", "REWARD", "LAPSING", "OTHERS"))
    assert list(found.items()) == [
        ("VIP", "segment_1"),
        ("REWARD", "reward"),
        ("LAPSING", "segment_2"),
        ("OTHERS", "rest"),
    ]


def test_campaigns_of_different_rules_share_one_order_with_the_newest_first():
    found = tones(("VIP", "BOOST", "NONE"), ("BOOST", "REWARD", "NONE"), ("LAPSING", "VIP", "REST"))
    assert list(found) == ["VIP", "BOOST", "REWARD", "LAPSING", "NONE", "REST"]
    assert found == {
        "VIP": "segment_1",
        "BOOST": "boost",
        "REWARD": "reward",
        "LAPSING": "segment_2",
        "NONE": "rest",
        "REST": "rest",
    }


def test_the_newest_campaign_decides_what_the_rest_is():
    assert tones(("VIP", "BOOST"), ("BOOST", "NONE")) == {"VIP": "segment_1", "BOOST": "rest", "NONE": "rest"}


def test_as_many_segments_as_rules_may_have_differ_in_colour():
    names = [f"S{number}" for number in range(MAX_SEGMENTS)]
    found = tones((*names, "NONE"))
    assert len(set(found.values())) == MAX_SEGMENTS + 1
    assert tones(tuple(f"S{number}" for number in range(50)))  # of many campaigns: the colours begin anew


@both_modes
@pytest.mark.parametrize("tone", [*IN_ORDER, "rest"])
def test_a_colour_is_seen_on_the_card(tone, dark):
    light, ground = sorted((luminance(solid(tone, dark)), luminance(value("var(--panel)", dark))), reverse=True)
    assert (light + 0.05) / (ground + 0.05) >= CONTRAST


@both_modes
@pytest.mark.parametrize(("one", "other"), [*pairwise(IN_ORDER), *((tone, "rest") for tone in IN_ORDER)])
def test_neighbours_are_told_apart(one, other, dark):
    colours = [solid(one, dark), solid(other, dark)]
    seen = [[dot(row, colour) for row in DEUTERANOPIA] for colour in colours]
    assert distance(*colours) >= APART
    assert distance(*seen) >= APART


# --- the style sheet's colours, as linear light


def solid(tone, dark):
    [body] = re.findall(rf"\.tone-{tone} \{{(.*?)\}}", TOKENS)
    return value(re.search(r"--solid: (.*?);", body)[1], dark)


def value(text, dark):
    """A colour of the style sheet: #rrggbb, a variable, light-dark() or a mixture."""
    text = text.strip()
    if text.startswith("#"):
        digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
        return [linear(int(digits[at : at + 2], 16) / 255) for at in (0, 2, 4)]
    function, inner = re.fullmatch(r"([\w-]+)\((.*)\)", text).groups()
    first, *others = split(inner)
    if function == "var":
        return value(others[0] if others else re.search(rf"^ *{first}: (.*?);", TOKENS, re.M)[1], dark)
    if function == "light-dark":
        return value(others[0] if dark else first, dark)
    start, (end, percent) = others[0], others[1].rsplit(" ", 1)
    assert (function, first) == ("color-mix", "in oklab")
    part = float(percent.removesuffix("%")) / 100
    mixed = zip(oklab(value(start, dark)), oklab(value(end, dark)), strict=True)
    return from_oklab([a + (b - a) * part for a, b in mixed])


def split(text):
    """Arguments, of which each may have commas in brackets."""
    return [part.strip() for part in re.findall(r"(?:[^,()]|\((?:[^()]|\([^()]*\))*\))+", text)]


def linear(channel):
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def luminance(colour):
    return dot((0.2126, 0.7152, 0.0722), colour)


def dot(row, colour):
    return sum(a * b for a, b in zip(row, colour, strict=True))


TO_CONES = ((0.4122214708, 0.5363325363, 0.0514459929), (0.2119034982, 0.6806995451, 0.1073969566),
            (0.0883024619, 0.2817188376, 0.6299787005))  # fmt: skip
TO_LAB = ((0.2104542553, 0.7936177850, -0.0040720468), (1.9779984951, -2.4285922050, 0.4505937099),
          (0.0259040371, 0.7827717662, -0.8086757660))  # fmt: skip
FROM_LAB = ((1, 0.3963377774, 0.2158037573), (1, -0.1055613458, -0.0638541728), (1, -0.0894841775, -1.2914855480))
FROM_CONES = ((4.0767416621, -3.3077115913, 0.2309699292), (-1.2684380046, 2.6097574011, -0.3413193965),
              (-0.0041960863, -0.7034186147, 1.7076147010))  # fmt: skip


def oklab(colour):
    """Björn Ottosson's OKLab of linear light."""
    cones = [max(0, dot(row, colour)) ** (1 / 3) for row in TO_CONES]
    return [dot(row, cones) for row in TO_LAB]


def from_oklab(lab):
    cones = [dot(row, lab) ** 3 for row in FROM_LAB]
    return [max(0, dot(row, cones)) for row in FROM_CONES]


def distance(one, other):
    return 100 * math.dist(oklab(one), oklab(other))
