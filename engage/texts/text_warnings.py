"""What the operator should know of a message text before it goes out: costly characters, and false placeholders."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from engage.texts import sms_segments
from engage.texts.characters import named, place
from engage.texts.template import ENGLISH, PLACEHOLDERS, Template

_SHOWN = 3
"""Characters that one warning names."""
_PLAIN = dict.fromkeys("‘’‚‛′´`", "'") | dict.fromkeys("“”„‟″«»", '"') | dict.fromkeys("‐‑‒–—―−•", "-")
_PLAIN |= {"…": "...", "×": "x", "‹": "<", "›": ">"}

_OURS = re.compile(r"\{\{[-\s]*\w+[-\s]*\}\}")
_LOOKS_LIKE_ONE = re.compile(
    r"""\$?\{+ \s* (?P<braces> [^\W\d] [\w\ .-]{0,30}? ) \s* \}+
      | %+ (?P<percent> [^\W\d] [\w-]{0,30} ) %+
      | \*\| \s* (?P<bars> [^\W\d] [\w\ .:-]{0,30}? ) \s* \|\*
      | <+ (?P<angles> [^\W\d] [\w-]{0,30} (?:\ [\w-]{1,15})? ) >+
      | \[+ \s* (?P<squares> [^\W\d] [\w\ -]{0,30}? ) \s* \]+
      | \# (?P<hashes> [^\W\d] [\w-]{0,30} ) \#
      | __ (?P<dunder> [^\W\d_] \w{0,30}? ) __
      | [$@:]? (?P<bare> \b (?:first_name|last_name|total_spend|weekly_sessions) \b )""",
    re.VERBOSE | re.IGNORECASE,
)
_FREE = {"squares", "hashes", "dunder"}
"""Marks that plain texts have as well, as in ``[Taco Town]``: they count only around the name of a field."""
_WORDS = {
    "total_spend": "spend|spent|total",
    "weekly_sessions": "session|visit",
    "first_name": "first|fname|given",
    "name": "name",
}
"""For each placeholder, parts of the names that other systems give it; the first match counts."""
_FIELD = re.compile(r"(first|last|full|given|family|user|customer|client|contact|member|f|l)?_?name|.*(spend|sessions)")


def warnings(text: str) -> tuple[str, ...]:
    """Sentences about a template that ``Template.parse`` accepts; none if all is well."""
    text = unicodedata.normalize("NFC", text)
    return tuple(filter(None, (costly_characters(text), *_false_placeholders(text))))


def english_words(text: str) -> tuple[str, ...]:
    """Which English words some customers would read in a text of another language."""
    return tuple(
        f"{who} reads “{word}” in place of {{{{ {name} }}}}."
        for name, (word, who) in ENGLISH.items()
        if name in Template.parse(text).placeholders
    )


def costly_characters(text: str) -> str:
    """Which characters of a template make it UCS-2, where they stand, and what they cost; empty if there are none."""
    costly = [character for character in dict.fromkeys(text) if not sms_segments.is_plain(character)]
    if not costly:
        return ""
    shown = ", ".join(f"{_shown(character)} {place(text, text.index(character))}" for character in costly[:_SHOWN])
    more = f", and {len(costly) - _SHOWN} more" if len(costly) > _SHOWN else ""
    otherwise = Template.parse(
        "".join(_plain(character) or "x" if character in costly else character for character in text)
    )
    needed, plain = Template.parse(text).typical_segments(), otherwise.typical_segments()
    number = f"{needed} segment{'s' if needed > 1 else ''}"
    price = f": it takes {number} instead of {plain}" if needed > plain else f"; it still takes {number}"
    instead = dict.fromkeys({" ": "a space"}.get(each, each) for each in map(_plain, costly[:_SHOWN]) if each)
    advice = f" Write {' or '.join(instead)} instead." if instead else ""
    return f"It has {shown}{more}. That makes the whole text UCS-2{price}.{advice}"


def _shown(character: str) -> str:
    """The character with its name; one that shows nothing by itself only with its name."""
    blank = character.isspace() or unicodedata.category(character)[0] in "CM"
    return named(character) if blank else f"“{character}” ({named(character)})"


def _plain(character: str) -> str:
    """What the basic alphabet has in place of a typographic character; empty if it has nothing like it."""
    return " " if character.isspace() else _PLAIN.get(character, "")


def _false_placeholders(text: str) -> Iterator[str]:
    others = _OURS.sub(lambda found: " " * len(found[0]), text)
    for found in _LOOKS_LIKE_ONE.finditer(others):
        marks = str(found.lastgroup)
        field = re.sub(r"[\W_]+", "_", found[marks]).strip("_").lower()
        if marks not in _FREE or _FIELD.fullmatch(field):
            yield (
                f"“{found[0]}” at position {found.start() + 1} looks like a placeholder and is sent as it stands. "
                f"{_meant(field)}."
            )


def _meant(field: str) -> str:
    for name, words in _WORDS.items():
        if re.search(words, field):
            return f"Write {{{{ {name} }}}}"
    return f"If it is one, the placeholders are {', '.join(f'{{{{ {name} }}}}' for name in PLACEHOLDERS)}"
