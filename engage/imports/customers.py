"""Customers from a file: what it would change, and the change, with exactly the meaning of ``profile.put`` per row.

A missing value erases nothing: the stored one stays. A consent from before its withdrawal does not come back.
Rows that touch an opt-out or a suppression go through ``profile.put`` one by one. All others, nearly all of most files,
go in by two set-based statements.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.customers import profile
from engage.customers.profile import Profile
from engage.imports import staging, workers
from engage.imports.columns import of_source, require
from engage.imports.customer_rows import FIELDS, CustomerRows, Known, refuse_opt_outs
from engage.imports.reading import Hashed, opened
from engage.imports.report import FileForm, Job, Report, Tally, form_of
from engage.imports.staging import staged_customer as staged
from engage.statuses import SuppressionReason
from engage.storage import partitions
from engage.storage.connection import tune
from engage.storage.schema import customer, suppression
from engage.texts import phone

_PROFILE = ("registered_at", "name", "phone", "phone_hash", "locale", "time_zone")
_CONSENT = ("consent_at", "consent_source")
_SOME = 500
"""Customers that are read at a time to be stored one by one."""


def check(engine: sa.Engine, file: BinaryIO, job: Job, *, hash_key: bytes) -> Report:
    """What ``apply`` would do. It changes nothing.

    Raises:
        InputError: the file cannot be read, or its columns are not clear.
    """
    with engine.connect() as conn:  # never commits
        return _load(conn, file, job, hash_key, writes=False)


def apply(engine: sa.Engine, file: BinaryIO, job: Job, *, hash_key: bytes) -> Report:
    """Add and change the customers of a file, all that are right or none. Idempotent.

    Raises:
        InputError: as of ``check``.
    """
    with engine.begin() as conn:
        return _load(conn, file, job, hash_key, writes=True)


def _load(conn: sa.Connection, file: BinaryIO, job: Job, hash_key: bytes, *, writes: bool) -> Report:
    tally = Tally()
    form = _stage(conn, file, job, hash_key, tally)
    tune(conn)
    staging.analyze(conn)
    if writes:
        _lock(conn)
    for refused in (staging.repeated_customers, staging.synthetic_customers):
        for rows in refused(conn):
            job.rejected.write(rows)
            tally.reject(rows)
    tally.notes["consent_withdrawn"] = staging.drop_withdrawn_consents(conn)
    added, changed, total = _counts(conn)
    notes = dict(tally.notes) | _notes(conn)
    if writes:
        _write(conn, hash_key, job.as_of)
    return Report(
        "customers", writes, form, tally.read, added, changed, total - added - changed, tally.rejected,
        dict(tally.reasons.most_common()), tuple(sorted(tally.first)), notes,
    )  # fmt: skip


def _stage(conn: sa.Connection, file: BinaryIO, job: Job, hash_key: bytes, tally: Tally) -> FileForm:
    """Copy the rows that are right in themselves into the temporary table; returns the file's form."""
    options = job.options
    if options.country is not None:
        phone.country(options.country)
    with opened(Hashed(file), Known()) as (source, compression, _):
        columns = of_source(source, FIELDS, options.mapping)
        require(columns, source.columns, "customer_id", "the customer's id")
        refuse_opt_outs(columns, options.mapping)
        job.rejected.begin(source.columns)
        staged.create(conn)
        read = CustomerRows(columns, options.country, hash_key, job.as_of)
        for parsed in workers.parsed(read, source.chunks(), options.processes):
            staging.copy(conn, parsed)
            job.rejected.write(parsed.rejected)
            tally.add(parsed)
            job.progress(tally.read)
        return form_of(source, compression, columns)


@partitions.retry_lock
def _lock(conn: sa.Connection) -> None:
    with conn.begin_nested():
        partitions.lock_customers(conn)


def _given(name: str) -> sa.ColumnElement[Any]:
    """A field as it is after the import: the file's value, or the stored one if the file has none."""
    return sa.func.coalesce(staged.c[name], customer.c[name])


def _with_known() -> sa.FromClause:
    return staged.outerjoin(customer, customer.c.customer_id == staged.c.customer_id)


def _differs() -> sa.ColumnElement[bool]:
    return sa.or_(*(customer.c[name].is_distinct_from(_given(name)) for name in (*_PROFILE, *_CONSENT)))


def _is_new() -> sa.ColumnElement[bool]:
    return customer.c.customer_id.is_(None)


def _consents_anew(as_of: datetime) -> sa.ColumnElement[bool]:
    """Whether a row has a consent that the database does not have, and that counts by now."""
    return sa.and_(staged.c.consent_at <= as_of, customer.c.consent_at.is_distinct_from(staged.c.consent_at))


