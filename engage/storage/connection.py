"""Connections to Postgres: the engine, and the server settings of a step's transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

STEP_SETTINGS = {
    "enable_partitionwise_aggregate": "on",
    "enable_partitionwise_join": "on",
    "jit": "off",
    "work_mem": "256MB",
    "maintenance_work_mem": "512MB",
}
"""Hold for a step's transaction only, so that one large statement gets the server's resources."""

NO_ANSWER = (OperationalError, InterfaceError, PoolTimeout)
"""The errors of a database that is away, busy or too slow."""


def connect(url: str | sa.URL, *, patience: float | None = None, **pool: Any) -> sa.Engine:
    """An engine for ``url``, always on psycopg 3, that reads and writes times as UTC.

    ``patience`` is the time limit of a statement in seconds; None is no limit. ``pool`` sizes the engine's pool.
    Errors end in logs, so they show neither values nor rows, which may hold phone numbers.
    """
    url = sa.make_url(url).set(drivername="postgresql+psycopg")
    limit = f" -c statement_timeout={int(patience * 1000)}" if patience else ""
    engine = sa.create_engine(
        url,
        connect_args={
            "options": f"{url.query.get('options', '')} -c timezone=UTC{limit}",
            # Postgres plans a prepared statement for a list of ten ids; a sender's lists are a hundred times as long
            "prepare_threshold": None,
        },
        hide_parameters=True,
        pool_pre_ping=True,
        **pool,
    )
    sa.event.listen(engine, "handle_error", _hide_rows)
    return engine


def _hide_rows(context: sa.engine.ExceptionContext) -> None:
    """Remove Postgres's DETAIL from an error, because it repeats the refused row or key."""
    original, wrapper = context.original_exception, context.sqlalchemy_exception
    detail = getattr(getattr(original, "diag", None), "message_detail", None)
    if detail:
        for error in filter(None, (original, wrapper)):
            error.args = tuple(_without(detail, argument) for argument in error.args)


def _without(detail: str, argument: object) -> object:
    return argument.replace(detail, "(not shown)") if isinstance(argument, str) else argument


def tune(conn: sa.Connection) -> None:
    """Apply ``STEP_SETTINGS`` to the current transaction, for one large set-based statement."""
    for name, value in STEP_SETTINGS.items():
        conn.execute(sa.select(sa.func.set_config(name, value, True)))
