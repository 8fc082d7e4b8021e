"""Words written with characters of another script that look like the right ones: ``ЅТОР``, ``ST0P``."""

from __future__ import annotations

import re

_LATIN_FOR = str.maketrans("авсѕеніјкмортухαβεηικμνορτυχζσς015", "abcsehijkmoptyxabehikmnoptyxzssois")
_CYRILLIC_FOR = str.maketrans("aceopxykmthbi", "асеорхукмтнві")
_WORTH_IT = {
    "ctop": "stop", "stop": "stop", "stopp": "stop", "stopall": "stopall", "unsubscribe": "unsubscribe",
    "cancel": "cancel", "quit": "quit", "optout": "optout", "end": "end", "start": "start", "help": "help",
}  # fmt: skip
"""Keywords by how they look. C is for S to those who read Cyrillic."""
_LATIN, _OTHER, _CYRILLIC = re.compile("[a-z]"), re.compile("[^a-z]"), re.compile("[\u0400-\u04ff]")


def in_plain_letters(sentence: str) -> str:
    """A sentence of ``plain_words.sentences`` with keywords in Latin letters, and mixed words in Cyrillic ones."""
    return " ".join(map(_plain, sentence.split(" ")))


def _plain(word: str) -> str:
    if len(word) > 12 or not _OTHER.search(word):
        return word
    if keyword := _WORTH_IT.get(word.translate(_LATIN_FOR)):
        return keyword
    mixed = _LATIN.search(word) and _CYRILLIC.search(word)
    return word.translate(_CYRILLIC_FOR) if mixed else word
