"""Where Airflow is served, and where Engage's pages are in it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf

from engage.airflow_names import run_path


def airflow_url() -> str:
    """The address of Airflow, without a slash at its end; empty if its configuration names none."""
    url: str = conf.get("api", "base_url", fallback=None) or ""
    return url.rstrip("/")


def airflow_path() -> str:
    """The part of that address that comes before the paths of Airflow's own pages; often empty."""
    return urlsplit(airflow_url()).path


def report_path(ti: Any) -> str:
    """The report on the campaign of a task's run, as a link on Airflow's own pages; ``ti`` or its key."""
    return f"{airflow_path()}{_report(ti)}"


def report_url(ti: Any) -> str:
    """The same, as a link in an e-mail."""
    return f"{airflow_url()}{_report(ti)}"


def _report(ti: Any) -> str:
    return f"{run_path(ti.run_id, ti.dag_id)}/plugin/engage-report"
