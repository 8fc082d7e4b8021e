"""Engines of sums for tests: the statements of ``event_sums``, which Postgres itself runs here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sqlalchemy as sa

from engage.campaigns import event_sums, refunds
from engage.campaigns.event_sums import COLUMNS, TIMES, EventCounts, EventSums
from engage.storage import partitions
from engage.storage.binary_copy import microseconds
from engage.storage.schema import EVENT_TIMES, LOG_TIMES
from engage.window import Window


class OfPostgres:
    """Sums and counts by the very statements that another engine gets. ``then`` runs after them, before they land."""

    def __init__(self, engine: sa.Engine, then: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self.then = then

    def sums(self, window: Window, *, favourites: bool) -> EventSums:
        logs = frozenset(table.name for table in LOG_TIMES)
        with self.engine.connect() as conn:
            rows = conn.execute(event_sums.by_customer(window, logs)).all()
            items = [tuple(row) for row in conn.execute(event_sums.favourites(window))] if favourites else None
            counts = event_sums.rows_in_postgres(conn, window)
        self.then()
        return EventSums({name: _column(name, rows) for name in COLUMNS}, counts, items)

    def counts(self, window: Window) -> EventCounts:
        with self.engine.connect() as conn:
            days = {
                table: [dict(row) for row in conn.execute(event_sums.by_day(table, window)).mappings()]
                for table in EVENT_TIMES
            }
            refunded = tuple(conn.execute(refunds.counts(window)).one())
        self.then()
        return event_sums.counted(days, refunded)


class OfFiles:
    """What another engine finds of events that have left Postgres: it is worked out before they leave."""

    def __init__(self, engine: sa.Engine, window: Window) -> None:
        before = OfPostgres(engine)
        self.found_sums = before.sums(window, favourites=False)
        self.found_counts = before.counts(window)
        with engine.begin() as conn:
            for table in LOG_TIMES:
                conn.execute(sa.delete(partitions.of(table, window)))

    def sums(self, window: Window, *, favourites: bool) -> EventSums:
        return self.found_sums

    def counts(self, window: Window) -> EventCounts:
        return self.found_counts


def _column(name: str, rows: list[Any]) -> Any:
    values = [getattr(row, name) for row in rows]
    numbers = [microseconds(value) if name in TIMES and value else value or 0 for value in values]
    return np.array(numbers, dtype=np.int64), np.array([value is None for value in values])
