"""Statuses, reasons and facts of messages in words, with the tone in which a page shows a status."""

from __future__ import annotations

from engage.statuses import MessageStatus, ProviderFact, SkipReason

TONES = {
    MessageStatus.QUEUED: "queued",
    MessageStatus.SENDING: "running",
    MessageStatus.ACCEPTED: "info",
    MessageStatus.SENT: "info",
    MessageStatus.UNKNOWN: "warning",
    MessageStatus.DELIVERED: "success",
    MessageStatus.UNDELIVERED: "failed",
    MessageStatus.FAILED: "failed",
    MessageStatus.SKIPPED: "none",
}
"""The tone of each status: a state of Airflow with a like meaning, or the page's own."""
_WENT_WELL = {MessageStatus.ACCEPTED, MessageStatus.SENT, MessageStatus.DELIVERED}

REASONS = {
    SkipReason.BACKFILL: "Backfill: computed, never texted",
    SkipReason.TOO_LATE: "The window ended too long ago",
    SkipReason.HOLDOUT: "Held out, as a comparison",
    SkipReason.NO_CUSTOMER: "The customer was gone",
    SkipReason.OPTED_OUT: "Opted out",
    SkipReason.SUPPRESSED: "The phone gets no more texts",
    SkipReason.DEAD_NUMBER: "The number does not exist or takes no texts",
    SkipReason.NO_CONSENT: "No consent",
    SkipReason.NO_PHONE: "No phone",
    SkipReason.INVALID_PHONE: "Not a valid phone number",
    SkipReason.NOT_MOBILE: "Not a mobile number",
    SkipReason.DUPLICATE_PHONE: "Another customer has the same phone",
    SkipReason.PHONE_CHANGED: "The phone changed after queueing",
    SkipReason.SYNTHETIC: "A synthetic customer",
    SkipReason.TOO_SOON: "Texted a short time before",
    SkipReason.OVER_BUDGET: "Beyond the budget",
    SkipReason.NO_BUCKET: "The numbers for the text were gone",
    SkipReason.TOO_LONG: "The text would take too many SMS segments",
    SkipReason.CODE_EXPIRED: "The offer code has expired",
    SkipReason.NO_TIME_ZONE: "The customer's time of day is not known",
    SkipReason.QUIET_HOURS: "No hour of the day is a sending hour",
    SkipReason.REJECTED: "The approver rejected the list",
    SkipReason.ERASED: "The customer was forgotten",
}
"""Why a customer in a texted bucket got no message."""

FACTS = {
    ProviderFact.OPTED_OUT: "Told the provider to stop",
    ProviderFact.FILTERED: "Filtered as spam",
    ProviderFact.SENDER_NOT_REGISTERED: "The sender's number is not registered",
    ProviderFact.SENDER_LIMIT_REACHED: "The sender's number has reached a limit",
    ProviderFact.NUMBER_INVALID: "The number does not exist",
    ProviderFact.NOT_MOBILE: "The number takes no texts",
    ProviderFact.UNREACHABLE: "The phone could not be reached",
    ProviderFact.BLOCKED: "Blocked",
    ProviderFact.REGION_NOT_PERMITTED: "The account may not text this country",
    ProviderFact.TEXT_TOO_LONG: "The text is too long",
}
"""Why a message did not arrive, as its provider reports it."""


def reason(name: str) -> str:
    """The words of a reason to skip a message."""
    return REASONS[SkipReason(name)]


def fact(name: str) -> str:
    """The words of the provider's fact."""
    return FACTS[ProviderFact(name)]


def tone(status: str) -> str:
    """The tone of a message's status."""
    return TONES[MessageStatus(status)]


def why(status: str, *, reason_name: str | None, error: str | None, fact_name: str | None) -> str | None:
    """Why a message was skipped, waits or did not arrive; None if nothing is known to be wrong.

    A message keeps the error of an attempt, also if it turns out later that it arrived.
    """
    if reason_name:
        return reason(reason_name)
    if status in _WENT_WELL:
        return None
    if error:
        return error[0].upper() + error[1:]
    return fact(fact_name) if fact_name else None
