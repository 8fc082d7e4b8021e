"""The consent record: append changes of consent to hash chains, each in the transaction that makes the change.

A row's hash covers the row and the hash before it, so a row that is changed, removed or moved later does not fit any
more (``consent_verification``). A chain's row in ``consent_chain`` is locked until the commit. Chains are locked in
their order, and last in a transaction, so that writers cannot wait for one another in a circle.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from engage.statuses import ConsentSource, ConsentState, SuppressionReason
from engage.storage.schema import consent_chain, consent_event

CHAINS = 64
"""Chains of customers, and as many of phones after them. A power of two: two writers at once rarely need the same one.

Phones have their own, so that a STOP need not wait for an import, which holds the chains of customers for long.
"""
SEALED = ("customer_id", "wording", "evidence")
"""The columns that may name a customer. Only their salted hash is in the chain, so that an erasure can blank them."""
SALT_BYTES = 16

STATE_OF = {
    SuppressionReason.STOP: ConsentState.STOPPED,
    SuppressionReason.REVOCATION: ConsentState.REVOKED,
    SuppressionReason.PROVIDER: ConsentState.REFUSED,
    SuppressionReason.DEAD_NUMBER: ConsentState.DEAD_NUMBER,
    SuppressionReason.ERASURE: ConsentState.ERASED,
}
"""What the record says of a phone that is suppressed for a reason."""


@dataclass(frozen=True, kw_only=True)
class ConsentEvent:
    """A change of consent. Without a ``customer_id`` it is the phone's: it holds for every customer who has the phone.

    ``phone_hash`` of a customer's change is the phone after it. ``happened_at``: when the customer did it.
    """

    state: ConsentState
    source: ConsentSource
    happened_at: datetime
    customer_id: int | None = None
    phone_hash: bytes | None = field(default=None, repr=False)
    wording: str | None = None
    evidence: str | None = None
    actor: str | None = None
    blanked: int | None = None

    @property
    def chain(self) -> int:
        """The number of the event's chain."""
        if self.customer_id is not None:
            return self.customer_id & (CHAINS - 1)
        return CHAINS + ((self.phone_hash or b"\0")[0] & (CHAINS - 1))


_GIVEN = ("customer_id", "phone_hash", "state", "source", "wording", "evidence", "actor", "happened_at", "blanked")


def append(conn: sa.Connection, events: Iterable[ConsentEvent], *, as_of: datetime) -> None:
    """Add changes to the record. Call it last in the transaction that makes the changes."""
    rows = [asdict(event) | {"chain": event.chain, "recorded_at": as_of} for event in events]
    if rows:
        salted = ({**row, "salt": secrets.token_bytes(SALT_BYTES)} for row in sorted(rows, key=itemgetter("chain")))
        conn.execute(_APPEND_ONE, [{f"new_{name}": value for name, value in row.items()} for row in salted])


def append_from(conn: sa.Connection, changes: sa.Select[*tuple[Any, ...]], *, as_of: datetime) -> int:
    """Add the changes that a query returns, all at once; returns their number. Call it last in the transaction.

    The query's columns have the names of ``ConsentEvent``'s fields. It has ``customer_id`` and ``phone_hash``; another
    column that is missing is null. Changes of one chain get into the record in the order of ``happened_at``, or of the
    column ``place`` if the query has it. The column ``salt`` may have 16 random bytes for a change, to spare the
    database their making. It locks all chains of customers until the commit, and then those of phones, if the query has
    a change of one.
    """
    given = changes.subquery("given")
    of_customer = given.c.customer_id.is_not(None)
    added = _append_rows(conn, sa.select(given).where(of_customer), consent_chain.c.chain < CHAINS, as_of)
    return added + _append_rows(conn, sa.select(given).where(~of_customer), consent_chain.c.chain >= CHAINS, as_of)


