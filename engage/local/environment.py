"""The environment variables of the local stack's processes: Airflow's configuration and Engage's own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from engage.local.base_environment import base_variables, proxy_variables
from engage.local.embedded_postgres import AIRFLOW_DATABASE, DATABASE, database_url
from engage.local.home import CHECKOUT, Home

EXECUTOR = "engage_executor.RestingLocalExecutor"
"""In plugins/, which Airflow puts on its path."""


def environment(home: Home, host: str, users: Mapping[str, str]) -> dict[str, str]:
    """The variables for the Postgres behind the socket directory ``host``; ``users`` maps logins to Airflow's roles.

    Of the caller's own variables only a few are left.
    """
    connection = {"conn_type": "postgres", "host": host, "login": "postgres", "schema": DATABASE}
    return {
        **base_variables(),
        **proxy_variables(),
        "HOME": str(home.airflow),
        "TMPDIR": str(home.temporary),
        "AIRFLOW_HOME": str(home.airflow),
        "AIRFLOW_CONN_ENGAGE_DB": json.dumps(connection),
        "AIRFLOW__API__BASE_URL": home.url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(home.port),
        "AIRFLOW__API__SECRET_KEY": home.secret("api"),
        "AIRFLOW__API_AUTH__JWT_SECRET": home.secret("jwt"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{home.url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": EXECUTOR,
        "AIRFLOW__CORE__FERNET_KEY": _fernet_key(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(max(4, os.cpu_count() or 2)),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home.airflow / "passwords.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in users.items()),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url(host, AIRFLOW_DATABASE),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",  # an edited file is read within a second
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.logs / "tasks"),
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0",  # the executor waits
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "ENGAGE_DATABASE_URL": database_url(host, DATABASE),
        "ENGAGE_HASH_KEY": home.secret("hash"),
        "PYTHONPATH": str(CHECKOUT),
    }


def _fernet_key(home: Home) -> str:
    return home.secret("fernet") + "="  # 32 random bytes are 43 characters of URL-safe base64, without the padding
