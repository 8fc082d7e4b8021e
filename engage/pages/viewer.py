"""Who looks at a page."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from engage.reports.report import Report


@dataclass(frozen=True)
class Viewer:
    """For whom a page is: where Airflow is for them, and what they may do."""

    airflow: str = ""
    """What comes before the paths of Airflow's own pages."""
    may_brake: bool = False
    may_set: bool = False

    def run(self, report: Report) -> str | None:
        """The page of the campaign's run, unless it was computed without Airflow."""
        run_id = report.window["run_id"]
        known = run_id and run_id != "cli"
        return f"{self.airflow}/dags/customer_engagement/runs/{quote(run_id, safe='')}" if known else None
