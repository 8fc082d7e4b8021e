"""The consent record of a customer or a phone in words: what happened, and whether it could be texted at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage import formats
from engage.customers import consent_state
from engage.customers.consent_state import Recorded, Standing
from engage.reports import message_words
from engage.statuses import ConsentSource, ConsentState

WORDS = {
    ConsentState.GIVEN: "Consent given",
    ConsentState.ABSENT: "Stored without a consent",
    ConsentState.WITHDRAWN: "Consent withdrawn",
    ConsentState.OPTED_OUT: "Opted out",
    ConsentState.PHONE_CHANGED: "Phone changed",
    ConsentState.RESUMED: "Opt-out ended",
    ConsentState.STOPPED: "Texts to the phone stopped",
    ConsentState.REVOKED: "Texts to the phone stopped, in other words than STOP",
    ConsentState.REFUSED: "The provider may not text the phone",
    ConsentState.DEAD_NUMBER: "The number does not exist or takes no texts",
    ConsentState.ERASED: "Forgotten",
}
"""What each state of the record says."""

SOURCES = {
    ConsentSource.APP: "app",
    ConsentSource.IMPORT: "import",
    ConsentSource.STOP: "text STOP",
    ConsentSource.START: "text START",
    ConsentSource.REVOCATION: "text in other words",
    ConsentSource.PROVIDER: "provider",
    ConsentSource.OPERATOR: "operator",
    ConsentSource.ERASURE: "erasure",
    ConsentSource.EARLIER: "before the record began",
}
"""Where each change came from."""


@dataclass(frozen=True)
class ConsentHistory:
    """What is on record by a time, oldest first, and the standing then of each customer concerned."""

    at: datetime
    standings: list[Standing]
    changes: list[Recorded]
    later: int
    """Changes that Engage did not know by the time."""

    def to_dict(self) -> dict[str, Any]:
        """The history for JSON."""
        return {
            "at": self.at,
            "customers": [_standing(one) for one in self.standings],
            "changes": [_change(change) for change in self.changes],
            "later_changes": self.later,
        }


def of_customer(conn: sa.Connection, customer_id: int, at: datetime) -> ConsentHistory:
    """The changes of a customer, and of the phones that the customer has had."""
    changes = consent_state.of_customer(conn, customer_id)
    theirs = [one for one in changes if one.customer_id in {None, customer_id}]
    return _history(theirs, [one for one in consent_state.standings(changes, at) if one.customer_id == customer_id], at)


def of_phone(conn: sa.Connection, phone_hash: bytes, at: datetime) -> ConsentHistory:
    """The changes of a phone, and of its customers from when they have it until they leave it."""
    changes = consent_state.of_phone(conn, phone_hash)
    standings = [one for one in consent_state.standings(changes, at) if one.phone_hash == phone_hash]
    return _history(_with_phone(changes, phone_hash), standings, at)


def _with_phone(changes: Iterable[Recorded], phone_hash: bytes) -> list[Recorded]:
    """The changes of a phone, and those by which a customer leaves it."""
    had: dict[int | None, bytes | None] = {}
    found = []
    for change in changes:
        if phone_hash in {change.phone_hash, had.get(change.customer_id)}:
            found.append(change)
        if change.customer_id is not None:
            had[change.customer_id] = change.phone_hash
    return found


def _history(changes: Sequence[Recorded], standings: list[Standing], at: datetime) -> ConsentHistory:
    known = sorted((one for one in changes if one.known_at <= at), key=lambda one: one.known_at)
    return ConsentHistory(at, standings, known, len(changes) - len(known))


def why(standing: Standing) -> str:
    """Whether a customer could be texted, and since when, in a sentence."""
    change = standing.because
    since = f": {said(change)}, {formats.second(change.happened_at)}" if change else ""
    if standing.reason is None:
        return f"{whose(standing.customer_id)} might be texted{since}."
    reason = message_words.reason(standing.reason)
    return f"{whose(standing.customer_id)} might not be texted. {reason}{since if since else ''}."


def whose(customer_id: int | None) -> str:
    """The customer or the phone that a change is about. An erased customer has no name here."""
    if customer_id is None:
        return "The phone"
    return f"Customer {customer_id}" if customer_id >= 0 else "A customer who is forgotten by now"


def said(change: Recorded) -> str:
    """A change in words, such as "consent given (app settings)"."""
    words = WORDS[change.state]
    return f"{words[0].lower()}{words[1:]}{f' ({change.evidence})' if change.evidence else ''}"


def source(change: Recorded) -> str:
    """Where a change came from, and by the hand of whom, such as "operator, ada"."""
    return ", ".join(filter(None, (SOURCES[change.source], change.actor)))


def _standing(one: Standing) -> dict[str, Any]:
    return {
        "customer_id": one.customer_id if one.customer_id >= 0 else None,
        "may_be_texted": one.reason is None,
        "reason": one.reason,
        "because": one.because and {"chain": one.because.chain, "number": one.because.number},
        "why": why(one),
    }


def _change(change: Recorded) -> dict[str, Any]:
    names = ("chain", "number", "state", "source", "wording", "evidence", "actor", "happened_at", "recorded_at")
    known = change.customer_id is not None and change.customer_id >= 0
    return {"customer_id": change.customer_id if known else None} | {name: getattr(change, name) for name in names}
