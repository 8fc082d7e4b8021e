"""The checks of a text that a model has drafted. What fails one cannot be approved until an operator has edited it.

Each check gives a sentence that says what is wrong, with the place or the word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from engage.drafts import likeness, numbers
from engage.drafts.answer import LONGEST
from engage.texts import text_warnings
from engage.texts.characters import refuse_invisible
from engage.texts.opt_out_line import OPT_OUT_LINE
from engage.texts.sms_preview import made_up, preview
from engage.texts.sms_segments import fill
from engage.texts.template import Template

MOST_CAPITALS = 0.3
"""The share of capitals among a text's letters, in a text of at least 20."""
LONG_WORD = 4
"""Letters from which on a word in capitals shouts. Shorter ones are mostly abbreviations."""
MOST_MARKS = 2
"""Exclamation marks of a text."""
_LINK = re.compile(
    r"""[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}   # evil.com, and a full stop without a space behind it
      | \w+://\S* | \bwww\b\S* | \b(?:tel|sms|mailto|https?):\S*
      | \S*@\S+ | \b\d{1,3}(?:\.\d{1,3}){3}\b
      | [\[(]\s*dot\s*[\])] | \bdot\s+(?:com|net|org|info|biz|io|co|app|me|ly|gl)\b""",
    re.VERBOSE | re.IGNORECASE,
)
_STOPS = str.maketrans("。．｡․", "....")
_CAPITAL_WORD = re.compile(rf"\b[^\W\d_a-z]{{{LONG_WORD},}}\b")
_ALLOWED_CAPITALS = {"STOP", "HELP", "STOPALL"}


@dataclass(frozen=True)
class Standards:
    """What a text is held against. ``others``: texts that it may not resemble, by what they are, for the sentence."""

    brand: str = ""
    offer: str = ""
    has_codes: bool = False
    """Whether the settings name an offer whose codes a text may take."""
    others: Mapping[str, str] = field(default_factory=dict)


def faults(text: str, standards: Standards) -> tuple[str, ...]:
    """Why a text may not be sent as it stands, in sentences; none if it may."""
    if len(text) > LONGEST or not text.strip():
        return (f"It has {'no' if not text.strip() else f'more than {LONGEST}'} characters.",)
    try:
        refuse_invisible(text)
        template = Template.parse(text)
    except ValueError as exc:
        why = str(exc)
        return (f"{why[:1].upper()}{why[1:]}.",)
    return tuple(_faults(text, template, standards))


def _faults(text: str, template: Template, standards: Standards) -> Iterator[str]:
    yield from text_warnings.warnings(text)
    is_short = template.typical_segments() == 1
    if not is_short:
        yield _too_long(template)
    if "offer_code" in template.placeholders and not standards.has_codes:
        yield "It has {{ offer_code }}, and engage_offer names no offer whose codes it could take."
    written = " ".join(template.parts[::2]).replace(OPT_OUT_LINE, " ")  # all but placeholders
    yield from _brand(written, standards)
    yield from _numbers(written, standards)
    if link := _LINK.search(unicodedata.normalize("NFKC", written).translate(_STOPS)):
        yield f"“{link[0][:40]}” reads as a link or an address. Write other words, and a space after a full stop."
    yield from _shouts(written, standards)
    if is_short:
        yield from _resembles(text, standards)


def _too_long(template: Template) -> str:
    typical = preview(template, made_up("Maximiliane Mustermann"))
    added = f", with “{OPT_OUT_LINE}”" if template.opt_out_added else ""
    alone = fill("" if typical.plain else "…").holds
    return (
        f"It takes {template.typical_segments()} SMS segments: it has {typical.characters} characters with a longish "
        f"name{added}, and one segment holds {alone}. Shorten it."
    )


def _brand(written: str, standards: Standards) -> Iterator[str]:
    name = " ".join(standards.brand.casefold().split())
    if name and name not in " ".join(written.casefold().split()):
        yield f"It does not name {standards.brand}."


def _numbers(written: str, standards: Standards) -> Iterator[str]:
    if strange := numbers.unknown(written, f"{standards.offer} {standards.brand}"):
        found = ", ".join(f"“{one}”" for one in strange)
        yield f"It has {found}, which the offer “{standards.offer}” does not have."


def _shouts(written: str, standards: Standards) -> Iterator[str]:
    own = set(re.findall(r"\w+", f"{standards.brand} {standards.offer}")) | _ALLOWED_CAPITALS
    words = re.findall(r"\w+", written)
    if loud := [word for word in words if _CAPITAL_WORD.fullmatch(word) and word not in own]:
        yield f"“{loud[0][:40]}” shouts. Write it in small letters."
    letters = [letter for word in words if word not in own for letter in word if letter.isalpha()]
    capitals = sum(map(str.isupper, letters))
    if capitals > MOST_CAPITALS * max(len(letters), 20):
        yield f"{capitals} of its {len(letters)} letters are capitals, which shouts. Write in small letters."
    if "!!" in written or written.count("!") > MOST_MARKS:
        yield f"It has {written.count('!')} exclamation marks, which shout. Leave all but one out."


def _resembles(text: str, standards: Standards) -> Iterator[str]:
    common = (standards.brand, standards.offer)
    alike = {name: likeness.likeness(text, other, common=common) for name, other in standards.others.items()}
    closest = max(alike, key=lambda name: alike[name], default=None)
    if closest is not None and alike[closest] >= likeness.LIMIT:
        yield (
            f"It is {alike[closest]:.0%} like {closest}: the words beside the brand and the offer are the same. From "
            f"{likeness.LIMIT:.0%} on a comparison shows nothing. Give it an idea of its own."
        )
