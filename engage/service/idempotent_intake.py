"""Stores batches of events exactly once, by their idempotency keys.

A batch's key is committed in the same transaction as its events. A batch that is sent again with its key gets the first
answer and adds nothing. Several batches share a transaction, so that many small ones are as cheap as a few large ones.
A batch that redeems offer codes is written by itself within the transaction, as its answer depends on the codes.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.service.code_redemption import LockedCodes, Redemption
from engage.storage import json_rows
from engage.storage.binary_copy import copy_packed, copy_rows, packed
from engage.storage.schema import app_event, app_session, intake_batch, purchase

Key = tuple[str, str]

_KEY = [sa.column(name, intake_batch.c[name].type) for name in ("owner", "idempotency_key")]
_BATCH = [*_KEY, sa.column("fingerprint", sa.Text()), sa.column("answer", intake_batch.c.answer.type)]


@dataclass(slots=True)
class Batch:
    """The valid events of one request, and the answer to give once they are stored."""

    owner: str
    """The owner of the client's API key. Two owners may use the same idempotency key."""
    idempotency_key: str
    fingerprint: bytes
    """SHA-256 of the request. The same key with another fingerprint is refused."""
    answer: dict[str, Any]
    sessions: list[tuple[int, int]] = field(default_factory=list)
    """Customer id, microseconds since 2000."""
    purchases: list[tuple[int, int, int]] = field(default_factory=list)
    """Customer id, microseconds since 2000, cents."""
    app_events: list[tuple[int, datetime, str, str]] = field(default_factory=list)
    """Customer id, time, kind, item id."""
    redemptions: list[Redemption] = field(default_factory=list)
    atomic: bool = False
    """Whether nothing is stored if one event is wrong."""

    @property
    def key(self) -> Key:
        return self.owner, self.idempotency_key

    def __len__(self) -> int:
        """The events, rejected ones included: all of them take memory while the batch waits."""
        return int(self.answer["accepted"]) + len(self.answer["rejected"])


@dataclass(frozen=True, slots=True)
class Taken:
    """The result of a batch: the first answer to its key, or None if the key belongs to another batch."""

    answer: dict[str, Any] | None
    again: bool
    """Whether the batch was stored earlier."""
    refused: list[dict[str, Any]] | None = None
    """What is wrong with the events of a batch that was not stored, because of its offer codes."""


def store(conn: sa.Connection, batches: Sequence[Batch], as_of: datetime) -> list[Taken]:
    """Write the new batches; the caller commits. Returns one result for each batch, in their order."""
    redeeming = sorted((batch for batch in batches if batch.redemptions), key=lambda batch: batch.key)
    if not redeeming:
        return _store(conn, batches, as_of)
    # the codes first, and then the keys, each in order: so two transactions cannot deadlock
    codes = LockedCodes(conn, {one.code for batch in redeeming for one in batch.redemptions})
    redeemed = {id(batch): _redeem(conn, batch, codes, as_of) for batch in redeeming}
    others = iter(_store(conn, [batch for batch in batches if not batch.redemptions], as_of))
    return [redeemed[id(batch)] if batch.redemptions else next(others) for batch in batches]


def _redeem(conn: sa.Connection, batch: Batch, codes: LockedCodes, as_of: datetime) -> Taken:
    """Write one batch whose codes are locked, unless nothing of it is right."""
    if stored := _earlier(conn, [batch.key]):
        return _taken(batch, stored[batch.key], again=True)
    wrong = codes.refused(batch.redemptions)
    accepted = batch.answer["accepted"] - len(wrong)
    rejected = sorted([*batch.answer["rejected"], *wrong], key=lambda problem: problem["index"])
    if wrong and (batch.atomic or not accepted):
        return Taken(None, again=False, refused=rejected)
    [taken] = _store(conn, [replace(batch, answer={"accepted": accepted, "rejected": rejected})], as_of)
    if not taken.again:
        unredeemed = {problem["index"] for problem in wrong}
        codes.redeem(one for one in batch.redemptions if one.place not in unredeemed)
    return taken


def _store(conn: sa.Connection, batches: Sequence[Batch], as_of: datetime) -> list[Taken]:
    if not batches:
        return []
    new = _claim_keys(conn, batches, as_of)
    first: dict[Key, Batch] = {}
    for batch in batches:
        if batch.key in new:
            first.setdefault(batch.key, batch)
    _copy(conn, list(first.values()))
    known = {key: (batch.fingerprint, batch.answer) for key, batch in first.items()}
    known |= _earlier(conn, {batch.key for batch in batches} - new)
    # maintenance may have deleted a key since it was found in use; then it is free again
    freed = iter(_store(conn, gone, as_of) if (gone := [batch for batch in batches if batch.key not in known]) else ())
    return [
        _taken(batch, known[batch.key], again=first.get(batch.key) is not batch) if batch.key in known else next(freed)
        for batch in batches
    ]


def _taken(batch: Batch, known: tuple[bytes, dict[str, Any]], *, again: bool) -> Taken:
    fingerprint, answer = known
    same = hmac.compare_digest(fingerprint, batch.fingerprint)
    return Taken(answer if same else None, again)


def _claim_keys(conn: sa.Connection, batches: Sequence[Batch], as_of: datetime) -> set[Key]:
    """Insert the unused keys and return them. Waits for a transaction that is inserting one of them.

    Keys are inserted in their order, so that two transactions cannot deadlock.
    """
    rows = {
        batch.key: {
            "owner": batch.owner,
            "idempotency_key": batch.idempotency_key,
            "fingerprint": batch.fingerprint.hex(),
            "answer": batch.answer,
        }
        for batch in reversed(batches)  # of two batches with one key the first counts
    }
    given = json_rows.table([rows[key] for key in sorted(rows)], *_BATCH)
    query = sa.select(
        given.c.owner,
        given.c.idempotency_key,
        sa.func.decode(given.c.fingerprint, "hex"),
        sa.cast(as_of, sa.DateTime(timezone=True)),
        given.c.answer,
    )
    columns = ["owner", "idempotency_key", "fingerprint", "accepted_at", "answer"]
    statement = insert(intake_batch).from_select(columns, query).on_conflict_do_nothing()
    returned = statement.returning(intake_batch.c.owner, intake_batch.c.idempotency_key)
    return {(row.owner, row.idempotency_key) for row in conn.execute(returned)}


def _earlier(conn: sa.Connection, keys: Collection[Key]) -> dict[Key, tuple[bytes, dict[str, Any]]]:
    """The fingerprint and the answer of each key that an earlier batch has used."""
    if not keys:
        return {}
    wanted = json_rows.table([{"owner": o, "idempotency_key": i} for o, i in keys], *_KEY)
    same = sa.and_(intake_batch.c.owner == wanted.c.owner, intake_batch.c.idempotency_key == wanted.c.idempotency_key)
    rows = conn.execute(sa.select(intake_batch).join(wanted, same))
    return {(row.owner, row.idempotency_key): (row.fingerprint, row.answer) for row in rows}


def _copy(conn: sa.Connection, batches: Sequence[Batch]) -> None:
    """Write the batches' events into the logs, through the parent tables (see ``partitions.lock_events``)."""
    for table, rows in (
        (app_session, [row for batch in batches for row in batch.sessions]),
        (purchase, [row for batch in batches for row in batch.purchases]),
    ):
        if rows:
            copy_packed(conn, table.name, table, packed(*np.array(rows, dtype=np.int64).T))
    others = [row for batch in batches for row in batch.app_events]
    if others:
        copy_rows(conn, app_event, [c.name for c in app_event.columns], others)
