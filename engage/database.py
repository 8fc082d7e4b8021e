"""How Engage talks to Postgres: one engine, and the settings of a set-based step's transaction."""

from __future__ import annotations

import sqlalchemy as sa

STEP_SETTINGS = {
    "enable_partitionwise_aggregate": "on",
    "enable_partitionwise_join": "on",
    "jit": "off",
    "work_mem": "256MB",
    "maintenance_work_mem": "512MB",
}
"""Set for the length of a step's transaction only, so that one large statement gets what the server has."""


def connect(url: str | sa.URL) -> sa.Engine:
    """An engine for ``url``, always on psycopg 3, that reads and writes times as UTC.

    Errors do not show statements' values: they may be phone numbers, and errors end in logs.
    """
    url = sa.make_url(url).set(drivername="postgresql+psycopg")
    return sa.create_engine(
        url,
        connect_args={"options": f"{url.query.get('options', '')} -c timezone=UTC"},
        hide_parameters=True,
        pool_pre_ping=True,
    )


def tune(conn: sa.Connection) -> None:
    """Prepare the current transaction for one large set-based statement."""
    for name, value in STEP_SETTINGS.items():
        conn.execute(sa.select(sa.func.set_config(name, value, True)))
