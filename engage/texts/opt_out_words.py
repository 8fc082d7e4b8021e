"""Which wish a customer's text expresses: stop, start, help, or none.

The law lets people opt out in any words that a reasonable person understands (47 CFR 64.1200(a)(10)). So everything
that sounds like "no more" counts, when it is said to us. One coupon less is a smaller fault than one text to a customer
who has opted out.

In order: what a customer quotes is left out (``quotations``), the rest becomes plain words (``plain_words``,
``look_alikes``), a keyword counts if it is the whole text, and otherwise each language looks for its phrases
(``opt_out_languages``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from engage.statuses import TextClass
from engage.texts.look_alikes import in_plain_letters
from engage.texts.opt_out_languages import languages_that_opt_out
from engage.texts.plain_words import sentences, shortened
from engage.texts.quotations import without_quotations

_KEYWORDS = {
    "stop": TextClass.STOP, "stopall": TextClass.STOP, "unsubscribe": TextClass.STOP, "cancel": TextClass.STOP,
    "end": TextClass.STOP, "quit": TextClass.STOP, "revoke": TextClass.STOP, "optout": TextClass.STOP,
    "start": TextClass.START, "unstop": TextClass.START,
    "help": TextClass.HELP, "info": TextClass.HELP,
}  # fmt: skip
"""Whole texts, without spaces. Those of stop are Twilio's own and the rule's examples:
https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out

YES is not among those of start, though Twilio takes it for one by default: it answers too many other questions.
"""
_HALF = 1000
"""Of longer texts only the first and last so many characters are read. Twilio takes texts of up to 1,600."""
_STOP_SIGNS = set("🛑⛔🚫📵🖕")
_ADDRESSES = re.compile(r"(?<!\S)(?:[^\s@]+@|https?://|www\.)\S+", re.I)
_ANOTHER_PERSON = re.compile(
    r"\b(?:I(?: am|['’]?m) not|[Tt]his is(?:n['’]t| not)|[Nn]o soy|[Nn]on sono|[Nn]ão sou|[Jj]e (?:ne )?suis pas"
    r"|[Ii]k ben niet|[Hh]ier ist nicht)(?! \w*(?:ian|ican|ish|ese|nch|tch|man|slim|indu|eek|panic|tin[oa]|gan)\b)"
    r" [A-ZÀ-Ý][a-zà-ÿ]+(?: [A-ZÀ-Ý][a-zà-ÿ]+)?(?=[.!,?\n]|$)"
)
"""The only rule that needs capitals: they make a name. I am not Susan, but not: I am not hungry."""


def classify(text: str, opt_out_type: str = "", sent: Iterable[str] = ()) -> TextClass:
    """What a text asks for.

    Args:
        text: the customer's text.
        opt_out_type: what Twilio has made of it, its ``OptOutType``. It counts first.
        sent: what was sent to this phone, which the customer may quote.
    """
    named = opt_out_type.strip().lower()
    if named in (TextClass.STOP, TextClass.START, TextClass.HELP):
        return TextClass(named)
    if len(text) > 2 * _HALF:
        text = f"{text[:_HALF]}\n{text[-_HALF:]}"
    said = _ADDRESSES.sub(" ", without_quotations(text, sent))
    found = [in_plain_letters(sentence) for sentence in sentences(said)]
    if not found:
        return TextClass.REVOCATION if _STOP_SIGNS & set(said) else TextClass.OTHER
    if keyword := _KEYWORDS.get("".join(found).replace(" ", "").replace(",", "")):
        return keyword
    if _ANOTHER_PERSON.search(said) or any(languages_that_opt_out([shortened(sentence) for sentence in found])):
        return TextClass.REVOCATION
    return TextClass.OTHER
