"""Read one part of a source into the logs, and keep how far it is read in ``source_pull``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert

from engage.campaigns.pulled import PulledKind
from engage.sources.event_rows import Event
from engage.sources.part import Part
from engage.storage import event_ids
from engage.storage.binary_copy import copy_packed, copy_rows, microseconds, packed
from engage.storage.schema import app_event, app_session, purchase, refund, source_pull
from engage.window import Window

READINGS = 3
"""How often a part is read, if the source counts other rows each time."""


@dataclass(frozen=True)
class Errand:
    """What a pull is for: the database, the source's name, the window, and the present time."""

    engine: sa.Engine
    source: str
    window: Window
    as_of: datetime


@dataclass(frozen=True)
class Kept:
    """The row of a part. ``here``: it is of the window itself; else of the part's last reading for another window."""

    here: bool
    version: str
    rows: PulledKind
    span: tuple[datetime, datetime] | None
    began_at: datetime
    finished: bool


def kept(errand: Errand, kind: str) -> dict[str, Kept]:
    """What is known of each part: from the window, or else from the latest other window that is finished."""
    at = source_pull.c
    here = (at.window_start == errand.window.start).label("here")
    query = (
        sa.select(source_pull, here)
        .where(at.source == errand.source, at.kind == kind, sa.or_(here, at.finished_at.is_not(None)))
        .ext(distinct_on(at.part))
        .order_by(at.part, sa.desc(here), at.window_start.desc())
    )
    with errand.engine.connect() as conn:
        return {row.part: _kept(row) for row in conn.execute(query)}


def _kept(row: sa.Row[Any]) -> Kept:
    return Kept(
        here=row.here,
        version=row.version,
        rows=PulledKind(row.counted, row.rows_read, row.stored, row.outside, row.rejected),
        span=(row.first_at, row.last_at) if row.first_at else None,
        began_at=row.began_at,
        finished=row.finished_at is not None,
    )


def read(errand: Errand, part: Part, counted: int) -> PulledKind:
    """Read a part, once more if the source has changed meanwhile; returns its counts.

    Raises:
        SourceError: the source refuses it, or has no such column.
    """
    for _ in range(READINGS):
        done = _Reading(errand, part, counted).run()
        if done.read == counted or done.read == (counted := part.count()):
            break
    with errand.engine.begin() as conn:
        _update(conn, errand, part, counted=counted, finished_at=errand.as_of)
    return replace(done, counted=counted)


class _Reading:
    """One reading of a part, from its first row on."""

    def __init__(self, errand: Errand, part: Part, counted: int) -> None:
        self._errand, self._part = errand, part
        self._counted = counted
        self._read = self._outside = 0
        self._rejected: Counter[str] = Counter()
        self._first: datetime | None = None
        self._last: datetime | None = None

    def run(self) -> PulledKind:
        stored = self._begin()
        for columns, rows in self._part.chunks():
            found = columns.sorted_out(rows, self._errand.window)
            self._read += len(rows)
            self._outside += found.outside
            self._rejected += found.rejected
            self._first = min(filter(None, (self._first, found.first)), default=None)
            self._last = max(filter(None, (self._last, found.last)), default=None)
            stored = self._commit(found.events)
        return PulledKind(self._counted, self._read, stored, self._outside, dict(self._rejected))

    def _begin(self) -> int:
        """Mark the part as unfinished; returns how many of its events earlier readings have stored."""
        at, part, errand = source_pull.c, self._part, self._errand
        names = {"source": errand.source, "kind": part.kind, "window_start": errand.window.start, "part": part.name}
        anew = {"version": part.version, "finished_at": None} | self._so_far()
        values = names | anew | {"stored": 0, "began_at": errand.as_of}
        adding = insert(source_pull).values(values)
        with errand.engine.begin() as conn:
            key = list(source_pull.primary_key)
            row = conn.execute(adding.on_conflict_do_update(index_elements=key, set_=anew).returning(at.stored))
            return int(row.scalar_one())

    def _commit(self, events: Sequence[Event]) -> int:
        """Store a chunk: its ids, its rows, and the part's row, or nothing of it. Returns the part's stored events."""
        with self._errand.engine.begin() as conn:
            added = _store(conn, self._errand, self._part.kind, events)
            stored = source_pull.c.stored + added
            return _update(conn, self._errand, self._part, stored=stored, **self._so_far())

    def _so_far(self) -> dict[str, Any]:
        return {
            "counted": self._counted,
            "rows_read": self._read,
            "outside": self._outside,
            "rejected": dict(self._rejected),
            "first_at": self._first,
            "last_at": self._last,
        }


def _update(conn: sa.Connection, errand: Errand, part: Part, **values: Any) -> int:
    at = source_pull.c
    own = (
        at.source == errand.source,
        at.kind == part.kind,
        at.window_start == errand.window.start,
        at.part == part.name,
    )
    changed = sa.update(source_pull).where(*own).values(**values).returning(at.stored)
    return int(conn.execute(changed).scalar_one())


def _store(conn: sa.Connection, errand: Errand, kind: str, events: Sequence[Event]) -> int:
    """Add the events whose ids are new; returns their number. Of two with one id, the first counts."""
    by_key: dict[bytes, Event] = {}
    for event in events:
        by_key.setdefault(event_ids.event_key(kind, f"source:{errand.source}", event[0]), event)
    new = event_ids.claim(conn, by_key, errand.as_of)
    rows = [event for key, event in by_key.items() if key in new]
    if not rows:
        return 0
    if kind in _NUMBERS:
        table, fields = _NUMBERS[kind]
        numbers = np.array([(customer, microseconds(at), value) for _, customer, at, value in rows], dtype=np.int64)
        copy_packed(conn, table.name, table, packed(*numbers.T[:fields]))
    else:
        names = [column.name for column in app_event.columns]
        copy_rows(conn, app_event, names, ((customer, at, kind, item) for _, customer, at, item in rows))
    return len(rows)


_NUMBERS = {"session": (app_session, 2), "purchase": (purchase, 3), "refund": (refund, 3)}
"""The logs that hold nothing but numbers, each with the number of its columns."""
