"""What Twilio's statuses and error numbers mean to a message, https://www.twilio.com/docs/api/errors.

Our own words for them, as Twilio's sentences may repeat the phone number.
"""

from __future__ import annotations

UNSUBSCRIBED = 21610
FILTERED = 30007

STATUSES = {
    "accepted": "accepted", "scheduled": "accepted", "queued": "accepted", "sending": "accepted",
    "sent": "sent", "delivered": "delivered", "read": "delivered",
    "undelivered": "undelivered", "failed": "failed", "canceled": "failed",
}  # fmt: skip
"""Twilio's statuses of a message in the ledger's terms."""

LATER = {14107: "too many requests", 20429: "too many requests", 21611: "the queue is full", 30001: "the queue is full"}
REFUSED = {
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
FAILED = {
    21211: "not a valid number", 21214: "cannot be reached", 21217: "not a valid number", 21408: "region not permitted",
    21610: "has told the provider to stop", 21612: "cannot be reached from the sender", 21614: "not a mobile number",
    21617: "the text is too long", 30003: "unreachable", 30004: "blocked", 30005: "unknown number", 30006: "a landline",
    30007: "filtered as spam", 30008: "not delivered",
}  # fmt: skip


def describe(code: int | None) -> str | None:
    """Our words for one of Twilio's error numbers."""
    return None if code is None else {**LATER, **REFUSED, **FAILED}.get(code, "an error that Engage does not know")
