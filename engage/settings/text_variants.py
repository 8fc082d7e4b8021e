"""The texts of one segment by variant and language: each with its name, and what is odd about them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from engage.texts import text_warnings

ByVariant = Mapping[str, Mapping[str, str]]
"""Texts by variant and language; the empty language is for all customers whose language the variant lacks."""


@dataclass(frozen=True)
class OneText:
    """A text of a segment. ``variant`` is empty if the segment has one only, ``language`` if it is for all others."""

    variant: str
    language: str
    text: str

    @property
    def name(self) -> str:
        """The name among the segment's texts, such as ``b in es``; empty for the only one."""
        return " in ".join(filter(None, (self.variant, self.language)))

    def named_after(self, segment: str) -> str:
        """The name among all texts, such as ``BOOST b in es`` or ``BOOST in es``."""
        return f"{segment} {self.variant}".rstrip() + (f" in {self.language}" if self.language else "")


def each(found: ByVariant) -> tuple[OneText, ...]:
    """The texts one by one."""
    several = len(found) > 1
    return tuple(
        OneText(variant if several else "", language, text)
        for variant, texts in found.items()
        for language, text in texts.items()
    )


def warnings(found: ByVariant) -> tuple[str, ...]:
    """What the operator should know of the texts before they go out."""
    return (*_of_each(found), *_of_all(found))


def _of_each(found: ByVariant) -> Iterator[str]:
    for one in each(found):
        odd = text_warnings.warnings(one.text)
        if one.language and not one.language.startswith("en"):
            odd += text_warnings.english_words(one.text)
        yield from (f"{one.name}: {why}" if one.name else why for why in odd)


def _of_all(found: ByVariant) -> Iterator[str]:
    for one, other in combinations(found, 2):
        if found[one] == found[other]:
            yield f"{one} and {other} are the same text, so a comparison of them shows nothing."
    languages = dict.fromkeys(language for texts in found.values() for language in texts)
    for variant, texts in found.items():
        if missing := [language for language in languages if language not in texts]:
            yield f"{variant}: it has no text in {', '.join(missing)}; these customers read its text for all others."
