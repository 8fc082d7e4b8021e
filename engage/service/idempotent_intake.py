"""Stores batches of events exactly once, by their idempotency keys.

A batch's key is committed in the same transaction as its events. A batch that is sent again with its key gets the first
answer and adds nothing. Several batches share a transaction, so that many small ones are as cheap as a few large ones.
A batch that redeems offer codes is written by itself within the transaction, as its answer depends on the codes.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON, insert

from engage.service.code_redemption import LockedCodes
from engage.service.event_batch import Batch, Key, Taken
from engage.service.repeated_events import without_repeats
from engage.storage import json_rows
from engage.storage.binary_copy import copy_packed, copy_rows, packed
from engage.storage.schema import app_event, app_session, intake_batch, purchase, refund

_KEY = [sa.column(name, intake_batch.c[name].type) for name in ("owner", "idempotency_key")]
_BATCH = [*_KEY, sa.column("fingerprint", sa.Text()), sa.column("answer", intake_batch.c.answer.type)]


def store(conn: sa.Connection, batches: Sequence[Batch], as_of: datetime) -> list[Taken]:
    """Write the new batches; the caller commits. Returns one result for each batch, in their order."""
    # the codes first, then the keys, then the event ids, each in order: so two transactions cannot deadlock
    redeeming = any(batch.redemptions for batch in batches)
    taken = _take_with_codes(conn, batches, as_of) if redeeming else _take(conn, batches, as_of)
    new = [one.stored for one in taken if one.stored]
    stored = without_repeats(conn, new, as_of)
    _copy(conn, stored)
    shorter = {after.key: after for before, after in zip(new, stored, strict=True) if after is not before}
    if not shorter:
        return taken
    _correct_answers(conn, shorter.values())
    return [_as_stored(one, shorter.get(batch.key)) for one, batch in zip(taken, batches, strict=True)]


def _as_stored(taken: Taken, shorter: Batch | None) -> Taken:
    """The result of a batch after its repeated events were left out; also of a copy of it in the same transaction."""
    if shorter is None or taken.answer is None:
        return taken
    return replace(taken, answer=shorter.answer, stored=shorter if taken.stored else None)


def _take_with_codes(conn: sa.Connection, batches: Sequence[Batch], as_of: datetime) -> list[Taken]:
    """As ``_take``, for batches of which some redeem codes."""
    redeeming = sorted((batch for batch in batches if batch.redemptions), key=lambda batch: batch.key)
    codes = LockedCodes(conn, [one for batch in redeeming for one in batch.redemptions])
    redeemed = {id(batch): _redeem(conn, batch, codes, as_of) for batch in redeeming}
    others = iter(_take(conn, [batch for batch in batches if not batch.redemptions], as_of))
    return [redeemed[id(batch)] if batch.redemptions else next(others) for batch in batches]


def _redeem(conn: sa.Connection, batch: Batch, codes: LockedCodes, as_of: datetime) -> Taken:
    """Take one batch whose codes are locked, and redeem them, unless nothing of it is right."""
    if stored := _earlier(conn, [batch.key]):
        return _taken(batch, stored[batch.key], new=False)
    found = codes.judged(batch.redemptions)
    accepted = batch.answer["accepted"] - len(found.wrong)
    rejected = sorted([*batch.answer["rejected"], *found.wrong], key=lambda problem: problem["index"])
    if found.wrong and (batch.atomic or not accepted):
        return Taken(None, refused=rejected)
    answer = batch.answer | {"accepted": accepted, "rejected": rejected}
    if found.repeated:
        answer["duplicates"] += found.repeated
    [taken] = _take(conn, [replace(batch, answer=answer, redemptions=found.right)], as_of)
    if taken.stored:
        codes.redeem(found.right)
    return taken


def _take(conn: sa.Connection, batches: Sequence[Batch], as_of: datetime) -> list[Taken]:
    """Claim the batches' keys. The events of the results' ``stored`` are to be written."""
    if not batches:
        return []
    new = _claim_keys(conn, batches, as_of)
    first: dict[Key, Batch] = {}
    for batch in batches:
        if batch.key in new:
            first.setdefault(batch.key, batch)
    known = {key: (batch.fingerprint, batch.answer) for key, batch in first.items()}
    known |= _earlier(conn, {batch.key for batch in batches} - new)
    # maintenance may have deleted a key since it was found in use; then it is free again
    freed = iter(_take(conn, gone, as_of) if (gone := [batch for batch in batches if batch.key not in known]) else ())
    return [
        _taken(batch, known[batch.key], new=first.get(batch.key) is batch) if batch.key in known else next(freed)
        for batch in batches
    ]


def _taken(batch: Batch, known: tuple[bytes, dict[str, Any]], *, new: bool) -> Taken:
    fingerprint, answer = known
    same = hmac.compare_digest(fingerprint, batch.fingerprint)
    return Taken(answer if same else None, stored=batch if new else None)


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
    given = {"rows": [rows[key] for key in sorted(rows)], "as_of": as_of}
    return {(row.owner, row.idempotency_key) for row in conn.execute(_CLAIMING, given)}


def _claiming() -> sa.Insert:
    """Inserts the unused keys of ``rows`` and returns them."""
    given = json_rows.table(sa.bindparam("rows", type_=JSON), *_BATCH)
    query = sa.select(
        given.c.owner,
        given.c.idempotency_key,
        sa.func.decode(given.c.fingerprint, "hex"),
        sa.bindparam("as_of", type_=sa.DateTime(timezone=True)),
        given.c.answer,
    )
    columns = ["owner", "idempotency_key", "fingerprint", "accepted_at", "answer"]
    statement = insert(intake_batch).from_select(columns, query).on_conflict_do_nothing()
    return statement.returning(intake_batch.c.owner, intake_batch.c.idempotency_key)


_CLAIMING = _claiming()
"""Made once, because that takes longer than to run it for a few keys."""


def _correct_answers(conn: sa.Connection, batches: Iterable[Batch]) -> None:
    """Record the answers of batches with repeated events. A key is claimed before its events are known to be new."""
    rows = [{"owner": b.owner, "idempotency_key": b.idempotency_key, "answer": b.answer} for b in batches]
    given = json_rows.table(rows, *_KEY, sa.column("answer", intake_batch.c.answer.type))
    conn.execute(sa.update(intake_batch).where(_same_key(given)).values(answer=given.c.answer))


def _same_key(given: sa.FromClause) -> sa.ColumnElement[bool]:
    same = (intake_batch.c[name] == given.c[name] for name in ("owner", "idempotency_key"))
    return sa.and_(*same)


def _earlier(conn: sa.Connection, keys: Collection[Key]) -> dict[Key, tuple[bytes, dict[str, Any]]]:
    """The fingerprint and the answer of each key that an earlier batch has used."""
    if not keys:
        return {}
    wanted = json_rows.table([{"owner": o, "idempotency_key": i} for o, i in keys], *_KEY)
    rows = conn.execute(sa.select(intake_batch).join(wanted, _same_key(wanted)))
    return {(row.owner, row.idempotency_key): (row.fingerprint, row.answer) for row in rows}


def _copy(conn: sa.Connection, batches: Sequence[Batch]) -> None:
    """Write the batches' events into the logs, through the parent tables (see ``partitions.lock_events``)."""
    for table, rows in (
        (app_session, [row for batch in batches for row in batch.sessions]),
        (purchase, [row for batch in batches for row in batch.purchases]),
        (refund, [row for batch in batches for row in batch.refunds]),
    ):
        if rows:
            numbers = np.fromiter(chain.from_iterable(rows), np.int64)
            copy_packed(conn, table.name, table, packed(*numbers.reshape(len(rows), -1).T))
    others = [row for batch in batches for row in batch.app_events]
    if others:
        copy_rows(conn, app_event, [c.name for c in app_event.columns], others)
