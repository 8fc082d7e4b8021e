"""Twilio's status callbacks as receipts.

Source: https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from engage.sending.providers.protocol import Receipt
from engage.sending.providers.twilio import error_codes
from engage.statuses import MessageStatus
from engage.texts.phone import E164

STATUSES = {
    "accepted": MessageStatus.ACCEPTED,
    "scheduled": MessageStatus.ACCEPTED,
    "queued": MessageStatus.ACCEPTED,
    "sending": MessageStatus.ACCEPTED,
    "sent": MessageStatus.SENT,
    "delivered": MessageStatus.DELIVERED,
    "read": MessageStatus.DELIVERED,
    "undelivered": MessageStatus.UNDELIVERED,
    "failed": MessageStatus.FAILED,
    "canceled": MessageStatus.FAILED,
}
"""Twilio's statuses of a message in the ledger's terms."""

MESSAGE_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
"""A message's id at Twilio."""
_ERROR_CODE = re.compile(r"[0-9]{1,9}")


def receipt_of(form: Mapping[str, str], reference: str) -> Receipt | None:
    """The receipt in a status callback's form; None if its status, message id or recipient is not one of Twilio's.

    An error code that is no number is left out.
    """
    status, sid, to, code = (form.get(name, "") for name in ("MessageStatus", "MessageSid", "To", "ErrorCode"))
    if status not in STATUSES or not MESSAGE_SID.fullmatch(sid) or not re.fullmatch(E164, to):
        return None
    error_code = int(code) if _ERROR_CODE.fullmatch(code) else None
    error = error_codes.explain(error_code)
    return Receipt(reference, sid, to, STATUSES[status], error.words, error_code, error.fact)
