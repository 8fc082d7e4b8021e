"""The temporary tables that a file is copied into, and the rows of one that the database refuses."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.customers import consent_record
from engage.imports import customer_rows, event_rows
from engage.imports.rows import Fault, Parsed, Rejected
from engage.storage import partitions
from engage.storage.binary_copy import copy_bytes
from engage.storage.schema import app_event, app_session, customer, purchase, refund
from engage.storage.schema.columns import moment

_metadata = sa.MetaData()
_BATCH = 10_000

staged_customer = sa.Table(
    customer_rows.STAGED,
    _metadata,
    sa.Column("row", sa.BigInteger),
    sa.Column("customer_id", sa.BigInteger),
    moment("registered_at"),
    sa.Column("name", sa.Text),
    sa.Column("phone", sa.Text),
    sa.Column("phone_hash", sa.LargeBinary),
    sa.Column("former", ARRAY(sa.LargeBinary), comment="hashes under which an earlier version may have suppressed it"),
    sa.Column("locale", sa.Text),
    sa.Column("time_zone", sa.Text),
    moment("consent_at"),
    sa.Column("consent_source", sa.Text),
    sa.Column("consent_wording", sa.Text),
    sa.Column("consent_evidence", sa.Text),
    sa.Column("salt", sa.LargeBinary, comment="random bytes for the consent record"),
    sa.Column("original", sa.Text, comment="the values of the file's columns, as JSON without brackets"),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
"""One row per row of a file of customers. A missing value is null, and erases nothing."""


def _log(name: str, log: sa.Table, *more: sa.Column[Any]) -> sa.Table:
    columns = [sa.Column(column.name, column.type) for column in log.columns]
    return sa.Table(name, _metadata, *columns, *more, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")


def _log_with_id(name: str, log: sa.Table) -> sa.Table:
    return _log(event_rows.WITH_ID.format(name), log, sa.Column("row", sa.BigInteger), sa.Column("event_key", sa.Uuid))


_LOGS = {
    event_rows.SESSIONS: app_session,
    event_rows.PURCHASES: purchase,
    event_rows.REFUNDS: refund,
    event_rows.APP_EVENTS: app_event,
}
STAGED_LOGS = {_log(name, log): log for name, log in _LOGS.items()}
"""The tables for events without an id, each with its raw log."""
STAGED_WITH_ID = {_log_with_id(name, log): log for name, log in _LOGS.items()}
"""The tables for events with an id, each with its raw log."""


def copy(conn: sa.Connection, parsed: Parsed, only: Collection[sa.Table] | None = None) -> None:
    """Add the rows of a chunk to their temporary tables, or to ``only`` some of these."""
    for name, rows in parsed.copied.items():
        table = _metadata.tables[name]
        if rows and (only is None or table in only):
            copy_bytes(conn, table, rows)


def repeated_customers(conn: sa.Connection) -> Iterator[list[Rejected]]:
    """Remove the rows whose customer stands in an earlier row, and return them."""
    staged = staged_customer
    first = (
        sa.select(staged.c.customer_id, sa.func.min(staged.c.row).label("first"))
        .group_by(staged.c.customer_id)
        .having(sa.func.count() > 1)
        .cte("repeated")
    )
    again = sa.and_(staged.c.customer_id == first.c.customer_id, staged.c.row > first.c.first)
    for rows in _removed(conn, again, first.c.first):
        yield [_rejected(row, _repeated(row.first)) for row in rows]


def synthetic_customers(conn: sa.Connection) -> Iterator[list[Rejected]]:
    """Remove the rows whose customer is synthetic in the database, and return them."""
    staged = staged_customer
    theirs = sa.and_(staged.c.customer_id == customer.c.customer_id, customer.c.synthetic)
    fault = Fault(
        "synthetic_customer",
        "The customer is synthetic, made by seeding. Put real customers into another database, or give this one an id "
        "that no synthetic customer has.",
    )
    for rows in _removed(conn, theirs):
        yield [_rejected(row, fault) for row in rows]


def drop_withdrawn_consents(conn: sa.Connection) -> int:
    """Remove the consents that were withdrawn later, which an old export still has; returns their number."""
    staged = staged_customer
    since = consent_record.withdrawn_since(staged.c.customer_id, staged.c.consent_at)
    nothing = dict.fromkeys(("consent_at", "consent_source", "consent_wording", "consent_evidence"))
    withdrawn = sa.update(staged).where(since).values(nothing)
    return conn.execute(withdrawn.execution_options(preserve_rowcount=True)).rowcount


def _repeated(first: int) -> Fault:
    return Fault("repeated_customer", f"Row {first} has the same customer id, and is the one that counts.")


def _rejected(row: sa.Row[Any], fault: Fault) -> Rejected:
    return Rejected(row.row, fault, tuple(json.loads(f"[{row.original}]")))


def _removed(
    conn: sa.Connection, wrong: sa.ColumnElement[bool], *columns: sa.ColumnElement[Any]
) -> Iterator[Sequence[sa.Row[Any]]]:
    """The wrong rows in their order, some at a time. They are removed once all were returned."""
    found = sa.select(staged_customer.c.row, staged_customer.c.original, *columns).where(wrong)
    any_wrong = False
    with conn.execute(found.order_by(staged_customer.c.row).execution_options(yield_per=_BATCH)) as rows:
        for some in rows.partitions():
            any_wrong = True
            yield some
    if any_wrong:  # to find none again would take as long
        conn.execute(sa.delete(staged_customer).where(wrong))


def analyze(conn: sa.Connection) -> None:
    """Prepare the statements that read the customers."""
    partitions.analyze(conn, staged_customer)
