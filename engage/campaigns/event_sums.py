"""The sums of a window's events from another engine than Postgres: what it computes, and its rows in Postgres.

The engine reads the logs as files. It gets the definitions of ``valid_events`` and ``refunds`` as they are, and returns
one row for each customer id, and one for all events without an id. It sees no customer. Postgres joins the customers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from engage.campaigns import refunds, valid_events
from engage.errors import SparkError
from engage.statuses import AppEventKind, DaySource, RejectReason
from engage.storage import binary_copy, partitions
from engage.storage.schema import EVENT_TIMES, LOG_TIMES, app_event, app_session, customer, purchase, refund
from engage.window import Window

TIMES = ("last_session_at", "first_purchase_at", "last_purchase_at")
NUMBERS = ("sessions", "purchases", "total_spend_cents", *AppEventKind, refunds.KIND, "refunded_cents")
COLUMNS = ("customer_id", *NUMBERS, *TIMES)
_KINDS = {app_session: DaySource.SESSIONS, purchase: DaySource.PURCHASES}

Column = tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]
"""Values, and which of them are null. A time is in Postgres's microseconds."""


@dataclass(frozen=True)
class EventSums:
    """A row per customer id. ``rows``: how many rows of each log, by its table's name, they are the sums of.

    An archive has a number for each hash piece of the log, and a lake has one for all of it.
    """

    columns: Mapping[str, Column]
    rows: Mapping[str, tuple[int, ...]]
    favourites: Sequence[tuple[int | None, str]] | None = None


@dataclass(frozen=True)
class EventCounts:
    """The events of a window that is in no log of Postgres, as ``extract`` counts them.

    ``days``: valid events by day. ``newest``: the time of the last valid event.
    """

    valid: dict[str, int]
    rejected: dict[str, int]
    days: Mapping[DaySource, Mapping[date, int]] = field(default_factory=dict)
    newest: datetime | None = None


class SumEngine(Protocol):
    """What computes sums of events outside of Postgres."""

    def sums(self, window: Window, *, favourites: bool) -> EventSums:
        """The sums by customer id; with ``favourites`` each one's favourite item, too."""
        ...

    def counts(self, window: Window) -> EventCounts:
        """The counts of events."""
        ...


def engine_of(name: str, sums: Callable[[], SumEngine] | None) -> SumEngine:
    """The engine of a run.

    Raises:
        SparkError: the run has none, as it is not one of Airflow's.
    """
    if sums is None:
        raise SparkError(
            f"engage_engine is {name}, whose server a connection of Airflow names, and this run is not one of "
            "Airflow's. Trigger the DAG, or leave the setting engine out."
        )
    return sums()


def in_postgres(conn: sa.Connection, window: Window) -> bool:
    """Whether a log of Postgres has any event of the window. It stops reading at the first one."""
    logs = (partitions.of(table, window) for table in LOG_TIMES)
    return any(conn.execute(sa.select(sa.literal(1)).select_from(log).limit(1)).first() for log in logs)


def rows_in_postgres(conn: sa.Connection, window: Window) -> dict[str, tuple[int, ...]]:
    """How many rows of the window each hash piece of Postgres's logs has, by the table's name."""
    return {table.name: partitions.rows_by_piece(conn, table, window) for table in LOG_TIMES}


