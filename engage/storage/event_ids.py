"""Event ids: an event that arrives again with its id counts once, whatever its batch and its API key.

An id belongs to a kind of event and to an owner. The table ``event_id`` keeps a digest of the three for two windows,
and neither the id nor the customer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from engage.storage.schema import event_id
from engage.window import LENGTH

KEEP = 2 * LENGTH
"""Retention of event ids. An event that is sent again later is stored a second time."""


KEY_BYTES = 16


def event_key(kind: str, owner: str, name: str) -> bytes:
    """The key of an event's id: the first 16 bytes of a SHA-256.

    ``kind`` is the event's type, ``owner`` as ``api_key.owner`` names it, and ``name`` the id. The three hold no null
    character.
    """
    return hashlib.sha256(f"{kind}\0{owner}\0{name}".encode()).digest()[:KEY_BYTES]


def claim(conn: sa.Connection, keys: Collection[bytes], as_of: datetime) -> set[bytes]:
    """Insert the keys that are not known yet, and return them. The caller commits, with the events of these keys.

    It waits for a transaction that is inserting one of them. Keys are inserted in their order, so two transactions that
    claim once each cannot deadlock.
    """
    if not keys:
        return set()
    given = _given(keys).cte("given")
    columns = sa.select(given.c.event_key, sa.cast(as_of, sa.DateTime(timezone=True))).order_by(given.c.event_key)
    inserting = insert(event_id).from_select(["event_key", "accepted_at"], columns).on_conflict_do_nothing()
    new = inserting.returning(event_id.c.event_key).cte("new")
    # few keys are known in the usual case, and each row of an answer takes time
    known = sa.select(given.c.event_key).where(~sa.exists().where(new.c.event_key == given.c.event_key))
    return {*keys} - {key.bytes for key in conn.execute(known).scalars()}


def claim_from(conn: sa.Connection, keys: sa.Select[tuple[Any]], as_of: datetime, new: sa.Table) -> int:
    """As ``claim``, for the keys that a query returns. The new ones go to the table ``new``; returns their number."""
    given = keys.distinct().cte("given")
    columns = sa.select(given.c.event_key, sa.cast(as_of, sa.DateTime(timezone=True))).order_by(given.c.event_key)
    inserting = insert(event_id).from_select(["event_key", "accepted_at"], columns).on_conflict_do_nothing()
    found = inserting.returning(event_id.c.event_key).cte("found")
    keep = sa.insert(new).from_select(["event_key"], sa.select(found.c.event_key))
    return conn.execute(keep.execution_options(preserve_rowcount=True)).rowcount


def count_new(conn: sa.Connection, keys: sa.Select[tuple[Any]]) -> int:
    """How many keys of those that a query returns no transaction has claimed."""
    given = keys.distinct().subquery("given")
    known = sa.exists().where(event_id.c.event_key == given.c.event_key)
    return conn.execute(sa.select(sa.func.count()).select_from(given).where(~known)).scalar_one()


def known(conn: sa.Connection, keys: Collection[bytes]) -> set[bytes]:
    """The keys that a committed transaction, or this one, has claimed."""
    if not keys:
        return set()
    given = _given(keys).subquery("given")
    found = sa.select(event_id.c.event_key).join(given, given.c.event_key == event_id.c.event_key)
    return {key.bytes for key in conn.execute(found).scalars()}


def _given(keys: Collection[bytes]) -> sa.Select[tuple[object]]:
    digits = sa.cast(sa.literal("{" + b"".join({*keys}).hex(",", KEY_BYTES) + "}", sa.Text), ARRAY(sa.Uuid))
    return sa.select(sa.func.unnest(digits, type_=sa.Uuid).label("event_key"))
