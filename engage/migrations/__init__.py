"""Schema migrations, run with Alembic; their version table is ``engage_schema_version``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from engage import partitions

_LOCK = 0x6D696772617465  # "migrate"


def upgrade(engine: sa.Engine, as_of: datetime, revision: str = "head") -> None:
    """Bring the database to ``revision`` and make the event partitions around ``as_of``.

    Any number of processes may do this at once; one works and the others find it done.
    """
    with engine.begin() as conn:
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        command.upgrade(_config(conn), revision)
    partitions.ensure(engine, as_of)


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the database back to ``revision``; ``base`` removes every table of Engage and what is in them."""
    with engine.begin() as conn:
        command.downgrade(_config(conn), revision)


def _config(conn: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = conn
    return config
