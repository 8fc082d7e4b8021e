"""One language's ways to say "no more texts", as its TOML file has them, and how they are looked for.

A file has these keys. Everything in it is folded as the texts are (``plain_words.fold``), so it may have accents.

- ``script``: a pattern for a character that only texts of this language, or of its neighbours, have.
- ``spaced``: false if the patterns look at sentences without spaces.
- ``enough``: words that say stop on their own; ``beside``: words that take nothing away from them in the same clause.
- ``whole``: patterns of whole texts.
- ``innocent``: patterns of phrases that have a word of stopping in them and are about something else, such as orders.
  They are taken out before anything else is looked for.
- ``revokes``: patterns of phrases that take the consent away, anywhere in a sentence.
- ``words``: parts of patterns. ``<them>`` in a pattern is the part of that name, ``<end>`` is a clause's end.

``~3`` in a pattern is up to three other words of the same clause; in a language without spaces, up to three characters.
Nothing in a pattern may look on without a bound: the time for a text must not grow with the square of its length.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from engage.texts.plain_words import fold

_END = r"(?=$| ,)"
_NEVER = r"(?!)"


@dataclass(frozen=True)
class Language:
    """A language, read from its file when a text of its script comes."""

    file: Path

    def opts_out(self, sentences: list[str]) -> bool:
        """Whether one of the sentences, as ``plain_words.sentences`` gives them, takes the consent away."""
        if not self._spaced:
            sentences = [sentence.replace(" ", "") for sentence in sentences]
        whole = (" " if self._spaced else "").join(sentences).replace(" ,", "").replace(",", "")
        return self._whole.fullmatch(whole) is not None or any(map(self._says_stop, sentences))

    def writes(self, text: str) -> bool:
        """Whether the text has a character of the language's script."""
        return self._script.search(text) is not None

    def without_innocent(self, sentence: str) -> str:
        """The sentence with a ``~`` in place of each innocent phrase."""
        return self._innocent.sub("~", sentence)

    def _says_stop(self, sentence: str) -> bool:
        left = self.without_innocent(sentence)
        return any(map(self._only_enough, left.split(","))) or self._revokes.search(left) is not None

    def _only_enough(self, clause: str) -> bool:
        if not self._spaced:
            return self._enough_alone.fullmatch(clause) is not None
        words = set(clause.split())
        return bool(words & self._enough) and words <= self._enough | self._beside

    # compiled when a text of the script comes, not at each start

    @cached_property
    def _rules(self) -> dict[str, Any]:
        return tomllib.loads(self.file.read_text(encoding="utf-8"))

    @cached_property
    def _script(self) -> re.Pattern[str]:
        return re.compile(self._rules["script"])

    @cached_property
    def _spaced(self) -> bool:
        return bool(self._rules.get("spaced", True))

    @cached_property
    def _enough(self) -> frozenset[str]:
        return frozenset(fold(self._rules["enough"]).split())

    @cached_property
    def _beside(self) -> frozenset[str]:
        return frozenset(fold(self._rules["beside"]).split())

    @cached_property
    def _enough_alone(self) -> re.Pattern[str]:
        beside = rf"(?:{'|'.join(self._rules['beside'].split())}){{0,4}}+"
        return re.compile(fold(rf"{beside}(?:{'|'.join(self._rules['enough'].split())}){beside}"))

    @cached_property
    def _whole(self) -> re.Pattern[str]:
        return self._any("whole")

    @cached_property
    def _innocent(self) -> re.Pattern[str]:
        return self._any("innocent", at_words=self._spaced)

    @cached_property
    def _revokes(self) -> re.Pattern[str]:
        return self._any("revokes", at_words=self._spaced)

    def _any(self, key: str, *, at_words: bool = False) -> re.Pattern[str]:
        either = "|".join(map(self._spelt_out, self._rules.get(key, []))) or _NEVER
        return re.compile(fold(rf"\b(?:{either})\b" if at_words else either))

    def _spelt_out(self, pattern: str) -> str:
        parts = self._rules.get("words", {})
        while "<" in re.sub(r"\(\?<[=!]", "", pattern):
            pattern = re.sub(r"<(\w+)>", lambda found: _END if found[1] == "end" else parts[found[1]], pattern)
        if self._spaced:
            return re.sub(r" ~(\d) ", r"(?: \\w++){0,\1}? ", pattern)
        return re.sub(r"~(\d+)", r"[^,]{0,\1}?", pattern)
