"""Whether the database fits, before an upgrade and at the start of a process. Each fault is one sentence.

Every connection checks the server's version and encoding by itself (``engage.storage.session``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from engage.errors import UnfitDatabase
from engage.storage.database_errors import sqlstate
from engage.storage.schema import LOG_TIMES, metadata
from engage.storage.session import SETTINGS

VERSION_TABLE = "engage_schema_version"
"""The table that holds the schema's revision."""

_DOCUMENTED = "docs/operations.md, A database of your own"
_LOGS = "|".join(table.name for table in LOG_TIMES)
_PARTITION = re.compile(rf"({_LOGS})_(default|\d{{8}}(_\d\d)?)")
_NO_RIGHT = "42501"
_EXISTS = {"42P07", "42710", "42723"}
"""Postgres's codes for a table, another object and a function that exists already."""


def check(engine: sa.Engine) -> None:
    """Refuse a database whose sessions do not have Engage's settings, or have no schema.

    Raises:
        UnfitDatabase: a setting is not in force, or there is no schema.
    """
    with engine.connect() as conn:
        require_session(conn)


def require_session(conn: sa.Connection) -> None:
    """Refuse a session without Engage's settings or without a schema.

    Raises:
        UnfitDatabase: a setting is not in force, or there is no schema.
    """
    found = conn.execute(sa.select(*(sa.func.current_setting(name).label(name) for name in SETTINGS))).one()._asdict()
    for name, wanted in SETTINGS.items():
        for value in (found[name], _heard(conn, name)):
            if value not in {wanted, None}:
                raise UnfitDatabase(
                    f"The session's {name} is {value}, although Engage has set {wanted}. A connection pooler in "
                    "between does not pass the setting on. Connect to PostgreSQL itself, or set the pooler up "
                    f"({_DOCUMENTED})."
                )
    role, schema, path = conn.execute(
        sa.select(sa.func.current_user(), sa.func.current_schema(), sa.func.current_setting("search_path"))
    ).one()
    if schema is None:
        raise UnfitDatabase(
            f"The search_path of the role {role} is {path}, and names no schema of this database that the role may "
            f"use. Create one, or set another: ALTER ROLE {role} SET search_path = public"
        )


def _heard(conn: sa.Connection, name: str) -> str | None:
    """A setting as the server has reported it, which decides how the driver reads values; None without a report."""
    info = conn.connection.dbapi_connection.info  # type: ignore[union-attr]
    reported: str | None = info.parameter_status(name)
    return reported


def require_free_names(conn: sa.Connection) -> None:
    """Refuse a schema that already has tables, or other relations, with the names of Engage's.

    Raises:
        UnfitDatabase: names are taken.
    """
    schema = conn.execute(sa.select(sa.func.current_schema())).scalar_one()
    relation = sa.table("pg_class", *map(sa.column, ("relname", "relnamespace")))
    here = relation.c.relnamespace == _oid_of_current_schema()
    names = conn.execute(sa.select(relation.c.relname).where(here)).scalars()
    if taken := sorted(filter(is_ours, names)):
        raise _taken(f"The schema {schema} already has {', '.join(taken)} of another program")


@contextmanager
def only_free_names() -> Iterator[None]:
    """Name any other object of another program that is in an upgrade's way: a type, a function, an index.

    Raises:
        UnfitDatabase: a name is taken.
    """
    try:
        yield
    except sa.exc.ProgrammingError as exc:
        if sqlstate(exc) not in _EXISTS:
            raise
        said = str(exc.orig).splitlines()[0]
        raise _taken(f"The schema already has an object of another program: {said}") from None


def _taken(found: str) -> UnfitDatabase:
    return UnfitDatabase(
        f"{found}, and Engage needs the name for itself. Nothing was changed. Give Engage a database or a schema of "
        "its own."
    )


def is_ours(name: str) -> bool:
    """Whether Engage makes a table of this name."""
    return name in metadata.tables or _PARTITION.fullmatch(name) is not None


def require_ddl(conn: sa.Connection) -> None:
    """Refuse a role that may not create tables beside Engage's, or does not own Engage's.

    Raises:
        UnfitDatabase: the role lacks the right.
    """
    role, schema = conn.execute(sa.select(sa.func.current_user(), sa.func.current_schema())).one()
    if not conn.execute(sa.select(sa.func.has_schema_privilege(role, schema, "CREATE"))).scalar_one():
        raise UnfitDatabase(
            f"The role {role} may not create tables in the schema {schema}, and has to. Use the owner of the database, "
            f"or let a superuser say: GRANT CREATE ON SCHEMA {schema} TO {role}"
        )
    columns = ("relname", "relowner", "relnamespace")
    relation = sa.table("pg_class", *map(sa.column, columns))
    owner = sa.func.pg_get_userbyid(relation.c.relowner)
    foreign = conn.execute(
        sa.select(relation.c.relname, owner)
        .where(relation.c.relnamespace == _oid_of_current_schema())
        .where(relation.c.relname.in_([VERSION_TABLE, *metadata.tables]))
        .where(~sa.func.pg_has_role(role, relation.c.relowner, "USAGE"))
        .order_by(relation.c.relname)
    ).all()
    if foreign:
        owners = ", ".join(sorted({owner for _, owner in foreign}))
        raise UnfitDatabase(
            f"The role {role} does not own {', '.join(name for name, _ in foreign)}. They belong to {owners}, and only "
            "their owner may change tables. Use that role."
        )


def _oid_of_current_schema() -> sa.ScalarSelect[int]:
    namespace = sa.table("pg_namespace", *map(sa.column, ("oid", "nspname")))
    return sa.select(namespace.c.oid).where(namespace.c.nspname == sa.func.current_schema()).scalar_subquery()


@contextmanager
def may_read_revision(conn: sa.Connection) -> Iterator[None]:
    """Name a role that may not read the schema's revision.

    Raises:
        UnfitDatabase: the role lacks the right.
    """
    role = conn.execute(sa.select(sa.func.current_user())).scalar_one()
    try:
        yield
    except sa.exc.ProgrammingError as exc:
        if sqlstate(exc) != _NO_RIGHT:
            raise
        raise UnfitDatabase(
            f"The role {role} may not read the table {VERSION_TABLE}, which comes with Engage's tables. Use the role "
            f"that upgrades the database, or give this one its rights ({_DOCUMENTED})."
        ) from None


def unknown_revision(found: str) -> UnfitDatabase:
    """The error that the schema has a revision of a later version."""
    return UnfitDatabase(
        f"The database's schema is at revision {found}, which this version of Engage does not know. A newer version "
        "has upgraded it. Use that version, or restore a backup from before the upgrade."
    )
