"""Who looks at a page."""

from __future__ import annotations

from dataclasses import dataclass

from engage.airflow_names import run_path
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
        return self.airflow + run_path(run_id) if known else None