def _append_rows(
    conn: sa.Connection, changes: sa.Select[*tuple[Any, ...]], theirs: sa.ColumnElement[bool], as_of: datetime
) -> int:
    """Add the changes that belong to some chains, and move these on."""
    needed = sa.select(consent_chain.c.chain).where(theirs, sa.exists().select_from(changes.subquery()))
    if not conn.execute(needed.order_by(consent_chain.c.chain).with_for_update()).all():
        return 0
    added = conn.execute(_append_all(changes, as_of).execution_options(preserve_rowcount=True)).rowcount
    chain = consent_chain.alias("locked")
    rows = sa.select(consent_event.c.number, consent_event.c.hash).where(consent_event.c.chain == chain.c.chain)
    last = rows.order_by(consent_event.c.number.desc()).limit(1).correlate(chain).lateral("last")
    head = sa.select(chain.c.chain, last).join_from(chain, last, sa.true()).subquery("head")
    conn.execute(
        sa.update(consent_chain)
        .where(theirs, consent_chain.c.chain == head.c.chain, consent_chain.c.length < head.c.number)
        .values(length=head.c.number, last_hash=head.c.hash)
    )
    return added


def withdrawn_since(
    customer_id: sa.ColumnElement[int], given: sa.ColumnElement[datetime] | sa.BindParameter[datetime]
) -> sa.ColumnElement[bool]:
    """Whether the customer withdrew a consent at the time ``given`` or later. Then a consent of that time is over."""
    return sa.exists().where(
        consent_event.c.customer_id == customer_id,
        consent_event.c.state == ConsentState.WITHDRAWN,
        consent_event.c.happened_at >= given,
    )


def row_bytes(row: sa.FromClause | None = None, **columns: sa.ColumnElement[Any]) -> sa.Function[bytes]:
    """The bytes of a row that its hash covers. ``columns`` stand in for those of ``row``."""
    names = ("chain", "number", "phone_hash", "state", "source", "actor", "happened_at", "recorded_at", "blanked")
    found = [columns[name] if row is None or name in columns else row.c[name] for name in (*names, "sealed")]
    return sa.func.consent_row(*found, type_=sa.LargeBinary)


def seal(salt: sa.ColumnElement[Any], *values: sa.ColumnElement[Any]) -> sa.Function[bytes]:
    """The salted hash of the values of ``SEALED``."""
    return sa.func.consent_seal(salt, *values, type_=sa.LargeBinary)


def link(previous: sa.ColumnElement[Any], row: sa.ColumnElement[Any]) -> sa.Function[bytes]:
    """The hash of a row after the ``previous`` hash, which is empty before a chain's first row."""
    return sa.func.consent_link(sa.null(), previous, row, type_=sa.LargeBinary)


def _append_all(changes: sa.Select[*tuple[Any, ...]], as_of: datetime) -> sa.Insert:
    """The changes of a query, each with its place in its chain and its hash."""
    given = changes.subquery("given")
    values = {name: given.c[name] if name in given.c else _typed(name, sa.null()) for name in _GIVEN}
    values["recorded_at"] = _typed("recorded_at", sa.literal(as_of))
    of_phone = CHAINS + sa.func.get_byte(values["phone_hash"], 0, type_=sa.BigInteger).op("&")(CHAINS - 1)
    place = sa.func.coalesce(values["customer_id"].op("&")(CHAINS - 1), of_phone)
    chain = sa.cast(place, sa.SmallInteger).label("chain")
    where = [given.c.place.label("given_place")] if "place" in given.c else []
    salt = sa.func.uuid_send(sa.func.gen_random_uuid(), type_=sa.LargeBinary)
    if "salt" in given.c:
        salt = sa.func.coalesce(given.c.salt, salt)
    columns = {"salt": salt, **values}
    placed = sa.select(chain, *where, *(column.label(name) for name, column in columns.items())).subquery("placed")
    sorting = [placed.c.happened_at, placed.c.customer_id, placed.c.phone_hash]
    if "given_place" in placed.c:
        sorting = [placed.c.given_place, *sorting]
    order = sa.func.row_number().over(partition_by=placed.c.chain, order_by=sorting)
    numbered = sa.select(placed, order.label("place")).subquery("numbered")
    # the offset keeps Postgres from computing the seal for the row and again for its hash, there without inlining
    sealed_ = seal(numbered.c.salt, *(numbered.c[name] for name in SEALED)).label("sealed")
    sealed = sa.select(numbered, sealed_).offset(0).subquery("sealed_rows")
    number = (consent_chain.c.length + sealed.c.place).label("number")
    links = sa.func.consent_links(
        consent_chain.c.last_hash, row_bytes(sealed, number=number.element), type_=sa.LargeBinary
    )
    hashed = links.over(partition_by=sealed.c.chain, order_by=sealed.c.place, rows=(None, 0))
    columns = {"number": number, "hash": hashed} | {name: sealed.c[name] for name in ("chain", "sealed", *columns)}
    query = sa.select(*columns.values()).join_from(sealed, consent_chain, consent_chain.c.chain == sealed.c.chain)
    return sa.insert(consent_event).from_select(list(columns), query)


