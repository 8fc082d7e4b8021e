"""Migrations of the schema, with Alembic."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from engage.errors import NotReady
from engage.storage import partitions

VERSION_TABLE = "engage_schema_version"

_LOCK = 0x6D696772617465  # "migrate"


def upgrade(
    engine: sa.Engine, as_of: datetime, revision: str = "head", *, hash_key: Callable[[], bytes] | None = None
) -> None:
    """Bring the database to ``revision`` and make the event partitions around ``as_of``.

    Idempotent, also for many processes at once: one upgrades, and the others wait for it. ``hash_key`` returns the key
    of the phones' hashes, or raises an InputError if it is not set. Only a migration that hashes phones asks for it.

    Raises:
        InputError: a migration needs the key, and it is missing or wrong. Nothing was changed.
    """
    with engine.begin() as conn:
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        config = _config(conn)
        config.attributes.update(as_of=as_of, hash_key=hash_key)
        command.upgrade(config, revision)
    partitions.ensure(engine, as_of)


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the database back to ``revision``; ``base`` removes all tables of Engage with their rows."""
    with engine.begin() as conn:
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        command.downgrade(_config(conn), revision)


def require_current(engine: sa.Engine) -> None:
    """Refuse a database whose schema does not match this code.

    Raises:
        NotReady: the schema is older or newer.
    """
    with engine.connect() as conn:
        found = MigrationContext.configure(conn, opts={"version_table": VERSION_TABLE}).get_current_revision()
    head = ScriptDirectory(str(Path(__file__).parent)).get_current_head()
    if found != head:
        raise NotReady(
            f"The database's schema is at revision {found or 'none'} and this code needs {head}. Run: "
            "python -m engage db upgrade"
        )


def _config(conn: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = conn
    return config
