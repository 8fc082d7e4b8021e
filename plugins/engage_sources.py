"""The source of events that a connection of Airflow defines: a database, or files in a folder or an object store.

Only administrators edit connections. Staff name one in the Variable ``engage_source``, and only one whose extra has the
entry ``engage`` serves.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from engage.errors import SourceError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from engage.sources import Source

ENTRY = "engage"


def source(name: str) -> Source:
    """The source that the connection ``name`` defines. It contacts no server yet.

    Raises:
        SourceError: there is no such connection, or it defines no source.
    """
    from engage.sources import Source

    connection = _connection(name)
    return Source.of(
        name, connection.extra_dejson.get(ENTRY), lambda: _connected(connection), lambda path: _filesystem(name, path)
    )


def _connection(name: str) -> Connection:
    """Raises a RuntimeError, after which the task is retried: Airflow also says so when its API fails."""
    from airflow.sdk import BaseHook

    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        raise RuntimeError(
            f"engage_source is {name}, and Airflow gives no connection of this name. Make it under Admin, Connections, "
            "or correct the Variable."
        ) from None


def _connected(connection: Connection) -> Any:
    """A DB-API connection. A hook may hand the whole extra to its driver, so it gets one without Engage's entry."""
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    plain = copy.copy(connection)
    plain.extra = json.dumps({key: value for key, value in connection.extra_dejson.items() if key != ENTRY})
    try:
        hook = plain.get_hook()
    except (AirflowException, ImportError) as exc:
        raise SourceError(
            f"The connection {connection.conn_id} has the type {connection.conn_type}, for which Airflow has no hook "
            f"here ({exc}). Install its provider on the workers; docs/sources.md names some."
        ) from None
    if not isinstance(hook, DbApiHook):
        raise SourceError(
            f"The connection {connection.conn_id} has the type {connection.conn_type}, which runs no SQL query. Give "
            "each kind of event a path in its extra, or name the connection of a database."
        )
    return type(hook)(**{hook.conn_name_attr: connection.conn_id}, connection=plain).get_conn()


def _filesystem(name: str, path: str) -> tuple[Any, str]:
    """The filesystem that the path's scheme names, with the login of the connection, and the path on it."""
    from airflow.sdk import ObjectStoragePath

    try:
        found = ObjectStoragePath(path, conn_id=name)
        return found.fs, found.path
    except (ValueError, ImportError) as exc:
        raise SourceError(
            f"The source {name} has the path {path}, which Airflow cannot open here ({exc}). Install the provider of "
            "its scheme on the workers, such as apache-airflow-providers-amazon[s3fs] for s3; docs/sources.md names "
            "more."
        ) from None
