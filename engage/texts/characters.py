"""Characters that a reader does not see, and names and places of characters for a message to the operator.

Invisible are those that Unicode lists as default ignorable, controls, and blanks that are no spaces. Joiners and
variation selectors stay where a script or an emoji needs them (Unicode Standard, sections 23.2 and 23.4; UTS 51, 1.4).
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINERS = "\u200c\u200d"
_SELECTORS = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_EMOJI_SELECTORS = "\ufe0e\ufe0f"
_KEYCAP = "\u20e3"
_SYMBOLS = {"So", "Sm", "Sk", "Cn"}
"""Categories of emoji; a new emoji is unassigned in an older Unicode."""
_SHOWN = 20


def refuse_invisible(text: str) -> None:
    """Refuse a text with an invisible character; line ends are allowed.

    Raises:
        ValueError: names the first one and its place.
    """
    for found in _INVISIBLE.finditer(text):
        if not _needed(text, found.start()):
            where = place(text, found.start())
            raise ValueError(f"it has the invisible character {named(found[0])} {where}, which a text cannot have")


def visible(text: str) -> str:
    """The text in the normal form NFC, without its invisible characters."""
    while True:
        composed = unicodedata.normalize("NFC", text)
        kept = _INVISIBLE.sub(lambda found: found[0] if _needed(found.string, found.start()) else "", composed)
        if kept == text:
            return text
        text = kept


def named(character: str) -> str:
    """A character's number and name in Unicode, such as ``U+200B ZERO WIDTH SPACE``."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def place(text: str, index: int) -> str:
    """Where a character stands in a text, counted from 1, and the words before it."""
    before = re.sub(r"\s", " ", text[:index])
    if len(before) > _SHOWN:
        before = before[-_SHOWN:].partition(" ")[2] or before[-_SHOWN:]
    return f"at position {index + 1}" + (f", after “{before}”" if before else "")


def _needed(text: str, index: int) -> bool:
    """Whether a joiner or a variation selector changes how the characters around it look."""
    character, before, after = text[index], text[index - 1 : index], text[index + 1 : index + 2]
    if not before:
        return False
    if character in _JOINERS:
        return _joins(before) and (_ends_in_a_joiner(before) or bool(after and not after.isascii() and _joins(after)))
    if not _SELECTORS.match(character):
        return False
    if unicodedata.category(before) == "Lo":
        return True
    if character not in _EMOJI_SELECTORS:
        return False
    return (
        unicodedata.category(before) in _SYMBOLS or before in "‼⁉〰ℹ" or (before in "0123456789#*" and after == _KEYCAP)
    )


def _joins(character: str) -> bool:
    """Whether a character is of a script whose letters join, or an emoji."""
    category = unicodedata.category(character)
    if category == "Mn":
        return not "\u0300" <= character <= "\u036f"
    return category in {"Lo", "Mc"} | _SYMBOLS and not _invisible_letter(character)


def _ends_in_a_joiner(character: str) -> bool:
    """Whether a joiner changes the character also at the end of a word: an Arabic letter, or a virama."""
    return unicodedata.bidirectional(character) == "AL" or unicodedata.combining(character) == 9


def _invisible_letter(character: str) -> bool:
    return _INVISIBLE.match(character) is not None
