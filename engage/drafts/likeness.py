"""How alike two texts are: what a reader would take for the same text with other words in a few places."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from engage.texts.opt_out_line import OPT_OUT_LINE
from engage.texts.plain_words import fold

LIMIT = 0.7
"""From here on two texts count as near-duplicates."""
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_WORD = re.compile(r"\w+")


def likeness(one: str, other: str, *, common: Iterable[str] = ()) -> float:
    """From 0 to 1: the share of words that both texts have, in the same order or in any, whichever is more.

    Case, accents, signs, placeholders and the line on how to opt out do not count. Neither do the words of ``common``,
    which every text of an offer has. Texts that hold nothing else are compared with them.
    """
    left_out = set(_words(" ".join(common)))
    mine, others = _words(one), _words(other)
    kept, kept_others = ([word for word in words if word not in left_out] for words in (mine, others))
    if kept and kept_others:
        mine, others = kept, kept_others
    if not mine or not others:
        return float(mine == others)
    in_order = SequenceMatcher(None, mine, others, autojunk=False).ratio()
    all_words = set(mine) | set(others)
    return max(in_order, len(set(mine) & set(others)) / len(all_words))


def written(text: str) -> str:
    """What the writer of a text has chosen: all but its placeholders and the line on how to opt out."""
    return _PLACEHOLDER.sub(" ", text.replace(OPT_OUT_LINE, " "))


def _words(text: str) -> list[str]:
    return _WORD.findall(fold(written(text)))
