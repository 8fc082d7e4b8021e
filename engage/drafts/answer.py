"""The texts in what a model wrote: JSON as it was asked for, JSON among prose or in a fence, or JSON that was cut."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

FIELD = "texts"
"""The field of the JSON object that the model is asked for."""
MOST = 20
"""Texts that are taken from one answer."""
LONGEST = 1000
"""Characters that are kept of a text. No message is that long."""
_CONTENT = 200_000
"""Characters of an answer that are looked at."""
_TRIES = 50
"""Places of an answer at which JSON may begin."""
_BEGINS = re.compile(r"[\[{]")
_LIST = re.compile(rf'"{FIELD}"\s*:\s*\[|^\s*\[', re.MULTILINE)
_SEPARATOR = re.compile(r"[\s,]*")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that no database keeps. A text with one is refused by the checks, as its substitute is not plain."""


@dataclass(frozen=True)
class Found:
    """The texts of an answer, and how many of its items were none."""

    texts: tuple[str, ...]
    no_texts: int = 0


def texts(content: str) -> Found:
    """The texts in an answer, in order; no text if there is no JSON with any."""
    content = content[:_CONTENT]
    whole = max(_whole(content), key=lambda found: sum(map(bool, map(_text, found))), default=[])
    items = whole if any(map(_text, whole)) else _complete_items(content)
    read = [_text(item) for item in items]
    kept = [text for text in read if text]
    return Found(tuple(kept[:MOST]), no_texts=len(read) - len(kept))


def _whole(content: str) -> Iterator[list[object]]:
    """The lists of texts in each complete piece of JSON."""
    decoder, end = json.JSONDecoder(), 0
    for tried, begin in enumerate(_BEGINS.finditer(content)):
        if tried == _TRIES:
            return
        if begin.start() < end:
            continue
        try:
            found, end = decoder.raw_decode(content, begin.start())
        except (ValueError, RecursionError):
            continue
        yield _list_in(found)


def _list_in(found: object) -> list[object]:
    if isinstance(found, dict):
        found = found.get(FIELD) or next((value for value in found.values() if isinstance(value, list)), [])
    return found if isinstance(found, list) else []


def _complete_items(content: str) -> list[object]:
    """The items of a list that was cut, up to the last complete one."""
    decoder = json.JSONDecoder()
    found: list[object] = []
    begin = _LIST.search(content)
    place = begin.end() if begin else len(content)
    while len(found) < 2 * MOST:
        place = _SEPARATOR.match(content, place).end()  # type: ignore[union-attr] # it matches at any place
        try:
            item, place = decoder.raw_decode(content, place)
        except (ValueError, RecursionError):
            break
        found.append(item)
    return found


def _text(item: object) -> str:
    """The text of one item: a string, or an object with one; empty if it is none."""
    if isinstance(item, dict):
        item = item.get("text") or item.get("message")
    if not isinstance(item, str):
        return ""
    storable = _UNSTORABLE.sub("\ufffd", item)
    return unicodedata.normalize("NFC", storable.replace("\r\n", "\n").replace("\r", "\n")).strip()[: LONGEST + 1]
