"""Links to Airflow and to Engage's pages inside it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf

from engage.airflow_names import DAG_ID, run_path


def airflow_url() -> str:
    """Airflow's address without a slash at its end; empty if its configuration has none."""
    url: str = conf.get("api", "base_url", fallback=None) or ""
    return url.rstrip("/")


def airflow_path() -> str:
    """The path of Airflow's address, which comes before the paths of its pages; often empty."""
    return urlsplit(airflow_url()).path


def report_path(ti: Any) -> str:
    """The link to the campaign report of a task's run, for Airflow's own pages. ``ti``: a task instance or its key."""
    return f"{airflow_path()}{_report(ti)}"


def report_url(ti: Any) -> str:
    """The link to the campaign report of a task's run, for an e-mail."""
    return f"{airflow_url()}{_report(ti)}"


def _report(ti: Any) -> str:
    return report_of(ti.run_id, ti.dag_id)


def report_of(run_id: str, dag_id: str = DAG_ID) -> str:
    """The path of a run's campaign report below Airflow's own."""
    return f"{run_path(run_id, dag_id)}/plugin/engage-report"
