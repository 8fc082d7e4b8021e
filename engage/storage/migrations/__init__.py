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
from engage.storage import database_roles, partitions, preflight
from engage.storage.database_clock import DatabaseClock

VERSION_TABLE = preflight.VERSION_TABLE

_LOCK = 0x6D696772617465  # "migrate"


def upgrade(
    engine: sa.Engine, as_of: datetime, revision: str = "head", *, hash_key: Callable[[], bytes] | None = None
) -> list[str]:
    """Bring the database to ``revision``, grant the server's roles their rights, and make partitions around ``as_of``.

    Returns the names of the roles that have rights now; empty if the server's roles do not exist.

    Idempotent, also for many processes at once: one upgrades, and the others wait for it. ``hash_key`` returns the key
    of the phones' hashes, or raises an InputError if it is not set. Only a migration that hashes phones asks for it.

    Raises:
        InputError: a migration needs the key, and it is missing or wrong. Nothing was changed.
        UnfitDatabase: the database or its role does not fit. Nothing was changed.
    """
    with engine.begin() as conn, preflight.only_free_names():
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        _require_upgradable(conn)
        config = _config(conn)
        config.attributes.update(as_of=as_of, hash_key=hash_key)
        command.upgrade(config, revision)
        if revision != "head":  # it lacks tables that rights and partitions are for
            return []
        roles = database_roles.grant(conn, VERSION_TABLE)
    partitions.ensure(engine, as_of)
    return roles


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the database back to ``revision``; ``base`` removes all tables of Engage with their rows."""
    as_of = DatabaseClock(engine)()
    with engine.begin() as conn:
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        config = _config(conn)
        config.attributes.update(as_of=as_of)
        command.downgrade(config, revision)


def require_current(engine: sa.Engine) -> None:
    """Refuse a database whose schema does not match this code.

    Raises:
        NotReady: the schema is older.
        UnfitDatabase: the schema is newer, or the role may not read its revision.
    """
    with engine.connect() as conn:
        found = _revision(conn)
    head = _scripts().get_current_head()
    if found != head:
        _require_known(found)
        raise NotReady(
            f"The database's schema is at revision {found or 'none'} and this code needs {head}. Run: engage db upgrade"
        )


def _require_upgradable(conn: sa.Connection) -> None:
    preflight.require_session(conn)
    found = _revision(conn)
    if found is None:
        preflight.require_free_names(conn)
    if found != _scripts().get_current_head():
        _require_known(found)
        preflight.require_ddl(conn)


def _revision(conn: sa.Connection) -> str | None:
    """The schema's revision; None if it has no table of Engage."""
    with preflight.may_read_revision(conn):
        return MigrationContext.configure(conn, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _require_known(revision: str | None) -> None:
    if revision not in {None, *(script.revision for script in _scripts().walk_revisions())}:
        raise preflight.unknown_revision(str(revision))


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent))


def _config(conn: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = conn
    return config
