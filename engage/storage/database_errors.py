"""What is wrong with the database when it raises an error, whichever library raises it.

SQLAlchemy wraps psycopg's errors, but COPY raises them bare. The kind is Postgres's SQLSTATE:
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from enum import StrEnum

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

DATABASE_ERRORS = (sa.exc.SQLAlchemyError, psycopg.Error)
"""The bases of all errors that ``trouble`` can name."""


class Trouble(StrEnum):
    """A fault of the database or its machine. The same statement may succeed later."""

    AWAY = "away"
    BUSY = "busy"
    SLOW = "slow"
    DISK_FULL = "disk full"
    READ_ONLY = "read-only"
    NO_RIGHT = "no right"


SENTENCES = {
    Trouble.AWAY: "The database does not answer at the moment.",
    Trouble.BUSY: "The database is busy: it has too many connections, too little memory, or conflicting transactions.",
    Trouble.SLOW: "The database takes too long, because it has much to do or another transaction holds a lock.",
    Trouble.DISK_FULL: "The database cannot write, because its disk is full or broken.",
    Trouble.READ_ONLY: "The database takes no changes at the moment: it is read-only.",
    Trouble.NO_RIGHT: "The database does not give Engage's role a right that it needs.",
}
"""A sentence for people about each trouble."""

_CLASSES = {"08": Trouble.AWAY, "53": Trouble.BUSY, "58": Trouble.DISK_FULL}
_STATES = {
    "53100": Trouble.DISK_FULL,
    "57P01": Trouble.AWAY,  # the administrator ends the connection
    "57P02": Trouble.AWAY,  # another server process has crashed
    "57P03": Trouble.AWAY,  # starting or stopping
    "57P05": Trouble.AWAY,  # idle for too long
    "25P03": Trouble.AWAY,  # idle in a transaction for too long
    "57014": Trouble.SLOW,  # statement_timeout
    "55P03": Trouble.SLOW,  # lock_timeout
    "40001": Trouble.BUSY,  # serialization failure
    "40P01": Trouble.BUSY,  # deadlock
    "25006": Trouble.READ_ONLY,
    "42501": Trouble.NO_RIGHT,
}


def sqlstate(exc: BaseException) -> str | None:
    """Postgres's code of an error, or None if Postgres did not answer or it is no database's error."""
    original = getattr(exc, "orig", None) or exc
    return original.sqlstate if isinstance(original, psycopg.Error) else None


def trouble(exc: BaseException) -> Trouble | None:
    """The database's trouble behind an error, or None if the statement or its values are at fault."""
    if isinstance(exc, PoolTimeout):
        return Trouble.BUSY
    state = sqlstate(exc)
    if state is not None:
        return _STATES.get(state) or _CLASSES.get(state[:2])
    unanswered = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)
    return Trouble.AWAY if isinstance(exc, unanswered) else None
