"""The work of migration 0011: merge the spellings under which earlier versions stored one phone.

They stored +4407400123456 beside +447400123456, each under a hash of its own. Here both become the canonical number.
All that stands under the old hash moves to the new one: suppressions, messages, records of texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.errors import InputError
from engage.texts import phone

BATCH = 10_000

HashKey = Callable[[], bytes]
"""Returns the key of ``phone_hash``, or raises an InputError if it is not set."""

_LOCK = "LOCK TABLE customer, suppression IN SHARE ROW EXCLUSIVE MODE"
_REAL = "SELECT customer_id, phone, phone_hash FROM customer WHERE phone NOT LIKE '+999%'"
_ORPHANS = """
SELECT phone_hash
FROM (SELECT phone_hash FROM suppression UNION SELECT phone_hash FROM inbound_sms
      UNION SELECT phone_hash FROM message) known
WHERE phone_hash IS NOT NULL AND NOT EXISTS (SELECT FROM customer WHERE customer.phone_hash = known.phone_hash)
"""
"""Hashes that no customer's stored phone has; some may be of another spelling of it."""

_MOVES = """
CREATE TEMPORARY TABLE phone_move
  (old_hash bytea PRIMARY KEY, new_hash bytea NOT NULL, phone text NOT NULL) ON COMMIT DROP
"""
_ADD_MOVE = "INSERT INTO phone_move VALUES (:old, :new, :phone)"

_MERGE = (
    "ANALYZE phone_move",
    "UPDATE customer SET phone = m.phone, phone_hash = new_hash FROM phone_move m WHERE phone_hash = old_hash",
    "UPDATE inbound_sms SET phone_hash = new_hash FROM phone_move WHERE phone_hash = old_hash",
    # The reason that is hardest to end stays: a consent ends a revocation, a START ends all but an erasure. Of two
    # revocations it is the later one, which an older consent does not end.
    """
    INSERT INTO suppression AS kept (phone_hash, reason, source, suppressed_at)
    SELECT DISTINCT ON (new_hash) new_hash, old.reason, old.source, old.suppressed_at
    FROM suppression old JOIN phone_move ON old.phone_hash = old_hash
    ORDER BY new_hash, old.reason <> 'erasure', old.reason = 'revocation', old.reason <> 'stop',
      CASE old.reason WHEN 'revocation' THEN -extract(epoch FROM old.suppressed_at)
                      ELSE extract(epoch FROM old.suppressed_at) END
    ON CONFLICT (phone_hash) DO UPDATE
    SET reason = excluded.reason, source = excluded.source, suppressed_at = excluded.suppressed_at
    WHERE (excluded.reason <> 'erasure', excluded.reason = 'revocation', excluded.reason <> 'stop',
           CASE excluded.reason WHEN 'revocation' THEN -extract(epoch FROM excluded.suppressed_at)
                                ELSE extract(epoch FROM excluded.suppressed_at) END)
        < (kept.reason <> 'erasure', kept.reason = 'revocation', kept.reason <> 'stop',
           CASE kept.reason WHEN 'revocation' THEN -extract(epoch FROM kept.suppressed_at)
                            ELSE extract(epoch FROM kept.suppressed_at) END)
    """,
    "DELETE FROM suppression USING phone_move WHERE phone_hash = old_hash",
    # one phone has one message in a campaign: the one that was handed over, else that of the lowest customer id
    """
    CREATE TEMPORARY TABLE same_phone ON COMMIT DROP AS
    SELECT window_start, customer_id, status, coalesce(new_hash, phone_hash) AS phone_hash, row_number() OVER (
        PARTITION BY window_start, coalesce(new_hash, phone_hash)
        ORDER BY status = 'queued', new_hash IS NOT NULL AND status <> 'queued', customer_id) AS place
    FROM message LEFT JOIN phone_move ON phone_hash = old_hash
    WHERE reason IS NULL AND coalesce(new_hash, phone_hash) IN (SELECT new_hash FROM phone_move)
    """,
    """
    UPDATE message SET status = 'skipped', reason = 'duplicate_phone', settled_at = :as_of
    FROM same_phone s WHERE (message.window_start, message.customer_id) = (s.window_start, s.customer_id)
    AND s.place > 1 AND s.status = 'queued'
    """,
    """
    UPDATE message SET phone_hash = s.phone_hash
    FROM same_phone s WHERE (message.window_start, message.customer_id) = (s.window_start, s.customer_id)
    AND s.place = 1 AND message.phone_hash <> s.phone_hash
    """,
    # two that were handed over both stay on record, each under its own hash
    "UPDATE message SET phone_hash = new_hash FROM phone_move WHERE phone_hash = old_hash AND reason IS NOT NULL",
)


