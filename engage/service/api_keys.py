"""API keys of the HTTP service: made and shown once, then kept as a hash.

A key is ``engage_ID_SECRET``. The secret has 256 random bits, so a plain SHA-256 is enough to keep it safe.
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

MAX_NAME = 100
REQUESTS_PER_SECOND = 100
MAX_REQUESTS_PER_SECOND = 100_000
_FORM = re.compile(r"engage_([0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True)
class ApiKey:
    """A key as the database keeps it. A ``requests_per_second`` of 0 means no limit."""

    key_id: str
    name: str
    owner: str
    """The client. A batch that is sent again counts once for all keys of one owner, so keys can be replaced."""
    scopes: frozenset[str]
    requests_per_second: int
    created_at: datetime
    revoked_at: datetime | None
    expires_at: datetime | None


def create(
    conn: sa.Connection,
    name: str,
    scopes: Collection[str],
    requests_per_second: int,
    *,
    as_of: datetime,
    owner: str | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Make a key and return its text. The text cannot be shown again. The owner is by default the name.

    Raises:
        InputError: the name or the scopes are missing, a scope is unknown, the rate is out of range, or the key would
            have expired already.
    """
    for what, text in (("a name", name), ("an owner", name if owner is None else owner)):
        if not text.strip() or len(text) > MAX_NAME or not text.isprintable():
            raise InputError(
                f"A key takes {what} of 1 to {MAX_NAME} characters without control characters, not {text[:40]!r}."
            )
    if expires_at is not None and expires_at <= as_of:
        raise InputError(f"The key would have expired on {expires_at:%Y-%m-%d %H:%M} UTC; give a later time.")
    if not scopes or (unknown := set(scopes) - set(ApiScope)):
        wrong = sorted(unknown)[0] if scopes else ""
        raise InputError(f"{wrong!r} is not a scope; a key takes one or more of {', '.join(ApiScope)}.")
    if not 0 <= requests_per_second <= MAX_REQUESTS_PER_SECOND:
        raise InputError(
            f"requests_per_second is {requests_per_second}; it takes 0 (no limit) to {MAX_REQUESTS_PER_SECOND}."
        )
    key_id = secrets.token_hex(6)
    text = f"engage_{key_id}_{secrets.token_urlsafe(32)}"
    conn.execute(
        sa.insert(api_key).values(
            key_id=key_id,
            name=name.strip(),
            owner=(owner or name).strip(),
            expires_at=expires_at,
            secret_hash=_digest(text),
            scopes=sorted(set(scopes)),
            requests_per_second=requests_per_second,
            created_at=as_of,
        )
    )
    return text


def revoke(conn: sa.Connection, key_id: str, *, as_of: datetime) -> None:
    """Revoke a key for good. Idempotent: a second call changes nothing.

    Raises:
        InputError: the id is unknown.
    """
    known = sa.update(api_key).where(api_key.c.key_id == key_id)
    if not conn.execute(known.values(revoked_at=sa.func.coalesce(api_key.c.revoked_at, as_of))).rowcount:
        raise InputError(f"There is no key {key_id!r}; `keys list` shows the ids.")


def all_keys(conn: sa.Connection) -> list[ApiKey]:
    """All keys, revoked ones included, oldest first."""
    return [_key(row) for row in conn.execute(sa.select(api_key).order_by(api_key.c.created_at, api_key.c.key_id))]


def find(conn: sa.Connection, text: str, *, as_of: datetime) -> ApiKey | None:
    """The key with this text, or None if it is unknown, revoked or expired."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    unexpired = api_key.c.expires_at.is_(None) | (api_key.c.expires_at > as_of)
    in_force = sa.select(api_key).where(api_key.c.key_id == match[1], api_key.c.revoked_at.is_(None), unexpired)
    row = conn.execute(in_force).one_or_none()
    same = hmac.compare_digest(_digest(text), row.secret_hash if row else bytes(32))
    return _key(row) if row and same else None


def has_form(text: str) -> bool:
    """Whether a text looks like a key, known or not."""
    return _FORM.fullmatch(text) is not None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _key(row: Any) -> ApiKey:
    return ApiKey(
        row.key_id, row.name, row.owner, frozenset(row.scopes), row.requests_per_second, row.created_at,
        row.revoked_at, row.expires_at,
    )  # fmt: skip
