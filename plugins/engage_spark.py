"""Spark as the engine of sums, from a connection of Airflow of the type ``spark_connect``.

Only administrators edit connections. Staff choose the engine with the Variable ``engage_engine``, and nothing else.
Nothing here imports the client of Spark, nor its provider.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from engage.campaigns.event_sums import SumEngine

CONNECTION = "engage_spark"


def spark(key: Callable[[], bytes]) -> SumEngine:
    """The engine that the connection names. It contacts no server yet. ``key`` gives the installation's secret.

    Raises:
        SparkError: the connection is wrong, or names no archive that the server can read.
    """
    from engage.archive.place import VARIABLE
    from engage.spark import Attempt, Definition, Spark

    connection = _connection()
    definition = Definition.of(
        CONNECTION,
        host=connection.host,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        extra=connection.extra_dejson,
        archive=os.environ.get(VARIABLE),
    )
    task = get_current_context()["ti"]
    secret = key()

    def attempt(purpose: str) -> Attempt:
        return Attempt(secret, f"{task.dag_id} {task.run_id} {task.task_id} {purpose}", task.try_number)

    return Spark(definition, attempt)


def _connection() -> Connection:
    """Raises a RuntimeError, after which the task is retried: Airflow also says so when its API fails."""
    try:
        return BaseHook.get_connection(CONNECTION)
    except AirflowNotFoundException:
        raise RuntimeError(
            f"engage_engine is spark, and Airflow gives no connection {CONNECTION}. Add it under Admin, Connections, "
            "with the type spark_connect, or set engage_engine to postgres."
        ) from None
