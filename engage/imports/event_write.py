"""Writes a file's events to the raw logs. Of the events with an id, those that are stored already are left out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from engage.imports.staging import STAGED_LOGS, STAGED_WITH_ID
from engage.storage import event_ids

_new = sa.Table(
    "import_event_id",
    sa.MetaData(),
    sa.Column("event_key", sa.Uuid),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
"""The ids that this import has claimed."""


def write(conn: sa.Connection, as_of: datetime) -> int:
    """Add the events of the temporary tables; returns how many of those with an id are left out.

    Of several rows with one id the first counts.
    """
    for staged, log in STAGED_LOGS.items():
        conn.execute(sa.insert(log).from_select([c.name for c in log.columns], sa.select(*staged.columns)))
    if not (identified := _identified(conn)):
        return 0
    _new.create(conn)
    claimed = event_ids.claim_from(conn, _keys(), as_of, _new)
    for staged, log in STAGED_WITH_ID.items():
        names = [c.name for c in log.columns]
        first = (
            sa.select(*(staged.c[name] for name in names))
            .join_from(staged, _new, _new.c.event_key == staged.c.event_key)
            .ext(distinct_on(staged.c.event_key))
            .order_by(staged.c.event_key, staged.c.row)
        )
        conn.execute(sa.insert(log).from_select(names, first))
    return identified - claimed


def count_repeated(conn: sa.Connection) -> int:
    """How many events of the temporary tables ``write`` would leave out."""
    identified = _identified(conn)
    return identified - event_ids.count_new(conn, _keys()) if identified else 0


def _identified(conn: sa.Connection) -> int:
    """The number of events with an id."""
    counts = (sa.select(sa.func.count()).select_from(staged).scalar_subquery() for staged in STAGED_WITH_ID)
    return sum(conn.execute(sa.select(*counts)).one())


def _keys() -> sa.Select[tuple[Any]]:
    """The keys of all events with an id. A key has one kind, so no two tables share one."""
    every = sa.union_all(*(sa.select(staged.c.event_key) for staged in STAGED_WITH_ID)).subquery("every")
    return sa.select(every.c.event_key)
