"""The events of a database: a query in slices of a week, over a DB-API connection (PEP 249)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from engage.errors import EngageError, SourceError
from engage.sources.definition import Query
from engage.sources.event_rows import Columns
from engage.sources.part import CHUNK
from engage.window import Window

SLICE = timedelta(weeks=1)
Connect = Callable[[], Any]
"""Gives the source's DB-API connection."""

_FOR_GOOD = {"ProgrammingError", "DataError", "NotSupportedError", "IntegrityError"}
"""The exceptions of every DB-API module that come again with the same statement."""
_REFUSED = re.compile(r"password|authenticat|access denied|permission denied|does not exist|unknown database", re.I)
"""What a server says to a login that it does not let in. Its exception is the same as of a lost connection."""


class Connection:
    """The source's DB-API connection, made when it is needed first."""

    def __init__(self, source: str, connect: Connect) -> None:
        self.source = source
        self._connect = connect

    @cached_property
    def opened(self) -> Any:
        with self.explained("does not let Engage in"):
            return self._connect()

    @contextmanager
    def explained(self, what: str) -> Iterator[None]:
        """Turn the driver's error into a sentence, if a retry would meet it again.

        Raises:
            SourceError: the database refuses the login or the statement. Any other error passes.
        """
        try:
            yield
        except EngageError:
            raise
        except Exception as exc:
            classes = {one.__name__ for one in type(exc).__mro__}
            if classes & _FOR_GOOD or ("OperationalError" in classes and _REFUSED.search(str(exc))):
                said = " ".join(str(exc).split())[:300]
                raise SourceError(
                    f"The source {self.source} {what}: {said}. Correct the connection {self.source}."
                ) from None
            raise

    def close(self) -> None:
        """Close it, if it is open."""
        if "opened" in vars(self):
            self.opened.close()
            del self.opened


@dataclass(frozen=True)
class Slice:
    """The part of a query's events between two times."""

    kind: str
    query: Query
    since: datetime
    until: datetime
    connection: Connection
    fixed: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return f"{self.since:%Y-%m-%d}"

    @property
    def version(self) -> str:
        return self.query.fingerprint

    def span(self) -> None:
        return None

    def count(self) -> int:
        # on lines of its own, as a query may end in a comment
        counting = f"SELECT count(*) FROM (\n{self._sql}\n) AS counted"  # noqa: S608 - the administrator's own query
        with self._executed(counting, streaming=False) as cursor:
            return int(cursor.fetchone()[0])

    def chunks(self) -> Iterator[tuple[Columns, Sequence[Sequence[Any]]]]:
        where = f"The query for {self.kind} of the source {self.connection.source}"
        with self._executed(self._sql, streaming=True) as cursor:
            columns, first = None, True
            while rows := cursor.fetchmany(CHUNK):
                if columns is None:
                    columns = Columns.found(self.kind, self.query.columns, _names(cursor), where)
                if first:
                    columns.require_types(rows, where)
                yield columns, rows
                first = False
            if columns is None:  # a wrong column shows also in a week without events
                Columns.found(self.kind, self.query.columns, _names(cursor), where)

    @property
    def _sql(self) -> str:
        return self.query.between(self.since, self.until)

    @contextmanager
    def _executed(self, sql: str, *, streaming: bool) -> Iterator[Any]:
        """A cursor with the result, in a transaction that ends with the block."""
        connection = self.connection.opened
        with self.connection.explained(f"refuses the query for {self.kind}"):
            with closing(_cursor(connection, streaming=streaming)) as cursor:
                cursor.execute(sql)
                yield cursor
            if rollback := getattr(connection, "rollback", None):  # some databases have no transactions
                rollback()


def slices(kind: str, query: Query, window: Window, connection: Connection) -> Iterator[Slice]:
    """The parts of a query for a window."""
    since = window.start
    while since < window.end:
        yield Slice(kind, query, since, since + SLICE, connection)
        since += SLICE


def _cursor(connection: Any, *, streaming: bool) -> Any:
    """A cursor; of Postgres one on the server, as its drivers otherwise take the whole result into memory."""
    if streaming and type(connection).__module__.startswith("psycopg"):
        return connection.cursor("engage")
    return connection.cursor()


def _names(cursor: Any) -> list[str]:
    return [str(column[0]) for column in cursor.description or ()]
