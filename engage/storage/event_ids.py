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


def _insertion(keys: sa.Select[tuple[Any]], as_of: sa.ColumnElement[datetime]) -> tuple[sa.CTE, sa.CTE]:
    """The keys that a query returns, and those of them that are new and that the statement inserts."""
    given = keys.cte("given")
    columns = sa.select(given.c.event_key, as_of).order_by(given.c.event_key)
    inserting = insert(event_id).from_select(["event_key", "accepted_at"], columns).on_conflict_do_nothing()
    return given, inserting.returning(event_id.c.event_key).cte("new")


def _claiming() -> sa.Select[tuple[Any]]:
    """Inserts the keys that are not known yet, and returns the others."""
    given, new = _insertion(_GIVEN, sa.bindparam("as_of", type_=sa.DateTime(timezone=True)))
    # few keys are known in the usual case, and each row of an answer takes time
    return sa.select(given.c.event_key).where(~sa.exists().where(new.c.event_key == given.c.event_key))


def _knowing() -> sa.Select[tuple[Any]]:
    given = _GIVEN.subquery("given")
    return sa.select(event_id.c.event_key).join(given, given.c.event_key == event_id.c.event_key)


_KEYS = sa.cast(sa.bindparam("keys", type_=sa.Text), ARRAY(sa.Uuid))
_GIVEN = sa.select(sa.func.unnest(_KEYS, type_=sa.Uuid).label("event_key"))
_CLAIMING, _KNOWING = _claiming(), _knowing()
"""Made once, because that takes longer than to run them for a few keys."""


def claim(conn: sa.Connection, keys: Collection[bytes], as_of: datetime) -> set[bytes]:
    """Insert the keys that are not known yet, and return them. The caller commits, with the events of these keys.

    It waits for a transaction that is inserting one of them. Keys are inserted in their order, so two transactions that
    claim once each cannot deadlock.
    """
    if not keys:
        return set()
    known = conn.execute(_CLAIMING, {"keys": _array(keys), "as_of": as_of}).scalars()
    return {*keys} - {key.bytes for key in known}


def claim_from(conn: sa.Connection, keys: sa.Select[tuple[Any]], as_of: datetime, new: sa.Table) -> int:
    """As ``claim``, for the keys that a query returns. The new ones go to the table ``new``; returns their number."""
    _, found = _insertion(keys.distinct(), sa.cast(as_of, sa.DateTime(timezone=True)))
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
    return {key.bytes for key in conn.execute(_KNOWING, {"keys": _array(keys)}).scalars()}


def _array(keys: Collection[bytes]) -> str:
    """The keys as Postgres reads an array. The driver would write them one by one."""
    return "{" + b"".join({*keys}).hex(",", KEY_BYTES) + "}"