def blank(
    conn: sa.Connection, customer_id: int, phones: Sequence[bytes], *, as_of: datetime, actor: str | None
) -> list[ConsentEvent]:
    """Take a customer and their phones' evidence out of the record; returns the erasures to append.

    The rows stay in their chains, under a random negative number that no other table has, so what held for the phone
    at a time can still be said.
    """
    stand_in = -CHAINS * (secrets.randbelow(2**56) + 1) + customer_id % CHAINS  # in the same chain
    there = sa.and_(consent_event.c.customer_id == customer_id, consent_event.c.salt.is_not(None))
    nothing = {"salt": None, "wording": None, "evidence": None}
    theirs = conn.execute(sa.update(consent_event).where(there).values(customer_id=stand_in, **nothing)).rowcount
    erased = ConsentEvent(
        state=ConsentState.ERASED, source=ConsentSource.ERASURE, happened_at=as_of, customer_id=stand_in, actor=actor
    )
    events = [replace(erased, blanked=theirs)] if theirs else []
    for phone_hash in phones:
        of_phone = sa.and_(consent_event.c.customer_id.is_(None), consent_event.c.phone_hash == phone_hash)
        named = sa.and_(of_phone, consent_event.c.evidence.is_not(None), consent_event.c.salt.is_not(None))
        blanked = conn.execute(sa.update(consent_event).where(named).values(**nothing)).rowcount
        events.append(replace(erased, customer_id=None, phone_hash=phone_hash, blanked=blanked or None))
    return events


def _append_one() -> sa.Insert:
    """One statement: it moves the chain on, which locks it and gives the hash, and inserts the row."""
    names = (*_GIVEN, "recorded_at", "salt", "chain")
    values = {name: _typed(name, sa.bindparam(f"new_{name}", type_=consent_event.c[name].type)) for name in names}
    chain = values.pop("chain")
    values["sealed"] = seal(values["salt"], *(values[name] for name in SEALED))
    number = consent_chain.c.length + 1
    row = row_bytes(None, **values, chain=chain, number=number)
    turn = (
        sa.update(consent_chain)
        .where(consent_chain.c.chain == chain)
        .values(length=number, last_hash=link(consent_chain.c.last_hash, row))
        .returning(consent_chain.c.chain, consent_chain.c.length, consent_chain.c.last_hash)
        .cte("turn")
    )
    columns = {"chain": turn.c.chain, "number": turn.c.length, "hash": turn.c.last_hash, **values}
    return sa.insert(consent_event).from_select(list(columns), sa.select(*columns.values()))


def _typed(name: str, value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """A value with its column's type, which a function's argument needs."""
    return sa.cast(value, consent_event.c[name].type)


_APPEND_ONE = _append_one()
