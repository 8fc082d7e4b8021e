"""Reconciles messages of unknown outcome with the provider: asks what became of them, and settles what it knows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engage.errors import NotUnknown
from engage.sending import ledger, outcomes
from engage.sending.providers import FoundSms, SmsProvider
from engage.statuses import MessageStatus
from engage.storage.schema import customer, message
from engage.window import Window

log = logging.getLogger(__name__)

GRACE = timedelta(minutes=15)
"""How long after an attempt a message may still turn up at the provider."""
_CLOCKS_DIFFER_BY = timedelta(minutes=1)
BY = "reconcile"


@dataclass(frozen=True)
class Reconciled:
    """How many unknown messages the provider has, does not have, and cannot be asked about yet."""

    found: int = 0
    not_found: int = 0
    still_unknown: int = 0


def reconcile(
    engine: sa.Engine,
    window: Window,
    provider_named: Callable[[str], SmsProvider],
    *,
    as_of: datetime,
    in_time: Callable[[], bool] = lambda: True,
) -> Reconciled:
    """Settle the window's unknown messages: as the provider has them, or as failed if it never got them.

    They include what a lost sender left. Nothing is sent. A message stays unknown if its customer is gone or has
    another phone now, or if its attempt was a moment ago. Again: looks only at what is still unknown. From when on
    ``in_time`` is false, no more questions are asked. The order is random, so that another call asks about others.
    """
    counts = {"found": 0, "not_found": 0, "still_unknown": 0}
    providers: dict[str, SmsProvider] = {}
    for row in _unknown(engine, window, as_of):
        if not in_time():
            counts["still_unknown"] += 1
            continue
        if row.provider not in providers:
            providers[row.provider] = provider_named(row.provider)
        provider = providers[row.provider]
        counts[_settle(engine, window, row, provider, as_of)] += 1
    return Reconciled(**counts)


def _unknown(engine: sa.Engine, window: Window, as_of: datetime) -> Sequence[Any]:
    same_phone = sa.and_(customer.c.customer_id == message.c.customer_id, customer.c.phone_hash == message.c.phone_hash)
    query = (
        sa.select(message.c.customer_id, message.c.provider, message.c.body, message.c.sending_at, customer.c.phone)
        .join(customer, same_phone, isouter=True)
        .where(message.c.window_start == window.start, message.c.status == MessageStatus.UNKNOWN)
        .order_by(sa.func.random())
    )
    with engine.begin() as conn:
        outcomes.abandon(conn, window, as_of)
        return conn.execute(query).all()


def _settle(engine: sa.Engine, window: Window, row: Any,
            provider: SmsProvider, as_of: datetime) -> str:  # fmt: skip
    if row.phone is None:
        return "still_unknown"
    try:
        remembered = provider.find(row.phone, row.sending_at - _CLOCKS_DIFFER_BY)
    except Exception as exc:  # noqa: BLE001 - one failed question must not end the reconciliation
        log.warning("The provider could not be asked about customer %s: %s", row.customer_id, type(exc).__name__)
        return "still_unknown"
    match = _match(remembered, row.body, row.sending_at)
    other_text = any(found.created_at <= row.sending_at + GRACE for found in remembered)
    if match is None and (other_text or as_of - row.sending_at < GRACE):  # the provider may have changed the text
        return "still_unknown"
    if match is None:
        settled = ledger.Settlement(MessageStatus.FAILED, "the provider has not got it", by=BY)
        found = "not_found"
    else:
        why = match.error or "the provider has it"
        settled = ledger.Settlement(match.status, why, BY, match.provider_message_id, match.error_code, match.fact)
        found = "found"
    try:
        ledger.settle(engine, window, row.customer_id, settled, as_of=as_of)
    except NotUnknown:
        return "still_unknown"
    return found


def _match(remembered: list[FoundSms], body: str, sending_at: datetime) -> FoundSms | None:
    """The message with this text that the provider got about when it was handed over."""
    near = [found for found in remembered if found.body == body and found.created_at <= sending_at + GRACE]
    return min(near, key=lambda found: found.created_at, default=None)
