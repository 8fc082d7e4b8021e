"""Writes a file's customers: one by one those with an opt-out or a suppression to look after, all others at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.customers import profile
from engage.customers import suppression as suppressions
from engage.customers.consent_record import ConsentEvent
from engage.customers.profile import Profile
from engage.imports import consent_changes
from engage.imports import customer_merge as merge
from engage.imports.customer_merge import CONSENT, PROFILE
from engage.imports.staging import staged_customer as staged
from engage.statuses import ConsentSource, SuppressionReason
from engage.storage.schema import customer, suppression

_SOME = 500
"""Customers that are read at a time to be stored one by one."""


def write(conn: sa.Connection, hash_key: bytes, *, as_of: datetime, actor: str | None) -> None:
    """Store the customers, and then their changes in the consent record. The caller commits."""
    consent_changes.begin(conn)
    _put_singly(conn, hash_key, as_of, actor)
    consent_changes.add_of_rows(conn, as_of=as_of, actor=actor)
    columns = ("customer_id", *PROFILE, *CONSENT)
    given = [staged.c[name] if name != "registered_at" else _or_now(as_of) for name in columns]
    new = sa.select(*given).select_from(merge.with_known()).where(merge.is_new()).order_by(staged.c.customer_id)
    # first the known ones, as all are known after the insert
    stored = {name: merge.given(name) for name in (*PROFILE, *CONSENT)}
    theirs = sa.and_(customer.c.customer_id == staged.c.customer_id, merge.differs())
    conn.execute(sa.update(customer).where(theirs).values(stored))
    conn.execute(sa.insert(customer).from_select(list(columns), new))
    consent_changes.record(conn, as_of)


def _or_now(as_of: datetime) -> sa.ColumnElement[datetime]:
    return sa.func.coalesce(staged.c.registered_at, sa.cast(as_of, sa.DateTime(timezone=True)))


def _put_singly(conn: sa.Connection, hash_key: bytes, as_of: datetime, actor: str | None) -> None:
    """Store the customers of ``_special``, in the order of the file, and remove them from the temporary table."""
    special = sa.union(*_special(conn, as_of)).subquery()
    fields = ("name", "phone", "locale", "time_zone", "registered_at", *CONSENT)
    said = (staged.c.consent_wording, staged.c.consent_evidence)
    query = (
        sa.select(staged.c.customer_id, *(merge.given(name).label(name) for name in fields), *said)
        .select_from(merge.with_known())
        .where(staged.c.customer_id.in_(sa.select(special.c.customer_id)))
        .order_by(staged.c.row)
    )
    stored, place = [], 1
    with conn.execute(query.execution_options(yield_per=_SOME)) as found:
        for rows in found.partitions():
            changes: list[ConsentEvent] = []
            for row in rows:
                values = row._asdict()
                customer_id = values.pop("customer_id")
                _, theirs = profile.store(
                    conn,
                    customer_id,
                    Profile(**values, stored_form=True),
                    hash_key=hash_key,
                    as_of=as_of,
                    source=ConsentSource.IMPORT,
                    actor=actor,
                )
                changes += theirs
                stored.append(customer_id)
            consent_changes.add(conn, changes, place)
            place += len(changes)
    if stored:
        conn.execute(sa.delete(staged).where(staged.c.customer_id == sa.any_(sa.cast(stored, ARRAY(sa.BigInteger)))))


def _special(conn: sa.Connection, as_of: datetime) -> Iterator[sa.Select[Any]]:
    """The customers whose row may end an opt-out or a suppression, or must keep one when the phone changes."""
    rows = sa.select(staged.c.customer_id).select_from(merge.with_known())
    anew = merge.consents_anew(as_of)
    yield rows.where(customer.c.opted_out_at.is_not(None), sa.or_(merge.has_another_phone(), anew))
    if not suppressions.any_phone(conn):
        return
    revoked = sa.and_(suppression.c.reason == SuppressionReason.REVOCATION, anew)
    same_phone = suppression.c.phone_hash == merge.given("phone_hash")
    yield sa.select(staged.c.customer_id).select_from(merge.with_known().join(suppression, same_phone)).where(revoked)
    former = sa.func.unnest(staged.c.former).table_valued("hash").render_derived().lateral()
    yield (
        sa.select(staged.c.customer_id)
        .select_from(staged.join(former, sa.true()).join(suppression, suppression.c.phone_hash == former.c.hash))
        .distinct()
    )