@dataclass(frozen=True)
class Move:
    """A hash of another spelling of a phone, and what takes its place."""

    old: bytes
    new: bytes
    phone: str


def merge(conn: sa.Connection, hash_key: HashKey | None, as_of: datetime) -> None:
    """Merge the spellings of each phone; of two states of one phone the stricter stays. Idempotent.

    Raises:
        InputError: there are phones, and the key is missing or another one than that of their hashes.
    """
    conn.execute(sa.text(_LOCK))
    if conn.execute(sa.text(f"{_REAL} LIMIT 1")).first() is None:
        return
    moves = _moves(conn, _read(hash_key))
    if not moves:
        return
    conn.execute(sa.text(_MOVES))
    rows = [vars(move) for move in moves.values()]
    for first in range(0, len(rows), BATCH):
        conn.execute(sa.text(_ADD_MOVE), rows[first : first + BATCH])
    for statement in _MERGE:
        conn.execute(sa.text(statement), {"as_of": as_of} if ":as_of" in statement else {})


def _read(hash_key: HashKey | None) -> bytes:
    try:
        if hash_key is not None:
            return hash_key()
    except InputError as exc:
        raise _no_key(str(exc).partition(";")[0]) from None
    raise _no_key("ENGAGE_HASH_KEY is not set")


def _no_key(what: str) -> InputError:
    return InputError(
        f"{what.rstrip('.')}, and this upgrade needs it: it merges the spellings of each phone, and hashes the phones "
        "anew. Nothing was changed. Set it to the key that this database was filled with, which the service and the "
        "scheduler have, and upgrade again."
    )


def _moves(conn: sa.Connection, key: bytes) -> dict[bytes, Move]:
    """The hashes to replace, by hash."""
    orphans = set(conn.execute(sa.text(_ORPHANS)).scalars())
    moves: dict[bytes, Move] = {}
    for row in _customers(conn):
        if phone.phone_hash(row.phone, key) != bytes(row.phone_hash):
            raise InputError(
                f"The phone of customer {row.customer_id} has another hash under ENGAGE_HASH_KEY than in the database, "
                "so the key is not the one that this database was filled with. Nothing was changed. Set "
                "ENGAGE_HASH_KEY to that key, and upgrade again."
            )
        moves |= {move.old: move for move in _moves_of(row.phone, key, orphans)}
    return moves


def _customers(conn: sa.Connection) -> Iterator[Any]:
    with conn.execute(sa.text(_REAL), execution_options={"stream_results": True, "max_row_buffer": BATCH}) as found:
        yield from found


def _moves_of(stored: str, key: bytes, orphans: set[bytes]) -> Iterator[Move]:
    canonical = phone.canonical(stored) or stored
    new = phone.phone_hash(canonical, key)
    if canonical != stored:
        yield Move(phone.phone_hash(stored, key), new, canonical)
    if orphans:
        for spelling in phone.trunk_spellings(canonical):
            old = phone.phone_hash(spelling, key)
            if old in orphans:
                yield Move(old, new, canonical)
