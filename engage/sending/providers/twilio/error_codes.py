"""Twilio's error numbers: what each means for a message, in our words and as a fact.

Source: https://www.twilio.com/docs/api/errors
"""

from __future__ import annotations

from dataclasses import dataclass

from engage.sending.providers.protocol import Outcome
from engage.statuses import ProviderFact


@dataclass(frozen=True)
class TwilioError:
    """What an error number means. ``outcome`` is that of a request which Twilio answers with it, None if not known."""

    outcome: Outcome | None
    words: str | None
    fact: ProviderFact | None = None


_LATER = {
    14107: "too many requests",
    20429: "too many requests",
    21611: "the queue is full",
    30001: "the queue is full",
}
_REFUSED = {
    20003: "the account or its token is wrong",
    20005: "the account is not active",
    20404: "there is no such account or messaging service",
    21212: "the sender's number is not valid",
    21603: "there is no sender's number",
    21606: "the sender's number cannot send texts",
    21659: "the sender's number is not this account's",
    21660: "the sender's number is not this account's",
    21701: "there is no such messaging service",
    21703: "the messaging service has no numbers",
    21705: "there is no such messaging service",
    30002: "the account is suspended",
    63038: "the account's daily limit is reached",
}
_FAILED = {
    21211: ("not a valid number", ProviderFact.NUMBER_INVALID),
    21214: ("cannot be reached", ProviderFact.UNREACHABLE),
    21217: ("not a valid number", ProviderFact.NUMBER_INVALID),
    21408: ("region not permitted", ProviderFact.REGION_NOT_PERMITTED),
    21610: ("has told the provider to stop", ProviderFact.OPTED_OUT),
    21612: ("cannot be reached from the sender", ProviderFact.UNREACHABLE),
    21614: ("not a mobile number", ProviderFact.NOT_MOBILE),
    21617: ("the text is too long", ProviderFact.TEXT_TOO_LONG),
    30003: ("unreachable", ProviderFact.UNREACHABLE),
    30004: ("blocked", ProviderFact.BLOCKED),
    30005: ("unknown number", ProviderFact.NUMBER_INVALID),
    30006: ("a landline", ProviderFact.NOT_MOBILE),
    30007: ("filtered as spam", ProviderFact.FILTERED),
    30008: ("not delivered", None),
    30022: ("the sender's registration allows no more texts now", ProviderFact.SENDER_LIMIT_REACHED),
    30023: ("the daily limit of the sender's registration is reached", ProviderFact.SENDER_LIMIT_REACHED),
    30027: ("the network's daily limit for the sender is reached", ProviderFact.SENDER_LIMIT_REACHED),
    30032: ("the sender's number is not verified", ProviderFact.SENDER_NOT_REGISTERED),
    30034: ("the sender's number is not registered", ProviderFact.SENDER_NOT_REGISTERED),
}

_NO_ERROR = TwilioError(None, None)
_NOT_KNOWN = TwilioError(None, "an error that Engage does not know")
_KNOWN = (
    {code: TwilioError(Outcome.LATER, words) for code, words in _LATER.items()}
    | {code: TwilioError(Outcome.REFUSED, words) for code, words in _REFUSED.items()}
    | {code: TwilioError(Outcome.FAILED, words, fact) for code, (words, fact) in _FAILED.items()}
)


def explain(code: int | None) -> TwilioError:
    """What an error number means; without a number there are no words."""
    return _NO_ERROR if code is None else _KNOWN.get(code, _NOT_KNOWN)