def require_same_rows(
    window: Window, files: Mapping[str, tuple[int, ...]], logs: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse files with other numbers of rows than Postgres has. Only an archive can be compared piece by piece.

    Raises:
        SparkError: one differs.
    """
    for name, there in logs.items():
        here = files[name]
        if here == there or (len(here) == 1 and here[0] == sum(there)):
            continue
        spread = " in other pieces" if sum(here) == sum(there) else ""
        raise SparkError(
            f"The counts differ: for the window {window} the archive has {sum(here):,} rows of {name}, and "
            f"Postgres has {sum(there):,}{spread}. Events came, or a customer was forgotten, after it was written. Run "
            "`engage archive` again, then clear aggregate."
        )


def lake_changed(window: Window, then: Mapping[str, int], now: Mapping[str, int]) -> SparkError:
    """The error that a lake has other events than ``extract`` counted."""
    before, after = (", ".join(f"{count:,} {kind}" for kind, count in counts.items()) for counts in (then, now))
    return SparkError(
        f"The counts differ: extract counted {before} in the files of the window {window}, and aggregate {after}. "
        "Clear extract with everything downstream, so that it counts them again."
    )


# --- what the engine is asked


def by_customer(window: Window, logs: frozenset[str]) -> sa.Select[*tuple[Any, ...]]:
    """The query for the ``COLUMNS``: one row per customer id, and one for events without.

    ``logs``: the names of the tables that have rows. The sums of one log are null for an id that it does not have.
    """
    parts: dict[sa.Table, sa.Subquery] = {
        app_session: valid_events.sessions_by_customer(window),
        purchase: valid_events.purchases_by_customer(window),
        app_event: valid_events.app_events_by_customer(window),
        refund: refunds.by_customer(window),
    }
    found = [part for table, part in parts.items() if table.name in logs]
    union = sa.union_all(*(_padded(part) for part in found)).subquery("sums")
    once = (sa.func.max(union.c[name]).label(name) for name in COLUMNS[1:])
    return sa.select(union.c.customer_id, *once).group_by(union.c.customer_id)


def _padded(part: sa.Subquery) -> sa.Select[Any]:
    """The sums of one log with the columns of all."""
    types = {name: sa.DateTime(timezone=True) if name in TIMES else sa.BigInteger() for name in COLUMNS[1:]}
    columns = (part.c[name] if name in part.c else sa.cast(sa.null(), kind).label(name) for name, kind in types.items())
    return sa.select(part.c.customer_id, *columns)


def favourites(window: Window) -> sa.Select[Any]:
    """The query for the favourite item of each customer id that has one."""
    found = valid_events.favourite_items(window)
    return sa.select(found.c.customer_id, found.c.favourite_item)


def by_day(table: sa.Table, window: Window) -> sa.Select[date, int, int, int, datetime]:
    """The query for ``day, events, missing, valid, newest`` of sessions or purchases."""
    log = partitions.of(table, window)
    time, valid = valid_events.valid_in(table, log)
    day = sa.cast(time, sa.Date)
    return sa.select(
        day.label("day"),
        sa.func.count().label("events"),
        sa.func.count().filter(log.c.customer_id.is_(None)).label("missing"),
        sa.func.count().filter(valid).label("valid"),
        sa.func.max(time).filter(valid).label("newest"),
    ).group_by(day)


def counted(days: Mapping[sa.Table, Sequence[Mapping[str, Any]]], refunded: tuple[int, int, int]) -> EventCounts:
    """The counts from the rows of ``by_day`` for each log, and from those of ``refunds.counts``."""
    total = {
        table: {name: sum(row[name] for row in days[table]) for name in ("events", "missing", "valid")}
        for table in EVENT_TIMES
    }
    valid: dict[str, int] = {str(kind): total[table]["valid"] for table, kind in _KINDS.items()}
    bought = total[purchase]
    rejected: dict[str, int] = {
        RejectReason.MISSING_CUSTOMER: sum(one["missing"] for one in total.values()),
        RejectReason.INVALID_AMOUNT: bought["events"] - bought["missing"] - bought["valid"],
        **dict(zip(refunds.REJECTED, (*refunded[1:], 0), strict=True)),
    }
    if refunded[0]:
        valid[refunds.KIND] = refunded[0]
    newest = [row["newest"] for rows in days.values() for row in rows if row["newest"] is not None]
    by_kind = {kind: {row["day"]: row["valid"] for row in days[table]} for table, kind in _KINDS.items()}
    return EventCounts(valid, rejected, by_kind, max(newest, default=None))


# --- its rows in Postgres


@dataclass(frozen=True)
class Landed:
    """The tables of the sums while a step uses them. Nothing is left of them after its transaction."""

    sums: sa.Table
    favourites: sa.Table | None
    lake: bool
    """Whether Postgres has none of the events itself."""

    @classmethod
    def of(cls, conn: sa.Connection, window: Window, given: EventSums, *, lake: bool) -> Landed:
        """Write the sums into tables of this transaction."""
        columns = (sa.Column(name, sa.DateTime(timezone=True) if name in TIMES else sa.BigInteger) for name in COLUMNS)
        sums = _created(conn, f"event_sums_{window.key}", *columns)
        ordered = [given.columns[name] for name in COLUMNS]
        binary_copy.copy_columns(conn, sums, [values for values, _ in ordered], [nulls for _, nulls in ordered])
        partitions.analyze(conn, sums)
        if given.favourites is None:
            return cls(sums, None, lake)
        ids, item = sa.Column("customer_id", sa.BigInteger), sa.Column("favourite_item", sa.Text)
        items = _created(conn, f"event_favourites_{window.key}", ids, item)
        binary_copy.copy_rows(conn, items, [ids.name, item.name], given.favourites)
        partitions.analyze(conn, items)
        return cls(sums, items, lake)

    def drop(self, conn: sa.Connection) -> None:
        """Remove the tables."""
        for table in (self.sums, self.favourites):
            if table is not None:
                table.drop(conn)

    def refunds_of(self, conn: sa.Connection, window: Window) -> tuple[int, dict[str, int]]:
        """The number of valid refunds with a customer id, and how many of them are of no customer of the campaign."""
        counts = sa.and_(customer.c.customer_id == self.sums.c.customer_id, customer.c.registered_at < window.end)
        number = self.sums.c[refunds.KIND]
        unknown = sa.func.coalesce(sa.func.sum(number).filter(customer.c.customer_id.is_(None)), 0)
        query = (
            sa.select(sa.func.coalesce(sa.func.sum(number), 0), unknown)
            .select_from(self.sums.outerjoin(customer, counts))
            .where(number.is_not(None), self.sums.c.customer_id.is_not(None))
        )
        valid, stray = conn.execute(query).one()
        return int(valid), {RejectReason.REFUND_UNKNOWN_CUSTOMER: int(stray)}


def _created(conn: sa.Connection, name: str, *columns: sa.Column[Any]) -> sa.Table:
    """A table without a log of its writes. Unlike a temporary one, several processes may read it at once."""
    table = sa.Table(name, sa.MetaData(), *columns, prefixes=["UNLOGGED"])
    table.create(conn)
    return table
