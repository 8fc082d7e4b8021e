"""How many SMS segments a text takes, by the numbers of 3GPP TS 23.038 and TS 23.040."""

import pytest

from engage.texts.sms_segments import fill, segments


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),  # two septets each
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the euro sign is not split: 152, then 2 + 151, and one more
        ("ñàéÉßΩ" * 26, 1),
        ("é" * 160, 1),
        ("ê" * 70, 1),  # not in the basic alphabet
        ("ê" * 71, 2),
        ("ê" * 134, 2),
        ("ê" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),  # 33 in each segment: a surrogate pair is not split
        ("😀" * 67, 3),
        ("a" * 159 + "’", 3),  # one typographic mark makes all 160 characters UCS-2
    ],
)
def test_a_text_takes_this_many_parts(text, count):
    assert segments(text) == count


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", 160),
        ("a" * 93, 67),
        ("a" * 160, 0),
        ("a" * 161, 306 - 161),
        ("€" * 10, 140),
        ("a" * 152 + "€" + "a" * 8, 153 - 10),  # the euro sign went into the second segment
        ("ê" * 10, 60),
        ("😀" * 34, 2),
        ("😀" * 36, 67 - 6),  # 33 in the first segment
    ],
)
def test_room_is_left_in_the_last_segment(text, left):
    assert fill(text).left == left
    assert segments(text + ("a" if set(text) <= set("a€") else "ê") * left) == segments(text)
    assert segments(text + "ê" * (left + 1)) > segments(text)