def _counts(conn: sa.Connection) -> tuple[int, int, int]:
    """The customers that are new, those that change, and all of the file."""
    new, total = _is_new(), sa.func.count()
    changed = sa.and_(~new, _differs())
    query = sa.select(total.filter(new), total.filter(changed), total).select_from(_with_known())
    added, differ, rows = conn.execute(query).one()
    return added, differ, rows


def _notes(conn: sa.Connection) -> dict[str, int]:
    """Counts of the customers that are right: phones that several share, and those that cannot be texted."""
    shared = sa.select(staged.c.phone).where(staged.c.phone.is_not(None)).group_by(staged.c.phone)
    phones = conn.execute(sa.select(sa.func.count()).select_from(shared.having(sa.func.count() > 1).subquery()))
    total = sa.func.count()
    query = sa.select(
        total.filter(_given("phone").is_(None)).label("without_phone"),
        total.filter(_given("consent_at").is_(None)).label("without_consent"),
    ).select_from(_with_known())
    return {"shared_phones": phones.scalar_one(), **conn.execute(query).one()._mapping}


def _write(conn: sa.Connection, hash_key: bytes, as_of: datetime) -> None:
    """Store the customers: one by one those with an opt-out or a suppression to look after, then all others."""
    _put_singly(conn, hash_key, as_of)
    columns = ("customer_id", *_PROFILE, *_CONSENT)
    given = [staged.c[name] if name != "registered_at" else _or_now(as_of) for name in columns]
    new = sa.select(*given).select_from(_with_known()).where(_is_new()).order_by(staged.c.customer_id)
    # first the known ones, as all are known after the insert
    stored = {name: _given(name) for name in (*_PROFILE, *_CONSENT)}
    theirs = sa.and_(customer.c.customer_id == staged.c.customer_id, _differs())
    conn.execute(sa.update(customer).where(theirs).values(stored))
    conn.execute(sa.insert(customer).from_select(list(columns), new))


def _or_now(as_of: datetime) -> sa.ColumnElement[datetime]:
    return sa.func.coalesce(staged.c.registered_at, sa.cast(as_of, sa.DateTime(timezone=True)))


def _put_singly(conn: sa.Connection, hash_key: bytes, as_of: datetime) -> None:
    """Store the customers of ``_special``, in the order of the file, and remove them from the temporary table."""
    special = sa.union(*_special(conn, as_of)).subquery()
    fields = ("name", "phone", "locale", "time_zone", "registered_at", *_CONSENT)
    query = (
        sa.select(staged.c.customer_id, *(_given(name).label(name) for name in fields))
        .select_from(_with_known())
        .where(staged.c.customer_id.in_(sa.select(special.c.customer_id)))
        .order_by(staged.c.row)
    )
    stored = []
    with conn.execute(query.execution_options(yield_per=_SOME)) as rows:
        for row in rows:
            given = Profile(**{name: getattr(row, name) for name in fields}, stored_form=True)
            profile.put(conn, row.customer_id, given, hash_key=hash_key, as_of=as_of)
            stored.append(row.customer_id)
    if stored:
        conn.execute(sa.delete(staged).where(staged.c.customer_id == sa.any_(sa.cast(stored, ARRAY(sa.BigInteger)))))


def _special(conn: sa.Connection, as_of: datetime) -> Iterator[sa.Select[Any]]:
    """The customers whose row may end an opt-out or a suppression, or must keep one when the phone changes."""
    rows = sa.select(staged.c.customer_id).select_from(_with_known())
    anew = _consents_anew(as_of)
    moves = sa.and_(staged.c.phone_hash.is_not(None), customer.c.phone_hash.is_distinct_from(staged.c.phone_hash))
    yield rows.where(customer.c.opted_out_at.is_not(None), sa.or_(moves, anew))
    if not conn.execute(sa.select(sa.exists().select_from(suppression))).scalar_one():
        return
    revoked = sa.and_(suppression.c.reason == SuppressionReason.REVOCATION, anew)
    same_phone = suppression.c.phone_hash == _given("phone_hash")
    yield sa.select(staged.c.customer_id).select_from(_with_known().join(suppression, same_phone)).where(revoked)
    former = sa.func.unnest(staged.c.former).table_valued("hash").render_derived().lateral()
    yield (
        sa.select(staged.c.customer_id)
        .select_from(staged.join(former, sa.true()).join(suppression, suppression.c.phone_hash == former.c.hash))
        .distinct()
    )
