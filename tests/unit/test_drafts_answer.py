"""The texts in what a model wrote, in each form in which models write them."""

from __future__ import annotations

import json

import pytest

from engage.drafts.answer import LONGEST, MOST, Found, texts

PLAIN = json.dumps({"texts": ["One {{ name }}", "Two"]})
BOTH = Found(("One {{ name }}", "Two"))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        json.dumps(json.loads(PLAIN), indent=2),
        '["One {{ name }}", "Two"]',
        f"```json\n{PLAIN}\n```",
        f"Sure! Here are {{two}} texts [as asked]:\n\n{PLAIN}\n\nAnything else?",
        f"<think>They want {{texts}}, perhaps [1] or [].</think>\n{PLAIN}",
        '{"note": "two", "texts": [{"text": "One {{ name }}"}, {"message": "Two"}]}',
        '{"messages": ["One {{ name }}", "Two"]}',
        '{"texts": ["  One {{ name }}\\n", "Two"]}',
    ],
)
def test_texts_are_found_in_json_among_prose_and_in_fences(content):
    assert texts(content) == BOTH


@pytest.mark.parametrize(
    "content",
    [
        '{"texts": ["One {{ name }}", "Two", "Thr',
        '{"texts": ["One {{ name }}", "Two", ',
        '{"texts": ["One {{ name }}", "Two"',
        '["One {{ name }}", "Two", "Thr',
        '```json\n{"texts": [\n  "One {{ name }}",\n  "Two",\n  "Th\\',
    ],
)
def test_a_cut_answer_gives_its_whole_texts(content):
    assert texts(content) == BOTH


@pytest.mark.parametrize(
    "content",
    ["", "No.", "{", '{"texts": "One"}', '{"texts": []}', '{"texts": {"a": "b"}}', "[" * 5000, '{"a":' * 5000, "7",
     '{"texts": ["Thr', "Come to [Taco Town] for 10% off."],
)  # fmt: skip
def test_an_answer_without_texts_gives_none(content):
    assert texts(content).texts == ()


def test_items_of_other_types_are_counted_and_left_out():
    content = json.dumps({"texts": ["One", 7, None, ["Two"], {"text": 8}, {}, "", "Three"]})
    assert texts(content) == Found(("One", "Three"), no_texts=6)


def test_too_many_and_too_long_texts_are_cut():
    assert len(texts(json.dumps({"texts": ["x"] * 500})).texts) == MOST
    [text] = texts(json.dumps({"texts": ["x" * 50_000]})).texts
    assert len(text) == LONGEST + 1  # which the checks refuse


def test_what_no_database_keeps_is_replaced_and_letters_are_composed():
    content = '{"texts": ["a\\u0000b\\ud800c", "cafe\\u0301", "a\\r\\nb\\rc"]}'
    assert texts(content).texts == ("a\ufffdb\ufffdc", "café", "a\nb\nc")
