"""Event ids: an event that arrives again with its id counts once, whatever its batch and its API key.

An id belongs to a kind of event and to an owner. The table ``event_id`` keeps a digest of the three for two windows,
and neither the id nor the customer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from engage.storage.schema import event_id
from engage.window import LENGTH

KEEP = 2 * LENGTH
"""Retention of event ids. An event that is sent again later is stored a second time."""


def event_key(kind: str, owner: str, name: str) -> str:
    """The key of an event's id: the first 16 bytes of a SHA-256, as 32 hexadecimal digits.

    ``kind`` is the event's type, ``owner`` as ``api_key.owner`` names it, and ``name`` the id. The three hold no null
    character.
    """
    return hashlib.sha256(f"{kind}\0{owner}\0{name}".encode()).hexdigest()[:32]


def claim(conn: sa.Connection, keys: Collection[str], as_of: datetime) -> set[str]:
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
    return {*keys} - {key.hex for key in conn.execute(known).scalars()}


def known(conn: sa.Connection, keys: Collection[str]) -> set[str]:
    """The keys that a committed transaction, or this one, has claimed."""
    if not keys:
        return set()
    given = _given(keys).subquery("given")
    found = sa.select(event_id.c.event_key).join(given, given.c.event_key == event_id.c.event_key)
    return {key.hex for key in conn.execute(found).scalars()}


def _given(keys: Collection[str]) -> sa.Select[tuple[object]]:
    digits = sa.cast(sa.literal("{" + ",".join({*keys}) + "}", sa.Text), ARRAY(sa.Uuid))
    return sa.select(sa.func.unnest(digits, type_=sa.Uuid).label("event_key"))
