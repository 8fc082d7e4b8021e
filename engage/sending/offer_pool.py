"""The codes of each offer: adds them, and counts them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.storage.binary_copy import copy_rows
from engage.storage.schema import offer_code
from engage.texts import offer_code as codes

MOST = 10_000_000
"""Codes that one command adds."""
_LOCK = 0x6F6666657273  # "offers"
_LOOKED_UP = 250_000
_COLUMNS = ("code", "offer", "added_at", "expires_at")


@dataclass(frozen=True)
class Added:
    """How many codes were added, and how many the table had, in the same offer or in another."""

    added: int
    known: int = 0
    in_other_offers: int = 0


@dataclass(frozen=True)
class OfferCounts:
    """One offer's codes. Each is free, expired or given; some of those given are redeemed."""

    offer: str
    codes: int
    free: int
    given: int
    """Codes that messages have."""
    redeemed: int
    expired: int
    """Codes that no message had before they expired."""


def add(
    conn: sa.Connection, offer: str, new: Collection[str], *, expires_at: datetime | None, as_of: datetime
) -> Added:
    """Add codes to an offer. A code that the table has stays as it is."""
    _take_turns(conn)
    known = _known(conn, list(new))
    fresh = sorted(code for code in new if code not in known)  # a sorted index is built twice as fast
    copy_rows(conn, offer_code, _COLUMNS, ((code, offer, as_of, expires_at) for code in fresh))
    here = sum(found == offer for found in known.values())
    return Added(len(fresh), here, len(known) - here)


def generate(conn: sa.Connection, offer: str, count: int, *, expires_at: datetime | None, as_of: datetime) -> Added:
    """Make so many codes, and add them to an offer."""
    left = count
    while left:
        left -= add(conn, offer, codes.generated(left), expires_at=expires_at, as_of=as_of).added
    return Added(count)


def counts(conn: sa.Connection, as_of: datetime) -> list[OfferCounts]:
    """The codes of each offer, by name."""
    given = offer_code.c.window_start.is_not(None)
    expired = sa.and_(sa.not_(given), offer_code.c.expires_at <= as_of)
    query = (
        sa.select(
            offer_code.c.offer,
            sa.func.count().label("codes"),
            sa.func.count().filter(sa.not_(given), expired.is_not(True)).label("free"),
            sa.func.count().filter(given).label("given"),
            sa.func.count(offer_code.c.redeemed_at).label("redeemed"),
            sa.func.count().filter(expired).label("expired"),
        )
        .group_by(offer_code.c.offer)
        .order_by(offer_code.c.offer)
    )
    return [OfferCounts(*row) for row in conn.execute(query)]


def _take_turns(conn: sa.Connection) -> None:
    """Let no other command add codes until the commit, so that no code is added twice."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def _known(conn: sa.Connection, wanted: Sequence[str]) -> dict[str, str]:
    """The offer of each of these codes that the table has."""
    found: dict[str, str] = {}
    for first in range(0, len(wanted), _LOOKED_UP):
        given = sa.func.unnest(sa.literal(list(wanted[first : first + _LOOKED_UP]), ARRAY(sa.Text)))
        some = given.table_valued("code").render_derived(name="some")
        query = sa.select(offer_code.c.code, offer_code.c.offer).join(some, some.c.code == offer_code.c.code)
        found |= {row.code: row.offer for row in conn.execute(query)}
    return found
