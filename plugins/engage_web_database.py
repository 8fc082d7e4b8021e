"""What the pages' routes share: Engage's database and its time, and the window that an address names."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated

import sqlalchemy as sa
from airflow.providers.postgres.hooks.postgres import PostgresHook
from engage_steps import CONNECTION
from fastapi import Depends

from engage.storage import connection
from engage.storage.database_clock import DatabaseClock
from engage.window import Window

STATEMENT_SECONDS = 10.0
"""How long a page may keep the database busy."""
IMPORT_SECONDS = 600.0
"""How long one statement of an import may take."""


@lru_cache(maxsize=1)
def _engine_for(url: sa.URL) -> sa.Engine:
    return connection.connect(
        url, patience=STATEMENT_SECONDS, pool_size=4, max_overflow=0, pool_timeout=STATEMENT_SECONDS / 2
    )


def engine() -> sa.Engine:
    """Engage's database, by Airflow's connection."""
    return _engine_for(PostgresHook(CONNECTION).sqlalchemy_url)


@lru_cache(maxsize=1)
def _patient_engine_for(url: sa.URL) -> sa.Engine:
    return connection.connect(url, patience=IMPORT_SECONDS, pool_size=1, max_overflow=1)


def import_engine() -> sa.Engine:
    """Engage's database for the import of a file, which takes longer than a page may."""
    return _patient_engine_for(PostgresHook(CONNECTION).sqlalchemy_url)


Database = Annotated[sa.Engine, Depends(engine)]

ImportDatabase = Annotated[sa.Engine, Depends(import_engine)]


@lru_cache(maxsize=1)
def _clock_of(engine: sa.Engine) -> DatabaseClock:
    return DatabaseClock(engine)


def _database_now(engine: Database) -> datetime:
    clock = _clock_of(engine)
    clock.measure()
    return clock()


def airflow_now() -> datetime:
    """This machine's time, which is enough to tell a complete window of an address."""
    return datetime.now(UTC)


def window_named(window_start: str) -> Window:
    """The window of an address.

    Raises:
        WindowError: it is none, or it is not complete.
    """
    return Window.named(window_start, airflow_now())


def window_to_try(window_start: str) -> Window:
    """The window of an address to try rules on, which may be the one that is still running.

    Raises:
        WindowError: it is none, or it has not begun.
    """
    return Window.named(window_start, Window.containing(airflow_now()).end)


TheWindow = Annotated[Window, Depends(window_named)]
DatabaseNow = Annotated[datetime, Depends(_database_now)]
"""The database's time, by which every age is measured."""
