"""Verification of the consent record: the first row of each chain that does not fit."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from engage.customers.consent_record import SEALED, link, row_bytes, seal
from engage.errors import BrokenRecord
from engage.statuses import ConsentState
from engage.storage.schema import consent_chain, consent_event


@dataclass(frozen=True)
class Misfit:
    """A place in the record that does not fit, and what is wrong there."""

    chain: int
    number: int
    fault: str

    def __str__(self) -> str:
        return f"Chain {self.chain}, row {self.number}: {self.fault}."


@dataclass(frozen=True)
class Verification:
    """The rows that were read, and the first place of each chain that does not fit."""

    events: int
    misfits: list[Misfit]


_CHANGED = "the row was changed"
_MISSING = "the row is missing"
_CUT = "the row is missing, or the chain's length or last hash in consent_chain was changed"
_BLANKED = "the row was blanked without an erasure on record, or the erasure's row count was changed"


def verify(engine: sa.Engine) -> Verification:
    """Compute every hash of the record again, in one scan of one snapshot."""
    checks = (_changed(), _CHANGED), (_gaps(), _MISSING), (_cut(), _CUT), (_blanked(), _BLANKED)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn, conn.begin():
        places = [(chain, number, fault) for query, fault in checks for chain, number in conn.execute(query).all()]
        events = conn.execute(sa.select(sa.func.count()).select_from(consent_event)).scalar_one()
    first: dict[int, Misfit] = {}
    for chain, number, fault in sorted(places, reverse=True):
        first[chain] = Misfit(chain, number, fault)
    return Verification(events, sorted(first.values(), key=lambda misfit: misfit.chain))


def require_whole(engine: sa.Engine) -> Verification:
    """Verify the record.

    Raises:
        BrokenRecord: a row was changed or removed.
    """
    done = verify(engine)
    if not done.misfits:
        return done
    first, *others = done.misfits
    more = f" {len(others)} more {'chain does' if len(others) == 1 else 'chains do'} not fit." if others else ""
    raise BrokenRecord(
        f"The consent record was changed past Engage. {first}{more} Compare the table consent_event with a backup: "
        "docs/consent.md says how."
    )


def _changed() -> sa.Select[int, int]:
    """By chain, the first row whose seal or hash is not what it must be."""
    row = consent_event.c
    before = sa.func.lag(row.hash).over(partition_by=row.chain, order_by=row.number)
    hash_ = link(sa.func.coalesce(before, b""), row_bytes(consent_event))
    blank = sa.and_(row.wording.is_(None), row.evidence.is_(None), sa.func.coalesce(row.customer_id, -1) < 0)
    sealed = sa.case((row.salt.is_(None), blank), else_=seal(row.salt, *(row[name] for name in SEALED)) == row.sealed)
    checked = sa.select(row.chain, row.number, sa.and_(row.hash == hash_, sealed).label("fits")).subquery()
    misfits = sa.select(checked.c.chain, sa.func.min(checked.c.number)).where(checked.c.fits.is_not(True))
    return misfits.group_by(checked.c.chain)


def _gaps() -> sa.Select[int, int]:
    """By chain, the first number between others that is missing."""
    row = consent_event.c
    before = sa.func.lag(row.number).over(partition_by=row.chain, order_by=row.number)
    number = sa.func.coalesce(before, 0) + 1
    checked = sa.select(row.chain, row.number, number.label("next")).subquery()
    gaps = sa.select(checked.c.chain, sa.func.min(checked.c.next)).where(checked.c.number != checked.c.next)
    return gaps.group_by(checked.c.chain)


def _cut() -> sa.Select[int, int]:
    """By chain, the place after the last row, if the chain should go on there or end otherwise."""
    row = consent_event.c
    number, hash_ = row.number.label("number"), row.hash.label("hash")
    last = (
        sa.select(row.chain, number, hash_)
        .ext(distinct_on(row.chain))
        .order_by(row.chain, row.number.desc())
        .subquery()
    )
    length = sa.func.coalesce(last.c.number, 0)
    same = sa.and_(consent_chain.c.length == length, consent_chain.c.last_hash == sa.func.coalesce(last.c.hash, b""))
    place = sa.case((consent_chain.c.length == length, length), else_=length + 1)
    chain = sa.func.coalesce(consent_chain.c.chain, last.c.chain)
    joined = consent_chain.outerjoin(last, last.c.chain == consent_chain.c.chain, full=True)
    return sa.select(chain, place).select_from(joined).where(same.is_not(True))


def _blanked() -> sa.Select[int, int]:
    """By chain, the first row of a customer or phone with more or fewer blanked rows than its erasures say."""
    row = consent_event.c
    phone = sa.case((row.customer_id.is_(None), row.phone_hash))
    blanked = sa.func.count().filter(row.salt.is_(None))
    recorded = sa.func.coalesce(sa.func.sum(row.blanked).filter(row.state == ConsentState.ERASED), 0)
    involved = sa.or_(row.salt.is_(None), row.blanked.is_not(None))
    theirs = (
        sa.select(row.chain, sa.func.min(row.number).label("number"))
        .where(involved)
        .group_by(row.chain, row.customer_id, phone)
        .having(blanked != recorded)
        .subquery()
    )
    return sa.select(theirs.c.chain, sa.func.min(theirs.c.number)).group_by(theirs.c.chain)
