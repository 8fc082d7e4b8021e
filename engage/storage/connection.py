"""Connections to Postgres: the engine, and the server settings of a step's transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from engage.storage import session

STEP_SETTINGS = {
    "default_statistics_target": "10",  # a step's ANALYZE reads 3,000 rows: enough for the number of rows and of values
    "enable_partitionwise_aggregate": "on",
    "enable_partitionwise_join": "on",
    "jit": "off",
    "work_mem": "256MB",
    "maintenance_work_mem": "512MB",
}
"""Hold for a step's transaction only, so that one large statement gets the server's resources."""


def connect(url: str | sa.URL, *, patience: float | None = None, **pool: Any) -> sa.Engine:
    """An engine for ``url``, always on psycopg 3, that reads and writes times as UTC.

    ``patience`` is the time limit of a statement in seconds; None is no limit. ``pool`` sizes the engine's pool.
    Errors end in logs, so they show neither values nor rows, which may hold phone numbers. A connection raises an
    UnfitDatabase if the server is too old or its encoding is not UTF-8.
    """
    url = sa.make_url(url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(
        url,
        connect_args={
            "client_encoding": session.ENCODING,  # before all else, because the driver reads names by it
            # Postgres plans a prepared statement for a list of ten ids; a sender's lists are a hundred times as long
            "prepare_threshold": None,
        },
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        pool_pre_ping=True,
        **pool,
    )
    sa.event.listen(engine, "handle_error", _hide_rows)
    session.keep(engine, patience=patience)
    return engine


def _hide_rows(context: sa.engine.ExceptionContext) -> None:
    for error in filter(None, (context.original_exception, context.sqlalchemy_exception)):
        hide_rows(error, context.original_exception)


def hide_rows(error: BaseException, original: BaseException) -> None:
    """Remove Postgres's DETAIL and CONTEXT from an error, because they repeat the refused row or key."""
    diagnosis = getattr(original, "diag", None)
    for name in ("message_detail", "context"):
        if text := getattr(diagnosis, name, None):
            error.args = tuple(_without(text, argument) for argument in error.args)


def _without(detail: str, argument: object) -> object:
    return argument.replace(detail, "(not shown)") if isinstance(argument, str) else argument


def tune(conn: sa.Connection) -> None:
    """Apply ``STEP_SETTINGS`` to the current transaction, for one large set-based statement."""
    conn.execute(sa.select(*(sa.func.set_config(name, value, True) for name, value in STEP_SETTINGS.items())))
