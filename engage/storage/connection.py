"""How Engage talks to Postgres: one engine, and the settings of a set-based step's transaction."""

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
"""Set for the length of a step's transaction only, so that one large statement gets what the server has."""

NO_ANSWER = (OperationalError, InterfaceError, PoolTimeout)
"""The errors of a database that is away, busy or too slow."""


def connect(url: str | sa.URL, *, patience: float | None = None, **pool: Any) -> sa.Engine:
    """An engine for ``url``, always on psycopg 3, that reads and writes times as UTC.

    ``patience`` is how many seconds a statement may take; without it, any. ``pool`` sizes the engine's pool.
    Errors show neither statements' values nor rows: these may hold phone numbers, and errors end in logs.
    """
    url = sa.make_url(url).set(drivername="postgresql+psycopg")
    limit = f" -c statement_timeout={int(patience * 1000)}" if patience else ""
    engine = sa.create_engine(
        url,
        connect_args={
            "options": f"{url.query.get('options', '')} -c timezone=UTC{limit}",
            # each statement is planned for its own values: a prepared one is planned for a list of ten ids, and a
            # sender's lists are a hundred times as long
            "prepare_threshold": None,
        },
        hide_parameters=True,
        pool_pre_ping=True,
        **pool,
    )
    sa.event.listen(engine, "handle_error", _hide_rows)
    return engine


def _hide_rows(context: sa.engine.ExceptionContext) -> None:
    """Take Postgres's DETAIL out of an error: it repeats the row or the key that was refused."""
    original, wrapper = context.original_exception, context.sqlalchemy_exception
    detail = getattr(getattr(original, "diag", None), "message_detail", None)
    if detail:
        for error in filter(None, (original, wrapper)):
            error.args = tuple(_without(detail, argument) for argument in error.args)


def _without(detail: str, argument: object) -> object:
    return argument.replace(detail, "(not shown)") if isinstance(argument, str) else argument


def tune(conn: sa.Connection) -> None:
    """Prepare the current transaction for one large set-based statement."""
    for name, value in STEP_SETTINGS.items():
        conn.execute(sa.select(sa.func.set_config(name, value, True)))
