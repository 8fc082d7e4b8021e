"""Sends test messages to phones of the staff, through the real provider and outside of every campaign.

The ledger, its counts and caps know nothing of them. Their receipts change nothing, as a test message's reference names
no message of the ledger. A STOP wins. A message is claimed before it is handed over, so that no second process sends it
again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from engage.customers import consent_record, suppression
from engage.errors import EngageError, NoSuchMessage
from engage.sending.providers import Outcome, OutgoingSms, Reply, SmsProvider
from engage.sending.test_requests import EXPIRED, EXPIRES_AFTER, LOST, SentTest, find
from engage.settings import Settings
from engage.statuses import SendTestStatus
from engage.storage import schema
from engage.storage.schema import customer, test_send
from engage.texts import phone

log = logging.getLogger(__name__)

_OPTED_OUT = "the phone has opted out; a START from it ends that"
_NOT_LISTED = "the number is no longer on the list engage_test_phones"


@dataclass(frozen=True)
class _Claimed:
    sms: OutgoingSms
    provider: SmsProvider
    phone_hash: bytes


def send(
    engine: sa.Engine,
    test_send_id: UUID,
    provider_named: Callable[[str], SmsProvider],
    *,
    settings: Settings,
    hash_key: bytes,
    clock: Callable[[], datetime],
) -> SentTest:
    """Hand a test message to the provider that ``settings`` name, at most once; returns what became of it.

    A phone that has opted out gets none. A message that an earlier process has claimed is not handed over again.

    Raises:
        NoSuchMessage: there is none with this id.
    """
    with engine.begin() as conn:
        claimed = _claim(conn, test_send_id, provider_named, settings, hash_key=hash_key, now=clock())
    if claimed:
        changes = _outcome(claimed)
        with engine.begin() as conn:
            _settle(conn, test_send_id, clock(), **changes)
    with engine.connect() as conn:
        found = find(conn, test_send_id, as_of=clock())
    if found is None:
        raise NoSuchMessage(f"There is no test message with the id {test_send_id}. The page Segments makes one.")
    return found


def _claim(
    conn: sa.Connection,
    test_send_id: UUID,
    provider_named: Callable[[str], SmsProvider],
    settings: Settings,
    *,
    hash_key: bytes,
    now: datetime,
) -> _Claimed | None:
    """Commit that the message is handed over from now on; None if it must not be."""
    row = conn.execute(sa.select(test_send).where(test_send.c.test_send_id == test_send_id).with_for_update()).first()
    if row is not None and row.status == SendTestStatus.SENDING:
        _settle(conn, test_send_id, now, status=SendTestStatus.UNKNOWN, error=LOST)
    if row is None or row.status != SendTestStatus.WAITING:
        return None
    hashed = phone.phone_hash(row.phone, hash_key)
    if why := _refusal(conn, row, settings, hashed=hashed, now=now):
        _settle(conn, test_send_id, now, status=SendTestStatus.REFUSED, error=why, phone_hash=hashed)
        return None
    try:
        provider = provider_named(settings.sms_provider)
    except EngageError as exc:
        _settle(conn, test_send_id, now, status=SendTestStatus.FAILED, error=str(exc), phone_hash=hashed)
        return None
    values = {"status": SendTestStatus.SENDING, "provider": provider.name, "phone_hash": hashed, "sent_at": now}
    _update(conn, test_send_id, values)
    sms = OutgoingSms(row.phone, row.body, reference=f"test-{test_send_id}")  # no reference of the ledger's
    return _Claimed(sms, provider, hashed)


def _refusal(conn: sa.Connection, row: Any, settings: Settings, *, hashed: bytes, now: datetime) -> str | None:
    """Why the message must not go out, in words."""
    if now - row.requested_at > EXPIRES_AFTER:
        return EXPIRED
    if row.phone not in phone.numbers(settings.test_phones):
        return _NOT_LISTED
    suppressed = sa.exists().where(schema.suppression.c.phone_hash == hashed)
    opted_out = sa.exists().where(customer.c.phone_hash == hashed, customer.c.opted_out_at.is_not(None))
    return _OPTED_OUT if conn.execute(sa.select(sa.or_(suppressed, opted_out))).scalar() else None


def _outcome(claimed: _Claimed) -> dict[str, Any]:
    """Hand the message over; returns what the provider made of it."""
    try:
        reply = claimed.provider.send(claimed.sms)
    except Exception as exc:  # noqa: BLE001 - whatever went wrong, the provider may have the message
        log.warning("The outcome of a test message is unknown: %s", type(exc).__name__)
        return {"status": SendTestStatus.UNKNOWN, "error": f"the provider did not answer ({type(exc).__name__})"}
    if reply.outcome is Outcome.ACCEPTED:
        return {"status": SendTestStatus.ACCEPTED, "provider_message_id": reply.provider_message_id}
    found = {"status": SendTestStatus.FAILED, "error": _why(claimed.provider, reply)}
    reason = suppression.BY_FACT.get(reply.fact)
    return found | ({"suppressed": (claimed.phone_hash, reason)} if reason else {})


def _why(provider: SmsProvider, reply: Reply) -> str:
    error = reply.error or "it gives no reason"
    number = f" (error {reply.error_code})" if reply.error_code else ""
    if reply.outcome is Outcome.LATER:
        return f"{provider.name} does not take it now: {error}{number}; send it again in a minute"
    if reply.outcome is Outcome.REFUSED:
        return f"{provider.name} takes no messages: {error}{number}; mend the account"
    return f"{provider.name} does not take it: {error}{number}"


def _settle(conn: sa.Connection, test_send_id: UUID, now: datetime, **changes: Any) -> None:
    found = changes.pop("suppressed", None)
    _update(conn, test_send_id, changes | {"settled_at": now})
    if found:
        hashed, reason = found
        source = "the provider's answer to a test"
        refused = suppression.suppress(conn, hashed, reason=reason, source=source, as_of=now)
        consent_record.append(conn, refused, as_of=now)


def _update(conn: sa.Connection, test_send_id: UUID, values: dict[str, Any]) -> None:
    """Write the values, and drop the number and the text, which only a message that waits keeps."""
    query = sa.update(test_send).where(test_send.c.test_send_id == test_send_id)
    conn.execute(query.values(phone=None, body=None, **values))
