"""Customers from a file: what it would change, and the change, with exactly the meaning of ``profile.put`` per row.

A missing value erases nothing: the stored one stays. A consent from before its withdrawal does not come back.
Rows that touch an opt-out or a suppression go through ``profile.store`` one by one. All others, nearly all of most
files, go in by few set-based statements.
"""

from __future__ import annotations

from typing import BinaryIO

import sqlalchemy as sa

from engage import worker_processes
from engage.customers import suppression
from engage.imports import customer_merge as merge
from engage.imports import customer_write, staging
from engage.imports.columns import of_source, require
from engage.imports.customer_rows import FIELDS, CustomerRows, Known, refuse_opt_outs
from engage.imports.reading import Hashed, opened
from engage.imports.report import FileForm, Job, Report, Tally, form_of
from engage.imports.rows import LOST
from engage.imports.staging import staged_customer as staged
from engage.storage import partitions
from engage.storage.connection import tune
from engage.texts import phone


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
    counts = _counts(conn)
    added, changed, total = (counts.pop(name) for name in ("new", "changed", "rows"))
    notes = dict(tally.notes) | {"shared_phones": _shared_phones(conn)} | counts
    if writes:
        customer_write.write(conn, hash_key, as_of=job.as_of, actor=job.actor)
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
        read = CustomerRows(columns, options.country, hash_key, job.as_of, former=suppression.any_phone(conn))
        for parsed in worker_processes.done(read, source.chunks(), options.processes, lost=LOST):
            staging.copy(conn, parsed)
            job.rejected.write(parsed.rejected)
            tally.add(parsed)
            job.progress(tally.read)
        return form_of(source, compression, columns)


@partitions.retry_lock
def _lock(conn: sa.Connection) -> None:
    with conn.begin_nested():
        partitions.lock_customers(conn)


def _counts(conn: sa.Connection) -> dict[str, int]:
    """The customers of the file that are new, that change, that cannot be texted, and all of them."""
    new, rows = merge.is_new(), sa.func.count()
    query = sa.select(
        rows.filter(new).label("new"),
        rows.filter(~new, merge.differs()).label("changed"),
        rows.label("rows"),
        rows.filter(merge.given("phone").is_(None)).label("without_phone"),
        rows.filter(merge.given("consent_at").is_(None)).label("without_consent"),
    ).select_from(merge.with_known())
    return dict(conn.execute(query).one()._mapping)


def _shared_phones(conn: sa.Connection) -> int:
    """The phones that several customers of the file have."""
    shared = sa.select(staged.c.phone).where(staged.c.phone.is_not(None)).group_by(staged.c.phone)
    several = shared.having(sa.func.count() > 1).subquery()
    return conn.execute(sa.select(sa.func.count()).select_from(several)).scalar_one()
