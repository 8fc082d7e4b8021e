"""A caller's shell in which nothing is as a program expects it."""

from __future__ import annotations

_NOWHERE, _PROXY = "/nonexistent", "http://127.0.0.1:9"
ODD_SHELL = {
    "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "HOME": _NOWHERE, "TMPDIR": _NOWHERE, "TERM": "dumb",
    "TZ": "nowhere/x", "XDG_RUNTIME_DIR": _NOWHERE, "XDG_CONFIG_HOME": "/proc", "HTTP_PROXY": _PROXY,
    "http_proxy": _PROXY, "HTTPS_PROXY": _PROXY, "https_proxy": _PROXY,
    "ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": "[::1", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0",
    "PYTHONDONTWRITEBYTECODE": "1", "PYTHONOPTIMIZE": "1",
    "PYTHONHASHSEED": "0", "PGHOST": _NOWHERE, "PGPORT": "9", "PGUSER": "x", "PGDATABASE": "y", "PGDATA": _NOWHERE,
    "PGOPTIONS": "-c default_transaction_read_only=on", "PGSERVICE": "nowhere", "PGSSLMODE": "verify-full",
    "PGREQUIREAUTH": "scram-sha-256", "PGCLIENTENCODING": "SQL_ASCII", "PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German",
    "PGSERVER_POSTGRES_VERSION": "17", "AIRFLOW_HOME": _NOWHERE, "AIRFLOW__CORE__EXECUTOR": "Nonsense",
}  # fmt: skip
"""Variables of a locale that is not installed, of other programs, and of folders and servers that are not there."""
