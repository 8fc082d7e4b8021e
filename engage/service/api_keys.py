"""Keys of the HTTP service: made once, shown once, kept as a hash.

A key is ``engage_ID_SECRET``. The secret has 256 random bits, so a plain SHA-256 keeps it: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.errors import InputError
from engage.statuses import ApiScope
from engage.storage.schema import api_key

REQUESTS_PER_SECOND = 100
MAX_REQUESTS_PER_SECOND = 100_000
_FORM = re.compile(r"engage_([0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept. ``requests_per_second`` 0 is no limit."""

    key_id: str
    name: str
    scopes: frozenset[str]
    requests_per_second: int
    created_at: datetime
    revoked_at: datetime | None


def create(
    conn: sa.Connection, name: str, scopes: Collection[str], requests_per_second: int, *, as_of: datetime
) -> str:
    """Make a key and return its text, which nobody can show again.

    Raises:
        InputError: no name, no or an unknown scope, a rate out of range.
    """
    if not name.strip() or len(name) > 100:
        raise InputError("A key takes a name of 1 to 100 characters that says who uses it.")
    if not scopes or (unknown := set(scopes) - set(ApiScope)):
        wrong = sorted(unknown)[0] if scopes else ""
        raise InputError(f"{wrong!r} is not a scope; a key takes one or more of {', '.join(ApiScope)}.")
    if not 0 <= requests_per_second <= MAX_REQUESTS_PER_SECOND:
        raise InputError(
            f"requests_per_second is {requests_per_second}; it takes 0, no limit, to {MAX_REQUESTS_PER_SECOND}."
        )
    key_id = secrets.token_hex(6)
    text = f"engage_{key_id}_{secrets.token_urlsafe(32)}"
    conn.execute(
        sa.insert(api_key).values(
            key_id=key_id,
            name=name.strip(),
            secret_hash=_digest(text),
            scopes=sorted(set(scopes)),
            requests_per_second=requests_per_second,
            created_at=as_of,
        )
    )
    return text


def revoke(conn: sa.Connection, key_id: str, *, as_of: datetime) -> None:
    """Make a key of no use. Again: changes nothing.

    Raises:
        InputError: there is no such key.
    """
    known = sa.update(api_key).where(api_key.c.key_id == key_id)
    if not conn.execute(known.values(revoked_at=sa.func.coalesce(api_key.c.revoked_at, as_of))).rowcount:
        raise InputError(f"There is no key {key_id!r}; `keys list` shows their ids.")


def everyone(conn: sa.Connection) -> list[ApiKey]:
    """All keys, oldest first."""
    return [_key(row) for row in conn.execute(sa.select(api_key).order_by(api_key.c.created_at, api_key.c.key_id))]


def find(conn: sa.Connection, text: str) -> ApiKey | None:
    """The key with this text, unless it is revoked."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    row = conn.execute(
        sa.select(api_key).where(api_key.c.key_id == match[1], api_key.c.revoked_at.is_(None))
    ).one_or_none()
    same = hmac.compare_digest(_digest(text), row.secret_hash if row else bytes(32))
    return _key(row) if row and same else None


def has_form(text: str) -> bool:
    """Whether a text can be a key at all."""
    return _FORM.fullmatch(text) is not None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _key(row: Any) -> ApiKey:
    return ApiKey(row.key_id, row.name, frozenset(row.scopes), row.requests_per_second, row.created_at, row.revoked_at)
