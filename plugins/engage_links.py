"""Where Engage's pages are inside Airflow, wherever that is."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from airflow.providers.common.compat.sdk import conf

DAG = "customer_engagement"
"""The DAG whose runs are about a campaign."""


def report_url(ti: Any) -> str:
    """The report on the campaign of a task's run, for those who are not in Airflow yet; ``ti`` or its key."""
    return f"{_base()}/dags/{ti.dag_id}/runs/{quote(ti.run_id, safe='')}/plugin/engage-report"


def report_path(ti: Any) -> str:
    """The same for those who are, below the path that Airflow itself is at."""
    return urlsplit(report_url(ti)).path


def _base() -> str:
    return (conf.get("api", "base_url", fallback=None) or "").rstrip("/")
