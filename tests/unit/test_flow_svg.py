"""The drawing of moves between segments: with many segments, and with long names."""

import re

from engage.pages.flow_svg import flows

MANY = {f"A_SEGMENT_WITH_A_LONG_NAME_{n:02}": f"segment_{n}" for n in range(1, 21)} | {"NONE": "rest"}


def test_twenty_segments_have_bars_of_some_height_inside_the_drawing():
    drawn = flows(MANY, {(name, "NONE"): 10 for name in MANY}, "words")
    height = int(re.search(r'viewBox="0 0 300 (\d+)"', drawn)[1])
    bars = [
        (float(y), float(size)) for y, size in re.findall(r'<rect [^>]*y="([\d.-]+)"[^>]* height="([\d.-]+)"', drawn)
    ]
    assert len(bars) == 42
    assert all(size > 0 and y + size <= height for y, size in bars)
    assert drawn.count("<path ") == 20


def test_a_long_name_is_cut_and_whole_in_its_title():
    drawn = flows(MANY, {}, "words")
    assert "<title>A_SEGMENT_WITH_A_LONG_NAME_01</title>A_SEGMEN…</text>" in drawn
    assert "<title>NONE</title>NONE</text>" in drawn
