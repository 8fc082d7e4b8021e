"""Spark as the engine of sums: views of the window's files, and the queries of ``event_sums`` on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from engage.campaigns import event_sums, refunds
from engage.campaigns.event_sums import COLUMNS, TIMES, Column, EventCounts, EventSums
from engage.errors import SparkError
from engage.spark.attempt import Attempt
from engage.spark.definition import Definition
from engage.spark.dialect import compiled
from engage.spark.files import LogFiles, log_files
from engage.spark.session import Session, session
from engage.storage import partitions
from engage.storage.binary_copy import MICROSECOND, POSTGRES_EPOCH
from engage.storage.schema import EVENT_TIMES, LOG_TIMES, app_event, refund
from engage.window import Window

_TYPES: dict[type[Any], tuple[str, frozenset[str]]] = {
    sa.BigInteger: ("BIGINT", frozenset({"bigint", "int", "smallint", "tinyint"})),
    sa.DateTime: ("TIMESTAMP", frozenset({"timestamp", "timestamp_ntz"})),
    sa.Text: ("STRING", frozenset({"string"})),
}
"""Spark's type for each type of a log's columns, and the types that a lake may have there."""
_EPOCH = POSTGRES_EPOCH.replace(year=1970)
_SINCE_1970 = (POSTGRES_EPOCH - _EPOCH) // MICROSECOND


class Spark:
    """Sums and counts over the files that ``definition`` names. ``attempt`` makes the attempt of a purpose."""

    def __init__(self, definition: Definition, attempt: Callable[[str], Attempt]) -> None:
        self._definition = definition
        self._attempt = attempt

    def sums(self, window: Window, *, favourites: bool) -> EventSums:
        """The sums by customer id; with ``favourites`` each one's favourite item, too.

        Raises:
            SparkError: Spark, or the archive, cannot give them until the operator acts.
            ConnectionError: the server gives no answer. A retry may help.
        """
        with self._reading(window, "sums") as (spark, logs):
            wanted = frozenset(name for name, log in logs.items() if any(log.rows)) | {one.name for one in EVENT_TIMES}
            table = spark.table(*compiled(event_sums.by_customer(window, wanted)))
            items = None
            if favourites and any(logs[app_event.name].rows):
                found = spark.table(*compiled(event_sums.favourites(window)))
                items = list(zip(*(column.to_pylist() for column in found.columns), strict=True))
        columns = {name: _column(table[name], is_time=name in TIMES) for name in COLUMNS}
        return EventSums(columns, {name: log.rows for name, log in logs.items()}, items)

    def counts(self, window: Window) -> EventCounts:
        """The counts of events.

        Raises:
            SparkError: Spark, or the archive, cannot give them until the operator acts.
            ConnectionError: the server gives no answer. A retry may help.
        """
        with self._reading(window, "counts") as (spark, logs):
            days = {
                table: spark.table(*compiled(event_sums.by_day(table, window))).to_pylist() for table in EVENT_TIMES
            }
            refunded = (0, 0, 0)
            if any(logs[refund.name].rows):
                found = spark.table(*compiled(refunds.counts(window)))
                refunded = tuple(column[0].as_py() for column in found.columns)
        return event_sums.counted(days, refunded)

    @contextmanager
    def _reading(self, window: Window, purpose: str) -> Iterator[tuple[Session, Mapping[str, LogFiles]]]:
        """A session in which each log is a view with the name that the queries have for it.

        Raises:
            ConnectionError: a file was replaced meanwhile, of which a server may or may not tell.
        """
        logs = log_files(self._definition, window)
        try:
            with session(self._definition, self._attempt(purpose)) as spark:
                for log in logs.values():
                    _view(spark, log, window)
                yield spark, logs
        except SparkError:
            self._require_same(window, logs)
            raise
        self._require_same(window, logs)

    def _require_same(self, window: Window, logs: Mapping[str, LogFiles]) -> None:
        if log_files(self._definition, window, contents=False) != logs:
            raise ConnectionError(
                f"The files of the window {window} were written anew while Spark read them. The task is retried."
            ) from None


def _view(spark: Session, log: LogFiles, window: Window) -> None:
    # refunds are read by their table's name, the other logs by that of the window's partition
    name = log.table.name if log.table is refund else partitions.partition_name(log.table, window)
    types = {column.name: _TYPES[type(column.type)][0] for column in log.table.columns}
    schema = ", ".join(f"{column} {kind}" for column, kind in types.items())
    if not log.urls:
        rows = spark.raw.createDataFrame([], schema)
    elif log.columns is None:
        rows = spark.raw.read.schema(schema).parquet(*log.urls)
    else:
        rows = _of_lake(spark.raw.read.parquet(*log.urls), log, window)
    rows.createOrReplaceTempView(name)


def _of_lake(rows: Any, log: LogFiles, window: Window) -> Any:
    """A foreign lake's rows with Engage's names and types. Only those within the window count, as in a partition."""
    names = dict(log.columns or {})
    there = dict(rows.dtypes)
    columns = []
    for column in log.table.columns:
        name = names.get(column.name, column.name)
        kind, allowed = _TYPES[type(column.type)]
        if there.get(name) not in allowed:
            raise SparkError(
                f"The lake's {log.table.name} has {there.get(name, 'no such column')} as {name}, which is Engage's "
                f"{column.name}; it takes {', '.join(sorted(allowed))}. Name the right column in the connection's "
                "extra, under columns, or change the lake."
            )
        columns.append(rows[name].cast(kind).alias(column.name))
    time = LOG_TIMES[log.table].name
    found = rows.select(*columns)
    return found.where((found[time] >= window.start) & (found[time] < window.end))


def _column(found: pa.ChunkedArray, *, is_time: bool) -> Column:
    if is_time:
        found = found.cast(pa.timestamp("us", tz="UTC"))
    numbers = pc.fill_null(found.cast(pa.int64()), 0).to_numpy()
    nulls = found.is_null().to_numpy().astype(np.bool_)
    return numbers - _SINCE_1970 if is_time else numbers, nulls
