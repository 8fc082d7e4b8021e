"""The changes of consent that a file of customers makes. They wait in a temporary table for the end of the import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from engage.customers import consent_record
from engage.customers.consent_record import ConsentEvent
from engage.customers.profile import EVIDENCE_MARK
from engage.imports import customer_merge as merge
from engage.imports.staging import staged_customer as staged
from engage.statuses import ConsentSource, ConsentState
from engage.storage.schema import consent_event

_NAMES = ("customer_id", "phone_hash", "state", "source", "wording", "evidence", "actor", "happened_at")
_waiting = sa.Table(
    "import_consent",
    sa.MetaData(),
    *(sa.Column(name, consent_event.c[name].type) for name in _NAMES),
    sa.Column("place", sa.BigInteger),
    sa.Column("salt", sa.LargeBinary),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


def begin(conn: sa.Connection) -> None:
    """Create the temporary table."""
    _waiting.create(conn)


def add(conn: sa.Connection, events: Sequence[ConsentEvent], first: int) -> None:
    """Add changes, which get into the record in this order. ``first`` is the first one's place, from 1 on."""
    rows = [
        {name: value for name, value in asdict(event).items() if name in _NAMES} | {"place": place}
        for place, event in enumerate(events, first)
    ]
    if rows:
        conn.execute(sa.insert(_waiting), rows)


def add_of_rows(conn: sa.Connection, *, as_of: datetime, actor: str | None) -> None:
    """Add what the rows of the file change, as ``profile.store`` has it. Call it before the customers are written.

    The rows end no opt-out and no suppression.
    """
    gives, new, moves = merge.has_another_consent(), merge.is_new(), merge.has_another_phone()
    evidence = sa.func.concat_ws(EVIDENCE_MARK, staged.c.consent_source, staged.c.consent_evidence)
    values = {
        "customer_id": staged.c.customer_id,
        "phone_hash": merge.given("phone_hash"),
        "state": sa.case((gives, ConsentState.GIVEN), (new, ConsentState.ABSENT), else_=ConsentState.PHONE_CHANGED),
        "source": sa.literal(ConsentSource.IMPORT, sa.Text),
        "wording": sa.case((gives, staged.c.consent_wording)),
        "evidence": sa.case((gives, evidence)),
        "actor": sa.literal(actor, sa.Text),
        "happened_at": sa.case((gives, staged.c.consent_at), else_=sa.cast(as_of, sa.DateTime(timezone=True))),
        "place": staged.c.row,  # any order will do, as each customer has one change
        "salt": staged.c.salt,
    }
    query = sa.select(*values.values()).select_from(merge.with_known()).where(sa.or_(gives, new, moves))
    conn.execute(sa.insert(_waiting).from_select([*values], query))


def record(conn: sa.Connection, as_of: datetime) -> None:
    """Append all changes to the consent record. Call it last in the transaction."""
    consent_record.append_from(conn, sa.select(_waiting), as_of=as_of)
