"""Which wish a customer's text expresses: stop, start, help, or none.

The law lets people opt out in any words that a reasonable person understands (47 CFR 64.1200(a)(10)), so everything
that sounds like "no more" counts. One coupon less is a smaller fault than one text to a customer who has opted out.
"""

from __future__ import annotations

import re
import unicodedata

_KEYWORDS = {
    "stop": "stop", "stopall": "stop", "unsubscribe": "stop", "cancel": "stop", "end": "stop", "quit": "stop",
    "revoke": "stop", "optout": "stop",
    "start": "start", "unstop": "start",
    "help": "help", "info": "help",
}  # fmt: skip
"""Whole texts, without spaces. Those of stop are Twilio's own and the rule's examples:
https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out

YES is not among those of start, though Twilio takes it for one by default: it answers too many other questions.
"""

_ENOUGH = {
    "stop", "stopp", "stoppp", "sotp", "stpo", "stopall", "unsubscribe", "unsub", "cancel", "end", "quit", "revoke",
    "optout", "remove", "delete", "enough", "cease", "halt", "discontinue", "block",
    "alto", "pare", "paren", "parar", "para", "basta", "detener", "detengan", "detenganse", "cancelar", "baja",
    "arret", "arrete", "arretez",
}  # fmt: skip
_BESIDE = {
    "please", "pls", "plz", "thanks", "thank", "you", "ok", "okay", "just", "now", "already", "immediately", "no", "i",
    "said", "want", "need", "to", "u", "me", "us", "it", "this", "that", "these", "those", "them", "all", "everything",
    "hi", "hello", "hey", "can", "would", "could",
    "por", "favor", "ya", "gracias", "esto", "todo", "ahora", "sil", "vous", "plait", "merci",
}  # fmt: skip
"""Words that take nothing away from one of ``_ENOUGH`` in the same sentence."""
_WHOLE = {
    "no more", "please no more", "no more please", "no more thanks", "nomore", "no thanks", "no thank you", "no texts",
    "no messages", "go away", "get lost", "no gracias", "no mas",
}  # fmt: skip

_THEM = (
    r"(?:texts?|texting|txts?|txting|messages?|messaging|msgs?|sms|mms|spam|spamming|alerts?|notifications?|promos?"
    r"|promotions?|ads?|marketing)"
)
_TO_TEXT = r"(?:text|txt|messag|msg|sms|contact|spam|email|e mail|call|writ|bother|harass|annoy|pester|bug|disturb)\w*"
_NOT = r"(?:do not|dont|never|no longer)"
_AT_ALL = r"(?: (?:ever|please|you|dare|keep|be|just|again))*"
_GO_ON = "".join(f"(?<!{words} )" for words in ("dont", "do not", "i cant", "i cannot", "i couldnt", "did you"))
_ME = r"(?:me|us|(?:my|our|this|the) (?:\w+ )?(?:number|phone|cell)|(?:my|our) (?:name|info|information|data|account))"
_ESCRIBIR = r"(?:escrib|mand|envi|contact|llam|molest|texte)\w*"

_REVOCATIONS = (
    # stop texting me, quit sending these, cancel all alerts
    rf"{_GO_ON}(?:stop|quit|cease|discontinue|halt)(?! (?:by|in|over)\b)(?: \w+){{0,4}}? (?:{_TO_TEXT}|send\w*)",
    rf"{_GO_ON}(?:stop|end|cancel|block|mute)(?: (?:the|these|this|my|all|your|sms|text))* (?:{_THEM}|subscription)",
    # do not text me again, don't send me anything, I don't want these messages, no longer wish to hear from you
    rf"{_NOT}{_AT_ALL} {_TO_TEXT}",
    rf"{_NOT}{_AT_ALL} send(?:ing)? (?:me|us|these|this|those|any|anymore|more|{_THEM})",
    rf"{_NOT} (?:want|wish|need|like|care|wanna)(?: \w+){{0,5}}? (?:{_THEM}|contacted|texted|messaged|hear from)",
    r"(?:do not|dont) (?:want(?: (?:this|these|it|them|any))?(?: any ?more)?$|consent)",
    r"(?:never|did not|didnt) (?:sign|subscrib|opt|agree|consent)\w*",
    rf"no (?:more|further)(?: \w+){{0,3}}? (?:{_THEM}|coupons|offers|deals)",
    # remove me from your list, take me off, unsubscribe me, I revoke my consent
    rf"(?:remove|delete|erase|unlist|lose) {_ME}",
    rf"(?:take|get|drop|scratch|cut) {_ME}(?: \w+)? (?:off|from|out)",
    r"(?:unsub|unsuscrib|unenrol)\w*|opt(?:ing|ed)?(?: me| us)? ?out",
    r"(?:revok|withdraw|rescind)\w*(?: (?:my|our|all|any))* (?:consent|permission)",
    r"leave (?:me|us) (?:alone|be)|(?:fuck|piss|bugger) off|not interested|cut it out|knock it off",
    r"wrong (?:number|person|phone)|this is (?:spam|harassment)|report(?:ed|ing)?(?: \w+){0,3} spam",
    # no me escriban más, no quiero mensajes, dejen de escribirme, quítenme de la lista, denme de baja
    rf"no (?:me|nos) (?:\w+ )?{_ESCRIBIR}|(?:deje|dejen|deja|pare|paren|para) de {_ESCRIBIR}",
    r"no (?:molest|escrib)\w*|no (?:manden|envien|quiero|quiero recibir) (?:mas|nada)|no me interesa",
    r"no (?:quiero|deseo|queremos|mas)(?: \w+){0,3}? (?:mensajes?|textos?|sms|promociones|publicidad)",
    r"dej(?:a|e|en)(?:me|nos) en paz|(?:quit|borr|elimin|sac)(?:a|e|en)(?:me|nos)",
    r"(?:dar|darme|den|denme|deme|doy) de baja|numero equivocado",
)
_REVOCATION = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in _REVOCATIONS))
_STOP_SIGNS = set("🛑⛔🚫")


def classify(text: str, opt_out_type: str = "") -> str:
    """Which of ``TextClass`` a text is. What Twilio has made of it, its ``OptOutType``, counts first."""
    told = opt_out_type.strip().lower()
    if told in ("stop", "start", "help"):
        return told
    sentences = _sentences(text)
    words = [word for sentence in sentences for word in sentence]
    if not words:
        return "revocation" if _STOP_SIGNS & set(text) else "other"
    if keyword := _KEYWORDS.get("".join(words)):
        return keyword
    return "revocation" if any(map(_revokes, sentences)) else "other"


def _revokes(words: list[str]) -> bool:
    said = set(words)
    if said & _ENOUGH and said <= _ENOUGH | _BESIDE:
        return True
    sentence = " ".join(words)
    return sentence in _WHOLE or _REVOCATION.search(sentence) is not None


def _sentences(text: str) -> list[list[str]]:
    """The words of each sentence: no case, accents, apostrophes, emoji, or what nobody sees."""
    plain = unicodedata.normalize("NFKD", re.sub("['’‘`´ʼ＇]", "", text)).casefold()
    seen = "".join(letter for letter in plain if unicodedata.category(letter) not in ("Mn", "Cf"))
    found = [re.findall(r"[^\W_]+", sentence) for sentence in re.split(r"[.,;:!?…\n]+", seen)]
    return [words for words in found if words]
