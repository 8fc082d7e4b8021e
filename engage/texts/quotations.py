"""What a customer says beside what they quote: reactions of phones, and copies of the message that they answer.

An iPhone or Android phone turns a reaction into a text that quotes the message: ``Loved “… Reply STOP to opt out.”``.
The words in it are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from engage.texts.opt_out_line import says_how_to_opt_out
from engage.texts.reactions import reaction_after, reaction_before

_OPENING = re.compile('[“„”«»「『‹"]')
_CLOSING = '”“"»«」』›'
_QUOTED = re.compile(
    '“[^“”]*+”|„[^„“”]*+[“”]|«[^«»]*+»|»[^«»]*+«|"[^"]*+"|「[^「」]*+」|『[^『』]*+』|‹[^‹›]*+›|”[^”]*+”'
)
_QUOTED_LINE = re.compile(r"^[ \t]*(?:>|&gt;).*$", re.M)
_SENTENCE = re.compile(r"[^.!?。！？\n]*[.!?。！？\n]*")
_COPIED_WORDS = 8
"""So many words in front of a way out make it the end of our message. Customers who want out are brief."""


def without_quotations(text: str, sent: Iterable[str] = ()) -> str:
    """What the customer says themselves.

    Args:
        text: the customer's text.
        sent: what was sent to this phone, as far as it is known.
    """
    for ours in sent:
        text = _without(text, ours)
    text = _QUOTED_LINE.sub(" ", text)
    return _without_copy(_QUOTED.sub(_dropped_if_ours, _without_reaction(text)))


def _without(text: str, ours: str) -> str:
    words = [re.escape(word) for word in ours.split()]
    return re.sub(r"\s+".join(words), " ", text, flags=re.I) if len(words) > 3 else text


def _without_reaction(text: str) -> str:
    """All between the first and the last quotation mark goes, if a reaction stands before or after it."""
    begins = _OPENING.search(text)
    if begins is None:
        return text
    start = begins.start()
    end = max(text.rfind(mark, start + 1) for mark in _CLOSING)
    before, after = text[:start], text[end + 1 :] if end > start else ""
    if reaction_before(before):
        return after
    first_end = min((n for mark in _CLOSING if (n := text.find(mark, start + 1)) > 0), default=len(text))
    return f"{before} {after}" if reaction_after(text[first_end + 1 :]) else text


def _dropped_if_ours(quoted: re.Match[str]) -> str:
    """A quotation that has a way out in it, and more than that, is our message."""
    longer = len(quoted[0].split()) > 5 or len(_SENTENCE.findall(quoted[0].strip())) > 3
    return " " if longer and says_how_to_opt_out(quoted[0]) else quoted[0]


def _without_copy(text: str) -> str:
    """The text without the way out at the end of our message, copied without quotation marks."""
    left, words = "", 0
    for sentence in _SENTENCE.findall(text):
        if words < _COPIED_WORDS or not says_how_to_opt_out(sentence):
            left += sentence
        words += len(sentence.split())
    return left
