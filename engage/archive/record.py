"""What Postgres knows of the archive: which windows of which logs are there, and the turn to change it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.errors import ArchiveError
from engage.storage import partitions
from engage.storage.database_errors import sqlstate
from engage.storage.schema import archived_log
from engage.window import Window

_LOCK = 0x61726368697665  # "archive"
_NOT_AVAILABLE = "55P03"
PATIENCE = timedelta(minutes=1)
"""How long a process waits for its turn."""


@dataclass(frozen=True)
class Turn:
    """The right to change the archive: a lock in Postgres that lasts as long as a connection does."""

    conn: sa.Connection

    def require(self) -> None:
        """Make sure that the lock still holds, before a change that another process must not make at the same time.

        Raises:
            OperationalError: the connection is lost, and the lock with it.
        """
        self.conn.execute(sa.select(1))


@contextmanager
def turn(engine: sa.Engine) -> Iterator[Turn]:
    """Wait until no other process changes the archive, and keep others off it while the block runs.

    Raises:
        ArchiveError: another process works on it for longer than ``PATIENCE``.
    """
    with engine.begin() as conn:
        limits = {"lock_timeout": f"{PATIENCE.seconds}s", "idle_in_transaction_session_timeout": "0"}
        for name, value in limits.items():
            conn.execute(sa.select(sa.func.set_config(name, value, True)))
        try:
            conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        except sa.exc.OperationalError as exc:
            if sqlstate(exc) != _NOT_AVAILABLE:
                raise
            raise ArchiveError(
                "Another process is at work on the archive, perhaps the maintenance. Try again when it has ended."
            ) from None
        yield Turn(conn)


@dataclass(frozen=True)
class Archived:
    """A log's window in the archive. ``dropped_at``: since when Postgres does not have the events any more."""

    log: str
    window: Window
    dropped_at: datetime | None
    restored_at: datetime | None


def find(conn: sa.Connection, log: sa.Table, window: Window) -> Archived | None:
    """What is known of a log's window, or None if none of it was ever archived."""
    return next(iter(_rows(conn, archived_log.c.log == log.name, archived_log.c.window_start == window.start)), None)


def every(conn: sa.Connection) -> list[Archived]:
    """All that are known, by window and log."""
    return _rows(conn)


def _rows(conn: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Archived]:
    rows = conn.execute(sa.select(archived_log).where(*where).order_by(archived_log.c.window_start, archived_log.c.log))
    return [Archived(row.log, Window(row.window_start), row.dropped_at, row.restored_at) for row in rows]


def register(engine: sa.Engine, log: sa.Table, window: Window, as_of: datetime) -> None:
    """Note that a log's window is about to be archived. From now on an erasure knows that it has to reach the archive.

    An erasure that runs at this moment ends first, so that no file gets what it deletes.
    """
    row = {"log": log.name, "window_start": window.start, "archived_at": as_of}
    with engine.begin() as conn:
        if find(conn, log, window) is None:
            partitions.lock_erasing(conn)
            conn.execute(insert(archived_log).values(row).on_conflict_do_nothing())


def mark(conn: sa.Connection, log: sa.Table, window: Window, **times: datetime | None) -> None:
    """Set ``dropped_at`` or ``restored_at`` of a log's window."""
    theirs = sa.and_(archived_log.c.log == log.name, archived_log.c.window_start == window.start)
    conn.execute(sa.update(archived_log).where(theirs).values(times))
